package dev.sidewinder.server.api.answer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.engine.EngineException;
import dev.sidewinder.engine.FinishReason;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.model.chat.ChatOutputParser;
import dev.sidewinder.model.chat.OutputDelta;
import dev.sidewinder.server.api.Endpoint;
import dev.sidewinder.server.api.FakeText;
import dev.sidewinder.server.api.ReasoningFields;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;

class AnswerAssemblerTest {

    private static final String USER = "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"enable_thinking\":false";

    @Test
    void aStopStringCancelsItsChoiceAlone() {
        Script script = chat(",\"n\":2,\"stream\":true,\"stop\":\"STOP\"").say(1, "hello").say(0, "STOP", " world").say(1, "a")
                .stop(1);

        Script.Outcome outcome = script.stream();

        assertThat(outcome.cancelled()).containsExactly("0/0");
        assertThat(outcome.text()).endsWith("data: [DONE]\n\n").doesNotContain("world");
        // what the engine made before it heard of the cancel is no part of the answer
        assertThat(outcome.usage().completionTokens()).isEqualTo(1 + 3);
    }

    @Test
    void theSecondPromptIsCancelledUnderItsOwnNumbers() {
        Script script = Script.of(Endpoint.COMPLETIONS, "{\"prompt\":[[20],[21]],\"n\":2,\"stop\":\"STOP\"}");
        script.token(1, 1, FakeText.word("STOP"), false);

        var cancelled = new ArrayList<String>();
        var answer = new PlainAnswer(script.plan.answer(), new CallIds(new Random(1)), (p, c) -> cancelled.add(p + "/" + c));
        script.steps().forEach(step -> answer.assembler().accept(step.prompt(), step.event()));

        assertThat(cancelled).containsExactly("1/1");
        assertThat(answer.assembler().ended()).isFalse();
        assertThatThrownBy(answer::toJson).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void nothingIsCancelledWhereTheEngineEndsByItself() {
        assertThat(chat(",\"stop\":\"STOP\"").say(0, "hello").stop(0).plain().cancelled()).isEmpty();
        assertThat(chat(",\"max_tokens\":1").say(0, "hello").plain().cancelled()).isEmpty();
        assertThat(chat(",\"max_tokens\":1,\"stop\":\"STOP\"").say(0, "STOP").plain().cancelled()).isEmpty();
    }

    @Test
    void minimumTokensKeepStopStringsFromCounting() {
        assertThat(chat(",\"min_tokens\":2,\"stop\":\"STOP\"").say(0, "STOP", "a", "STOP").plain().text())
                .contains("\"content\":\"STOPa\"").contains("\"finish_reason\":\"stop\"");
    }

    @Test
    void aConversationGoesOnWithAWholeAnswer() {
        assertThat(contentOf(chat("").say(0, "hello", " world").stop(0))).contains("hello world");
        assertThat(contentOf(chat(",\"stop\":\"STOP\"").say(0, "hello", "STOP"))).contains("hello");
        assertThat(contentOf(chat("").stop(0))).as("an answer of nothing is an answer").contains("");
    }

    @Test
    void itDoesNotWhereTheAnswerIsNotKnownYet() {
        assertThat(contentOf(chat("").say(0, "hello"))).as("still open").isEmpty();
        assertThat(contentOf(chat(",\"max_tokens\":1").say(0, "hello"))).as("cut short").isEmpty();
        assertThat(contentOf(chat(",\"n\":2").say(0, "hello").stop(0).say(1, "a").stop(1))).as("one of two").isEmpty();
        assertThat(contentOf(Script.of(Endpoint.COMPLETIONS, "{\"prompt\":[20]}").say(0, "hello").stop(0))).as("a text").isEmpty();
    }

    private static Optional<String> contentOf(Script script) {
        var answer = new PlainAnswer(script.plan.answer(), new CallIds(new Random(1)), (_, _) -> { });
        script.steps().forEach(step -> answer.assembler().accept(step.prompt(), step.event()));
        return answer.assembler().content();
    }

    @Test
    void aCancelledAnswerNeverLooksComplete() {
        var out = new WireBuffer();
        try (var stream = new AnswerStream(chat(",\"stream\":true").plan.answer(), new CallIds(new Random(1)), (_, _) -> { },
                out)) {
            stream.assembler().accept(0, new GenerationEvent.Token(0, 0, FakeText.word("hello"), null, false));
            stream.assembler().accept(0, new GenerationEvent.Finished(0, FinishReason.CANCELLED));

            assertThat(stream.assembler().ended()).isTrue();
            assertThat(stream.assembler().complete()).isFalse();
        }
        assertThat(new String(out.toByteArray(), StandardCharsets.UTF_8)).contains("hello")
                .doesNotContain("[DONE]", "\"finish_reason\":\"");
    }

    @Test
    void aFailureBeforeTheFirstTokenWritesNothing() {
        var out = new WireBuffer();
        try (var stream = new AnswerStream(chat(",\"stream\":true").plan.answer(), new CallIds(new Random(1)), (_, _) -> { },
                out)) {
            stream.assembler().accept(0, new GenerationEvent.Failed(
                    new EngineException(EngineException.Kind.QUEUE_TIMEOUT, "waited")));

            assertThat(stream.assembler().failure()).map(EngineException::kind).contains(EngineException.Kind.QUEUE_TIMEOUT);
        }
        assertThat(out.length()).isZero();
    }

    @Test
    void rolesGoOutOnceHoweverTheyAreAskedFor() {
        var out = new WireBuffer();
        try (var stream = new AnswerStream(chat(",\"stream\":true,\"n\":2").plan.answer(), new CallIds(new Random(1)),
                (_, _) -> { }, out)) {
            stream.assembler().begin();
            stream.assembler().begin();
            stream.assembler().accept(0, new GenerationEvent.Token(1, 0, FakeText.word("hello"), null, false));
        }
        assertThat(new String(out.toByteArray(), StandardCharsets.UTF_8).split("\"role\"")).hasSize(3);
    }

    @Test
    void aCallWithoutArgumentsIsAnEmptyObjectWhateverTheParser() {
        AnswerPlan plan = chat(",\"stream\":true").plan.answer();
        var chat = new AnswerPlan.Chat(CallsAtOnce::new, ReasoningFields.BOTH, true, false);
        var bare = new AnswerPlan(plan.form(), plan.identity(), plan.prompts(), 1, 0, plan.stops(), plan.stream(),
                plan.output(), plan.text(), Optional.of(chat), Optional.empty());
        var token = new GenerationEvent.Token(0, 0, FakeText.word("hello"), null, false);
        var stop = new GenerationEvent.Token(0, 1, FakeText.TURN_END, null, true);

        var out = new WireBuffer();
        try (var stream = new AnswerStream(bare, new CallIds(new Random(1)), (_, _) -> { }, out)) {
            stream.assembler().accept(0, token);
            stream.assembler().accept(0, stop);
        }
        var plain = new PlainAnswer(bare, new CallIds(new Random(1)), (_, _) -> { });
        plain.assembler().accept(0, token);
        plain.assembler().accept(0, stop);

        assertThat(new String(out.toByteArray(), StandardCharsets.UTF_8))
                .contains("{\"index\":0,\"function\":{\"arguments\":\"{}\"}}").contains("\"finish_reason\":\"tool_calls\"");
        assertThat(new String(plain.toJson(), StandardCharsets.UTF_8)).contains("\"name\":\"f\",\"arguments\":\"{}\"");
    }

    private static Script chat(String fields) {
        return Script.of(Endpoint.CHAT, USER + fields + "}");
    }

    /// Makes one call of its first token and says nothing about arguments.
    private static final class CallsAtOnce implements ChatOutputParser {

        @Override
        public List<OutputDelta> accept(int token, String text) {
            return List.of(new OutputDelta.ToolCallStarted(0, "f"), new OutputDelta.ToolCallEnded(0));
        }

        @Override
        public List<OutputDelta> finish(String text, End end) {
            return List.of();
        }

        @Override
        public int reasoningTokens() {
            return 0;
        }

        @Override
        public int toolCalls() {
            return 1;
        }

        @Override
        public boolean stopped() {
            return false;
        }
    }
}
