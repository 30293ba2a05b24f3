package dev.sidewinder.bench.simulate;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.scheduler.Mark;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

class TranscriptTest {

    private static final Passage SYSTEM = new Passage("system", 300);

    @Test
    void beginsEveryConversationOfAnApplicationTheSame() {
        int[] one = new Transcript(conversation("one", user(50, 0, 10))).nextPrompt();
        int[] other = new Transcript(conversation("other", user(60, 0, 10))).nextPrompt();
        assertThat(Arrays.mismatch(one, other)).isEqualTo(300);
    }

    @Test
    void dropsReasoningWhenAUserSpeaksAgain() {
        var transcript = new Transcript(conversation("c", user(50, 200, 30), user(20, 100, 10)));
        int[] first = transcript.nextPrompt();
        assertThat(first).hasSize(300 + 50 + 5);
        assertThat(transcript.marks()).containsExactly(new Mark(300, CheckpointPoint.SYSTEM), new Mark(350, CheckpointPoint.TURN_START));
        int[] generated = generated(transcript);
        assertThat(generated).hasSize(230);
        transcript.answered();

        int[] second = transcript.nextPrompt();

        // system, message, header and tag in place of the reasoning, answer, end, message, header and tag
        assertThat(second).hasSize(300 + 50 + 5 + 30 + 1 + 20 + 5);
        assertThat(transcript.historyTokens()).isEqualTo(386);
        // the generation prompt opens with a header that stays
        assertThat(Arrays.mismatch(first, second)).isEqualTo(350 + 3);
        assertThat(Arrays.copyOfRange(second, 355, 385)).isEqualTo(Arrays.copyOfRange(generated, 200, 230));
    }

    @Test
    void keepsReasoningAsLongAsOnlyToolsAnswer() {
        var transcript = new Transcript(conversation("c", user(50, 200, 30), tool(70, 100, 10), user(20, 0, 10)));
        int[] first = transcript.nextPrompt();
        int[] generated = generated(transcript);
        transcript.answered();

        int[] second = transcript.nextPrompt();

        assertThat(Arrays.mismatch(first, second)).isEqualTo(first.length);
        assertThat(Arrays.copyOfRange(second, first.length, first.length + 230)).isEqualTo(generated);
        assertThat(second).hasSize(first.length + 230 + 1 + 70 + 5);
        assertThat(transcript.marks()).containsExactly(new Mark(300, CheckpointPoint.SYSTEM), new Mark(350, CheckpointPoint.TURN_START),
                new Mark(first.length + 231, CheckpointPoint.TURN_END), new Mark(first.length + 231 + 70, CheckpointPoint.TURN_START));
        transcript.answered();

        // both answers lose their reasoning when the user is back
        int[] third = transcript.nextPrompt();
        assertThat(third).hasSize(350 + 5 + 30 + 1 + 70 + 5 + 10 + 1 + 20 + 5);
        assertThat(transcript.hasNext()).isFalse();
    }

    @Test
    void goesOnFromTheWholeAnswerWhereNobodyThinks() {
        var transcript = new Transcript(conversation("c", user(50, 0, 30), user(20, 0, 10)));
        int[] first = transcript.nextPrompt();
        int[] generated = generated(transcript);
        transcript.answered();
        int[] second = transcript.nextPrompt();
        assertThat(Arrays.mismatch(first, second)).isEqualTo(first.length);
        assertThat(Arrays.copyOfRange(second, first.length, first.length + 30)).isEqualTo(generated);
    }

    @Test
    void cutsAnAnswerAtItsLimit() {
        var cut = new Turn(Turn.Input.USER, 0, List.of(new Passage("m", 5)), 100, 50, 120);
        var transcript = new Transcript(new Conversation("c", "chat", "t", 0, 0, List.of(), List.of(cut, user(1, 0, 1))));
        transcript.nextPrompt();
        assertThat(cut.generatedTokens()).isEqualTo(120);
        transcript.answered();
        // 20 tokens of answer are left of it
        assertThat(transcript.nextPrompt()).hasSize(5 + 5 + 20 + 1 + 1 + 5);
    }

    private static int[] generated(Transcript transcript) {
        int[] tokens = new int[transcript.now().generatedTokens()];
        Arrays.setAll(tokens, transcript::generatedToken);
        return tokens;
    }

    private static Conversation conversation(String name, Turn... turns) {
        return new Conversation(name, "chat", "t", 0, 0, List.of(SYSTEM), List.of(turns));
    }

    private static Turn user(int message, int reasoning, int answer) {
        return new Turn(Turn.Input.USER, 1, List.of(new Passage("message" + message, message)), reasoning, answer, 4096);
    }

    private static Turn tool(int result, int reasoning, int answer) {
        return new Turn(Turn.Input.TOOL, 1, List.of(new Passage("result" + result, result)), reasoning, answer, 4096);
    }
}
