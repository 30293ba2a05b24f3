package dev.sidewinder.bench.simulate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.ReuseEstimate;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/// What each policy is for, against first come first served without it.
class PoliciesTest {

    private static final SimulatedModel NANO = SimulatedModels.nano(Gpu.ATTAINED_BANDWIDTH, Gpu.ATTAINED_PRODUCTS);
    private static final Simulation.Bounds BOUNDS = new Simulation.Bounds(SimulatedModels.LIMITS, 1024, ReuseEstimate.DEFAULT,
            new Simulation.Span(120, 0, 1));
    private static final Policy FCFS = Policies.FCFS;

    @Test
    void partsHaveNamesThatAddUp() {
        assertThat(Policies.FCFS.parts()).isEmpty();
        assertThat(Policies.ALL.parts()).containsExactly(Policy.Part.values());
        assertThat(Policies.named("fcfs+gap+reuse").parts()).containsExactly(Policy.Part.REUSE, Policy.Part.GAP);
        assertThat(Policies.named("all-gap-reuse").parts()).containsExactly(Policy.Part.TURNS, Policy.Part.FAIRNESS, Policy.Part.PRIORITIES,
                Policy.Part.SUSPENSION, Policy.Part.PREPARATION);
        assertThat(Policies.COMPARED).extracting(Policy::name).startsWith("fcfs", "fcfs+reuse").endsWith("fcfs+suspension", "fcfs+reuse+preparation", "all");
        assertThat(Policies.ABLATED).extracting(Policy::name).startsWith("all", "all-reuse");
        for (String wrong : List.of("", "FCFS", "fcfs+", "fcfs-gap", "all+gap", "all-", "reuse", "fcfs+gap+", "all-gap+reuse")) {
            assertThatIllegalArgumentException().as(wrong).isThrownBy(() -> Policies.named(wrong)).withMessageContaining("no policy \"" + wrong);
        }
    }

    /// The words of the baseline: arrival order, one prompt after the other, whatever tenants and priorities say.
    @Test
    void firstComeFirstServedGivesFirstTokensInTheOrderOfArrival() {
        // given prompts of all lengths that come within a tenth of a second, the last ones the most urgent
        List<Conversation> conversations = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            int tokens = i % 3 == 0 ? 40_000 : 300;
            var turn = new Turn(Turn.Input.USER, 0, List.of(new Passage("m" + i, tokens)), 0, 200, 200);
            conversations.add(new Conversation("c" + i, "k" + (100 + i), "t" + i % 5, -i, i / 400.0, List.of(), List.of(turn)));
        }
        var traffic = new Traffic("in a row", conversations);

        List<Double> moments = firstTokenMoments(run(FCFS, traffic), conversations);
        List<Double> withTurns = firstTokenMoments(run(Policies.named("fcfs+turns"), traffic), conversations);

        assertThat(isInOrder(moments)).as("moments of first tokens %s", moments).isTrue();
        assertThat(isInOrder(withTurns)).as("with turns").isFalse();
    }

    /// In the nanoseconds between two of one step no order is meant.
    private static boolean isInOrder(List<Double> moments) {
        for (int i = 1; i < moments.size(); i++) {
            if (moments.get(i) < moments.get(i - 1) - 1e-6) {
                return false;
            }
        }
        return true;
    }

    private static List<Double> firstTokenMoments(SimulationResult result, List<Conversation> conversations) {
        List<Double> moments = new ArrayList<>();
        for (Conversation conversation : conversations) {
            moments.add(conversation.arrivalSeconds() + group(result, conversation.kind()).firstTokenSeconds.max());
        }
        return moments;
    }

    @Test
    void turnsLetShortPromptsThroughBetweenThePiecesOfLongOnes() {
        // given people who chat, and a document of 400,000 tokens
        List<Conversation> conversations = new ArrayList<>(Traffic.generate(Map.of(TrafficKind.CHAT, 0.5), 60, 4).conversations());
        var question = new Turn(Turn.Input.USER, 0, List.of(new Passage("text", 400_000)), 0, 100, 100);
        conversations.add(new Conversation("document", "document", "d", 0, 20, List.of(), List.of(question)));
        conversations.sort(Comparator.comparingDouble(Conversation::arrivalSeconds));
        var traffic = new Traffic("one long", conversations);

        GroupStats without = group(run(FCFS, traffic), "chat");
        GroupStats with = group(run(Policies.named("fcfs+turns"), traffic), "chat");

        assertThat(without.firstTokenSeconds.max()).isGreaterThan(5);
        assertThat(with.firstTokenSeconds.max()).isLessThan(without.firstTokenSeconds.max() / 2);
        assertThat(with.firstTokenSeconds.percentile(50)).isLessThan(0.5);
    }

    @Test
    void fairnessKeepsOneTenantFromHoldingUpTheOthers() {
        Traffic traffic = flood(0);
        GroupStats without = group(run(FCFS, traffic), "chat");
        GroupStats with = group(run(Policies.named("fcfs+fairness"), traffic), "chat");

        assertThat(with.finished).isGreaterThanOrEqualTo(without.finished);
        assertThat(without.firstTokenSeconds.percentile(99)).isGreaterThan(30);
        assertThat(with.firstTokenSeconds.percentile(99)).isLessThan(without.firstTokenSeconds.percentile(99) / 4);
    }

    @Test
    void prioritiesLetPeopleThroughBeforeWorkThatCanWait() {
        Traffic traffic = flood(100);
        GroupStats without = group(run(FCFS, traffic), "chat");
        GroupStats with = group(run(Policies.named("fcfs+priorities"), traffic), "chat");

        assertThat(with.firstTokenSeconds.percentile(99)).isLessThan(without.firstTokenSeconds.percentile(99) / 4);
    }

    /// People who chat, and one tenant that sends 600 long prompts within a second.
    private static Traffic flood(int priority) {
        List<Conversation> conversations = new ArrayList<>(Traffic.generate(Map.of(TrafficKind.CHAT, 1.0), 120, 4).conversations());
        for (int i = 0; i < 600; i++) {
            var turn = new Turn(Turn.Input.USER, 0, List.of(new Passage("flood" + i, 8000)), 0, 50, 50);
            conversations.add(new Conversation("flood" + i, "flood", "flood", priority, 20 + i / 600.0, List.of(), List.of(turn)));
        }
        conversations.sort(Comparator.comparingDouble(Conversation::arrivalSeconds));
        return new Traffic("a flood", conversations);
    }

    /// Without a host area whoever is admitted has memory for the longest answer that it allows; with one, for what it needs.
    @Test
    void suspensionAdmitsMoreWhereAnswersAreShorterThanTheirLimits() {
        SimulatedModel tight = SimulatedModels.nano(new FrameShape(40, 127), new HostShape(64, 8000));
        List<Conversation> conversations = new ArrayList<>();
        for (int i = 0; i < 60; i++) {
            var turn = new Turn(Turn.Input.USER, 0, List.of(new Passage("m" + i, 500)), 0, 300, 30_000);
            conversations.add(new Conversation("c" + i, "chat", "t", 0, i / 100.0, List.of(), List.of(turn)));
        }
        var traffic = new Traffic("modest", conversations);

        GroupStats without = new Simulation(tight, BOUNDS, FCFS, traffic).run().all();
        GroupStats with = new Simulation(tight, BOUNDS, Policies.named("fcfs+suspension"), traffic).run().all();

        assertThat(with.finished).isEqualTo(60).isEqualTo(without.finished);
        assertThat(with.firstTokenSeconds.percentile(90)).isLessThan(without.firstTokenSeconds.percentile(90) / 2);
    }

    @Test
    void aTargetForTheGapBoundsWhatLongPromptsCostThoseBeingAnswered() {
        Traffic traffic = Traffic.generate(Map.of(TrafficKind.CHAT, 0.5, TrafficKind.DOCUMENT, 0.05), 120, 4);
        GroupStats without = run(FCFS, traffic).all();
        GroupStats with = run(Policies.named("fcfs+gap"), traffic).all();
        assertThat(without.gapSeconds.max()).isGreaterThan(0.09);
        assertThat(with.gapSeconds.max()).isLessThan(0.06);
    }

    @Test
    void reuseComputesLittleOfWhatAConversationBringsAlong() {
        Traffic traffic = Traffic.generate(Map.of(TrafficKind.CHAT, 0.3, TrafficKind.AGENT, 0.1), 240, 4);
        SimulationResult without = run(FCFS, traffic);
        SimulationResult with = run(Policies.named("fcfs+reuse"), traffic);

        assertThat(with.all().hitRate()).isGreaterThan(0.8);
        // In tool loops all but what the grid of 128 cuts off. In chats the latest answer is computed again, too: its reasoning was dropped.
        assertThat(group(with, "agent").historyHitRate()).isGreaterThan(0.95);
        assertThat(group(with, "chat").historyHitRate()).isGreaterThan(0.65);
        ReuseByTurn loops = group(with, "agent").reuse;
        assertThat(loops.afterTools().rate()).isGreaterThan(0.95);
        assertThat(loops.byTurn().getFirst().rate()).as("of first prompts, the system prompt").isBetween(0.05, 0.95);
        assertThat(group(with, "chat").reuse.afterTools().brought).isZero();
        assertThat(with.rates().computedPrompt()).isLessThan(without.rates().computedPrompt() / 4);
        assertThat(with.all().firstTokenSeconds.percentile(99)).isLessThan(without.all().firstTokenSeconds.percentile(99) / 2);
        assertThat(with.cache().counts().reusedTokens()).isGreaterThanOrEqualTo(with.all().reusedTokens);
    }

    @Test
    void preparationComputesWhatNextTasksOfAgentsBeginWithBeforeTheyCome() {
        Traffic traffic = Traffic.generate(Map.of(TrafficKind.CHAT, 0.2, TrafficKind.AGENT, 0.1), 240, 4);
        var bounds = new Simulation.Bounds(BOUNDS.limits(), BOUNDS.maxQueuedRequests(), BOUNDS.reuse(), new Simulation.Span(240, 0, 1));
        SimulationResult without = new Simulation(NANO, bounds, Policies.named("all-preparation"), traffic).run();
        SimulationResult with = new Simulation(NANO, bounds, Policies.ALL, traffic).run();

        assertThat(without.work().preparations().begun()).isZero();
        assertThat(with.work().preparations().done()).isPositive();
        assertThat(group(without, "agent").reuse.afterUsers().rate()).isLessThan(0.8);
        assertThat(group(with, "agent").reuse.afterUsers().rate()).isGreaterThan(0.9);
        assertThat(group(with, "agent").firstTokenAfterUsersSeconds.mean()).isLessThan(group(without, "agent").firstTokenAfterUsersSeconds.mean() / 2);
        assertThat(with.all().firstTokenSeconds.percentile(50)).isLessThan(1.1 * without.all().firstTokenSeconds.percentile(50));
    }

    private static SimulationResult run(Policy policy, Traffic traffic) {
        return new Simulation(NANO, BOUNDS, policy, traffic).run();
    }

    private static GroupStats group(SimulationResult result, String name) {
        return result.groups().stream().filter(each -> each.name().equals(name)).findFirst().orElseThrow();
    }
}
