package dev.sidewinder.bench.simulate;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.ReuseEstimate;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// What each policy is for, against first come first served without it.
class PoliciesTest {

    private static final SimulatedModel NANO = SimulatedModels.nano(Gpu.ATTAINED_BANDWIDTH, Gpu.ATTAINED_PRODUCTS);
    private static final Policy FCFS = Policies.ALL.getFirst();

    @Test
    void turnsKeepOneTenantFromHoldingUpTheOthers() {
        // given people who chat, and one tenant that sends 600 long prompts within a second
        List<Conversation> conversations = new ArrayList<>(Traffic.generate(Map.of(TrafficKind.CHAT, 1.0), 120, 4).conversations());
        for (int i = 0; i < 600; i++) {
            var turn = new Turn(Turn.Input.USER, 0, List.of(new Passage("flood" + i, 8000)), 0, 50, 50);
            conversations.add(new Conversation("flood" + i, "flood", "flood", 0, 20 + i / 600.0, List.of(), List.of(turn)));
        }
        conversations.sort(Comparator.comparingDouble(Conversation::arrivalSeconds));
        var traffic = new Traffic("a flood", conversations);

        GroupStats without = group(run(FCFS, traffic), "chat");
        GroupStats with = group(run(new Policy("turns", false, false, true, false), traffic), "chat");

        assertThat(with.finished).isGreaterThanOrEqualTo(without.finished);
        assertThat(without.firstTokenSeconds.percentile(99)).isGreaterThan(30);
        assertThat(with.firstTokenSeconds.percentile(99)).isLessThan(without.firstTokenSeconds.percentile(99) / 4);
    }

    @Test
    void aTargetForTheGapBoundsWhatLongPromptsCostThoseBeingAnswered() {
        Traffic traffic = Traffic.generate(Map.of(TrafficKind.CHAT, 0.5, TrafficKind.DOCUMENT, 0.05), 120, 4);
        GroupStats without = run(FCFS, traffic).all();
        GroupStats with = run(new Policy("gap", false, false, false, true), traffic).all();
        assertThat(without.gapSeconds.max()).isGreaterThan(0.1);
        assertThat(with.gapSeconds.max()).isLessThan(0.06);
    }

    @Test
    void reuseComputesLittleOfWhatAConversationBringsAlong() {
        Traffic traffic = Traffic.generate(Map.of(TrafficKind.CHAT, 0.3, TrafficKind.AGENT, 0.1), 240, 4);
        SimulationResult without = run(FCFS, traffic);
        SimulationResult with = run(new Policy("reuse", true, false, false, false), traffic);

        assertThat(with.all().hitRate()).isGreaterThan(0.8);
        // In tool loops all but what the grid of 128 cuts off. In chats the latest answer is computed again, too: its reasoning was dropped.
        assertThat(group(with, "agent").historyHitRate()).isGreaterThan(0.95);
        assertThat(group(with, "chat").historyHitRate()).isGreaterThan(0.65);
        assertThat(with.rates().computedPrompt()).isLessThan(without.rates().computedPrompt() / 4);
        assertThat(with.all().firstTokenSeconds.percentile(99)).isLessThan(without.all().firstTokenSeconds.percentile(99) / 2);
        assertThat(with.cache().counts().reusedTokens()).isGreaterThanOrEqualTo(with.all().reusedTokens);
    }

    private static SimulationResult run(Policy policy, Traffic traffic) {
        var bounds = new Simulation.Bounds(SimulatedModels.LIMITS, 1024, ReuseEstimate.DEFAULT, new Simulation.Span(120, 0, 1));
        return new Simulation(NANO, bounds, policy, traffic).run();
    }

    private static GroupStats group(SimulationResult result, String name) {
        return result.groups().stream().filter(each -> each.name().equals(name)).findFirst().orElseThrow();
    }
}
