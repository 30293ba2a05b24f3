package dev.sidewinder.server.api.answer;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.EngineException;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.engine.TokenLogprobs;
import dev.sidewinder.kvcache.CacheExplanation;
import dev.sidewinder.server.api.ApiLimits;
import dev.sidewinder.server.api.ApiOptions;
import dev.sidewinder.server.api.Endpoint;
import dev.sidewinder.server.api.FakeModel;
import dev.sidewinder.server.api.FakeText;
import dev.sidewinder.server.api.ReasoningFields;
import dev.sidewinder.server.api.ThinkingDefaults;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// Answers byte for byte against recorded ones: see the README beside them.
class TranscriptTest {

    private static final String USER = "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]";
    private static final String TOOLS = """
            ,"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object",
            "properties":{"city":{"type":"string"},"days":{"type":"integer"}}}}}]""";
    private static final String QUIET = ",\"enable_thinking\":false";
    private static final String CALL = "<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n<parameter=days>\n3\n"
            + "</parameter>\n</function>\n";
    private static final String EMPTY_CALL = "<function=get_weather>\n</function>\n";

    private static final Map<String, Supplier<String>> SCENARIOS = new LinkedHashMap<>();

    static {
        SCENARIOS.put("chat-plain", () -> chat(QUIET).say(0, "hello", " world").stop(0).plain().text());
        SCENARIOS.put("chat-stream", () -> streamed(QUIET).say(0, "hello", " world").stop(0).stream().text());
        SCENARIOS.put("chat-usage", () -> streamed(QUIET + ",\"stream_options\":{\"include_usage\":true}")
                .say(0, "hello").stop(0).stream().text());
        SCENARIOS.put("chat-continuous-usage", () -> streamed(QUIET
                + ",\"stream_options\":{\"include_usage\":true,\"continuous_usage_stats\":true}")
                .say(0, "hello", " world").stop(0).stream().text());
        SCENARIOS.put("chat-two-choices", () -> streamed(QUIET + ",\"n\":2").say(0, "a").say(1, "b").say(0, "c").stop(0)
                .say(1, "d").stop(1).stream().text());
        SCENARIOS.put("chat-two-choices-plain", () -> chat(QUIET + ",\"n\":2").say(0, "a").say(1, "b").stop(1).stop(0)
                .plain().text());
        SCENARIOS.put("chat-stop-string", () -> streamed(QUIET + ",\"stop\":\"STOP\"").say(0, "hello", "ST", "OP", " world")
                .stream().text());
        SCENARIOS.put("chat-length", () -> streamed(QUIET + ",\"max_tokens\":3").say(0, "hello", " world", "ST").length(0)
                .stream().text());
        SCENARIOS.put("chat-reasoning", () -> streamed("").say(0, "hmm").token(0, 0, FakeText.THINK_END, false)
                .say(0, "\n", "hello").stop(0).stream().text());
        SCENARIOS.put("chat-reasoning-plain", () -> chat("").say(0, "hmm").token(0, 0, FakeText.THINK_END, false)
                .say(0, "\n", "hello").stop(0).plain().text());
        SCENARIOS.put("chat-reasoning-hidden", () -> streamed(",\"include_reasoning\":false,"
                + "\"stream_options\":{\"include_usage\":true}").say(0, "hmm").token(0, 0, FakeText.THINK_END, false)
                .say(0, "hello").stop(0).stream().text());
        SCENARIOS.put("chat-reasoning-inline", () -> inline().say(0, "hmm").token(0, 0, FakeText.THINK_END, false)
                .say(0, "hello").stop(0).stream().text());
        SCENARIOS.put("chat-reasoning-only", () -> streamed("").say(0, "hmm").stop(0).stream().text());
        SCENARIOS.put("chat-reasoning-cut", () -> streamed(",\"max_tokens\":2").say(0, "hello", " world").length(0)
                .stream().text());
        SCENARIOS.put("chat-tools-parallel", () -> call(call(streamed(QUIET + TOOLS).say(0, "hello", "\n"), CALL), EMPTY_CALL)
                .stop(0).stream().text());
        SCENARIOS.put("chat-tools-plain", () -> call(call(chat(QUIET + TOOLS), CALL), EMPTY_CALL).stop(0).plain().text());
        SCENARIOS.put("chat-tools-one-call", () -> call(streamed(QUIET + TOOLS + ",\"parallel_tool_calls\":false"),
                EMPTY_CALL).say(0, "more").stream().text());
        String named = ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"get_weather\"}}";
        SCENARIOS.put("chat-tools-required", () -> call(call(streamed(QUIET + TOOLS + ",\"tool_choice\":\"required\""), CALL),
                EMPTY_CALL).stop(0).stream().text());
        SCENARIOS.put("chat-tools-required-cut", () -> streamed(QUIET + TOOLS + ",\"tool_choice\":\"required\"")
                .token(0, 0, FakeText.TOOL_CALL, false).say(0, "\n", CALL.substring(0, CALL.indexOf("</parameter>"))).length(0)
                .stream().text());
        SCENARIOS.put("chat-tools-named", () -> call(streamed(QUIET + TOOLS + named
                + ",\"stream_options\":{\"include_usage\":true}"), EMPTY_CALL).stream().text());
        SCENARIOS.put("chat-tools-named-plain", () -> call(chat(QUIET + TOOLS + named), EMPTY_CALL).plain().text());
        SCENARIOS.put("chat-tools-reasoning", () -> call(streamed(TOOLS).say(0, "hmm")
                .token(0, 0, FakeText.THINK_END, false).say(0, "\n"), EMPTY_CALL).stop(0).stream().text());
        SCENARIOS.put("chat-error", () -> streamed(QUIET).say(0, "hello").event(0, new GenerationEvent.Failed(
                new EngineException(EngineException.Kind.NUMERIC, "row 3 of step 17"))).stream().text());
        SCENARIOS.put("chat-unicode", () -> streamed(QUIET).say(0, "é").say(0, "\u00e9\uD83D\uDE00\u202e")
                .token(0, 0, FakeText.byteToken(0xE2), false).stop(0).stream().text());
        SCENARIOS.put("chat-empty", () -> streamed(QUIET).stop(0).stream().text());
        SCENARIOS.put("chat-empty-plain", () -> chat(QUIET).stop(0).plain().text());
        SCENARIOS.put("chat-escapes", () -> streamed(QUIET).say(0, "a\nb", "\"\\\u0000\r\t</s").stop(0).stream().text());
        SCENARIOS.put("chat-logprobs", () -> streamed(QUIET + ",\"logprobs\":true,\"top_logprobs\":2,\"return_token_ids\":true")
                .say(0, "hello", "\u00e9").stop(0).stream().text());
        SCENARIOS.put("chat-logprobs-plain", () -> chat(QUIET
                + ",\"logprobs\":true,\"return_token_ids\":true,\"return_prompt_text\":true,\"cache_explain\":true")
                .event(0, new GenerationEvent.Admitted(0, 0, Optional.of(CacheExplanation.DISABLED))).say(0, "hello").stop(0).plain().text());
        SCENARIOS.put("chat-interval", () -> streamed(QUIET + ",\"stream_interval\":2").say(0, "a", "b", "c", "d", "e")
                .stop(0).stream().text());
        SCENARIOS.put("text-stream", () -> text("\"stream\":true,\"prompt\":\"go\",\"max_tokens\":2,"
                + "\"stream_options\":{\"include_usage\":true}").say(0, "hello", " world").length(0).stream().text());
        SCENARIOS.put("text-echo-logprobs", () -> scored(text("\"stream\":true,\"prompt\":\"go\",\"max_tokens\":2,\"echo\":true,"
                + "\"logprobs\":1")).say(0, "hello", " world").length(0).stream().text());
        SCENARIOS.put("text-echo-logprobs-plain", () -> scored(text("\"prompt\":\"go\",\"max_tokens\":2,\"echo\":true,"
                + "\"logprobs\":1,\"prompt_logprobs\":0,\"return_token_ids\":true")).say(0, "hello", " world").length(0)
                .plain().text());
        SCENARIOS.put("text-score-only", () -> scored(text("\"prompt\":\"go\",\"max_tokens\":0,\"echo\":true,\"logprobs\":0"))
                .length(0).plain().text());
        SCENARIOS.put("text-two-prompts", () -> text("\"prompt\":[[20,21],[22]],\"n\":2,\"max_tokens\":1")
                .token(1, 1, FakeText.word("OP"), false).token(0, 0, FakeText.word("hello"), false)
                .token(0, 1, FakeText.word("ST"), false).token(1, 0, FakeText.word("é"), false).plain().text());
        SCENARIOS.put("text-ids-only", () -> idsOnly("\"stream\":true,\"prompt\":[1,2,3],\"max_tokens\":2,"
                + "\"return_token_ids\":true").token(0, 0, 5, false).token(0, 0, 6, false).stream().text());
        SCENARIOS.put("generate-stream", () -> Script.of(Endpoint.GENERATE, "{\"prompt\":\"go\",\"stream\":true,"
                + "\"stop\":\"STOP\"}").say(0, "hello", "\u00e9", "ST").stop(0).stream().text());
        SCENARIOS.put("generate-plain", () -> Script.of(Endpoint.GENERATE, "{\"prompt\":\"go \",\"max_tokens\":2}")
                .say(0, "hello", " world").length(0).plain().text());
    }

    static Stream<String> names() {
        return SCENARIOS.keySet().stream();
    }

    @ParameterizedTest
    @MethodSource("names")
    void answersAsRecorded(String name) throws IOException {
        String answer = SCENARIOS.get(name).get();

        assertThat(answer).isEqualTo(recorded(name, answer));
    }

    /// With `-Dsidewinder.record=<folder>` the answers are written there.
    private static String recorded(String name, String answer) throws IOException {
        String folder = System.getProperty("sidewinder.record");
        if (folder != null) {
            Files.writeString(Path.of(folder, name + ".txt"), answer);
        }
        try (InputStream file = TranscriptTest.class.getResourceAsStream("/golden/answers/" + name + ".txt")) {
            assertThat(file).as("recorded answer %s", name).isNotNull();
            return new String(file.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static Script chat(String more) {
        return Script.of(Endpoint.CHAT, "{" + USER + more + "}");
    }

    private static Script streamed(String more) {
        return chat(",\"stream\":true" + more);
    }

    private static Script inline() {
        var options = new ApiOptions(ApiLimits.standard(), false, ReasoningFields.INLINE, ThinkingDefaults.standard());
        return Script.of(Endpoint.CHAT, "{" + USER + ",\"stream\":true}", options, FakeModel.withText());
    }

    private static Script text(String fields) {
        return Script.of(Endpoint.COMPLETIONS, "{" + fields + "}");
    }

    private static Script idsOnly(String fields) {
        return Script.of(Endpoint.COMPLETIONS, "{" + fields + "}", ApiOptions.standard(), FakeModel.tokensOnly());
    }

    private static Script call(Script script, String block) {
        return script.token(0, 0, FakeText.TOOL_CALL, false).say(0, "\n", block)
                .token(0, 0, FakeText.TOOL_CALL_END, false).say(0, "\n");
    }

    private static Script scored(Script script) {
        int[] prompt = script.plan.requests().getFirst().prompt();
        var scores = new TokenLogprobs[prompt.length];
        for (int i = 1; i < prompt.length; i++) {
            scores[i] = Script.logprobs(prompt[i], i);
        }
        return script.event(0, new GenerationEvent.PromptScored(scores));
    }
}
