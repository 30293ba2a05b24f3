package dev.sidewinder.bench.simulate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class TrafficTest {

    private static final Map<TrafficKind, Double> MIXED = Map.of(TrafficKind.CHAT, 2.0, TrafficKind.AGENT, 0.2, TrafficKind.DOCUMENT, 0.1);

    @Test
    void isTheSameForTheSameSeed() {
        assertThat(Traffic.generate(MIXED, 600, 7)).isEqualTo(Traffic.generate(MIXED, 600, 7));
        assertThat(Traffic.generate(MIXED, 600, 7).conversations()).isNotEqualTo(Traffic.generate(MIXED, 600, 8).conversations());
    }

    @Test
    void doesNotChangeOneKindWithTheRateOfAnother() {
        List<Conversation> alone = Traffic.generate(Map.of(TrafficKind.AGENT, 0.2), 600, 7).conversations();
        List<Conversation> among = Traffic.generate(MIXED, 600, 7).conversations().stream().filter(each -> each.kind().equals("agent")).toList();
        assertThat(among).isEqualTo(alone).isNotEmpty();
    }

    @Test
    void beginsAsManyConversationsAsTheRateSays() {
        List<Conversation> chats = Traffic.generate(Map.of(TrafficKind.CHAT, 3.0), 3600, 11).conversations();
        // a Poisson number of mean 10,800 is within four standard deviations of it
        assertThat((double) chats.size()).isCloseTo(10_800, within(4 * Math.sqrt(10_800)));
        assertThat(chats).isSortedAccordingTo(Comparator.comparingDouble(Conversation::arrivalSeconds));
        assertThat(chats).allSatisfy(each -> assertThat(each.arrivalSeconds()).isBetween(0.0, 3600.0));
        // gaps of a Poisson process: their standard deviation is their mean
        double[] gaps = new double[chats.size() - 1];
        double squares = 0;
        for (int i = 0; i < gaps.length; i++) {
            gaps[i] = chats.get(i + 1).arrivalSeconds() - chats.get(i).arrivalSeconds();
            squares += (gaps[i] - 1 / 3.0) * (gaps[i] - 1 / 3.0);
        }
        assertThat(Math.sqrt(squares / gaps.length)).isCloseTo(1 / 3.0, within(0.02));
    }

    @Test
    void hasTheMediansItStates() {
        List<Conversation> chats = Traffic.generate(Map.of(TrafficKind.CHAT, 3.0), 3600, 5).conversations();
        double turns = chats.stream().mapToInt(each -> each.turns().size()).average().orElseThrow();
        assertThat(turns).isCloseTo(4, within(0.2));
        List<Integer> answers = chats.stream().flatMap(each -> each.turns().stream()).map(Turn::answerTokens).sorted().toList();
        assertThat((double) answers.get(answers.size() / 2)).isCloseTo(220, within(8.0));
    }

    @Test
    void sharesSystemPromptsWithinAnApplication() {
        List<Conversation> chats = Traffic.generate(Map.of(TrafficKind.CHAT, 3.0), 600, 5).conversations();
        var first = chats.getFirst();
        assertThat(chats).filteredOn(each -> each.tenant().equals(first.tenant())).hasSizeGreaterThan(1)
                .allSatisfy(each -> assertThat(each.system()).isEqualTo(first.system()));
    }

    @Test
    void endsEveryToolLoopWithAnAnswer() {
        assertThat(Traffic.generate(Map.of(TrafficKind.AGENT, 0.5), 600, 5).conversations()).isNotEmpty().allSatisfy(each -> {
            assertThat(each.turns().getFirst().input()).isEqualTo(Turn.Input.USER);
            assertThat(each.callsTool(0)).isTrue();
            assertThat(each.callsTool(each.turns().size() - 1)).isFalse();
        });
    }

    @Test
    void sendsJobsInBursts() {
        List<Conversation> jobs = Traffic.generate(Map.of(TrafficKind.JOB, 0.5), 3600, 5).conversations();
        assertThat(jobs.size() % 40).isZero();
        // 45 bursts on average
        assertThat(jobs.size() / 40.0).isCloseTo(45, within(4 * Math.sqrt(45)));
        assertThat(jobs).allSatisfy(each -> assertThat(each.priority()).isEqualTo(100));
    }

    @Test
    void refusesARateBelowZero() {
        assertThatThrownBy(() -> Traffic.generate(Map.of(TrafficKind.CHAT, -1.0), 60, 1)).hasMessageContaining("-1.0 conversations");
        assertThatThrownBy(() -> Traffic.generate(Map.of(TrafficKind.CHAT, Double.NaN), 60, 1)).hasMessageContaining("NaN");
    }
}
