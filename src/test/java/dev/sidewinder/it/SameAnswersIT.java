package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.Launcher;
import dev.sidewinder.it.support.Reply;
import dev.sidewinder.it.support.ServerProcess;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// One request, one answer, whatever the server does meanwhile: cold or from the cache, in one piece or in several, alone or among
/// others that take its memory away and give it back.
///
/// Answers are compared with those of a server that keeps nothing, has room for all, and is asked one thing at a time: text, calls,
/// finish reasons, token ids, and log-probabilities to the bit. Prompts end around the ends of blocks of 128 tokens; answers go
/// across the next one where it is near, and so do the stop strings and the calls in them. [ForkedAnswersIT] has forks.
class SameAnswersIT {

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final int BLOCK = 128;
    private static final int END_OF_TURN = 11;
    private static final int[] LENGTHS = {112, 127, 128, 129, 255, 256, 257, 264};
    private static final int MIN_ANSWER_TOKENS = 40;
    private static final int LASTING_TOKENS = 200;
    /// Where the next end of a block is farther away, an answer does not go that far: others do.
    private static final int FARTHEST_END = 60;
    /// Of the turn that the model is to continue.
    private static final int TOKENS_BEHIND_MESSAGES = 5;
    /// Tokens of a call in front of the end of a block.
    private static final int[] TOKENS_IN_FRONT = {1, 2, 7, 16};
    private static final String MODEL = Launcher.REPOSITORY.resolve("models/tiny").toString();
    private static final String TOOLS = """
            [{"type":"function","function":{"name":"look_up","description":"Reads a note.","strict":true,"parameters":{"type":"object",
             "properties":{"note":{"type":"integer"},"room":{"type":"integer"}},"required":["note","room"],"additionalProperties":false}}}]""";

    /// A request with the answer that it has to get.
    private record Case(String name, ObjectNode request, JsonNode expected) {

        int promptTokens() {
            return expected.at("/usage/prompt_tokens").intValue();
        }

        /// The block in which the last token lies that was generated.
        int lastBlock() {
            return (promptTokens() + expected.at("/usage/completion_tokens").intValue() - 1) / BLOCK;
        }

        Reply reply() {
            return Reply.of(expected);
        }
    }

    private static final List<Case> CASES = new ArrayList<>();
    /// So long that several of them need more memory than the small servers have.
    private static Case lasting;

    @BeforeAll
    static void askAServerThatKeepsNothing() throws Exception {
        try (ServerProcess server = ServerProcess.start("--model", MODEL, "--cache-size", "64MiB", "--max-model-len", "1024",
                "--max-num-batched-tokens", "1024", "--enable-prefix-caching=false")) {
            Api api = server.api();
            for (int length : LENGTHS) {
                addAnswers(api, length);
            }
            for (int tokens : TOKENS_IN_FRONT) {
                addCalls(api, tokens);
            }
            addLasting(api);
        }
    }

    private static void addAnswers(Api api, int length) throws Exception {
        int end = BLOCK - length % BLOCK;
        ObjectNode request = padded(api, length, chat("Tell me a story."))
                .put("max_completion_tokens", end > FARTHEST_END ? MIN_ANSWER_TOKENS : Math.max(MIN_ANSWER_TOKENS, end + 8));
        // without the token that ends a turn, answers are as long as they may be
        request.putObject("logit_bias").put(Integer.toString(END_OF_TURN), -100);
        add(api, "greedy, " + length, request.deepCopy().put("top_logprobs", 3));
        request.put("temperature", 1.0).put("frequency_penalty", 0.3).put("presence_penalty", 0.2).put("repetition_penalty", 1.05);
        if (end > FARTHEST_END) {
            add(api, "seeded, " + length, request.put("seed", 1));
            return;
        }
        for (int seed = 1; seed <= 20; seed++) {
            JsonNode whole = ask(api, request.put("seed", seed));
            String stop = stopString(whole, end);
            if (!stop.isEmpty()) {
                CASES.add(new Case("seeded, " + length, request.deepCopy(), whole));
                addStopped(api, length + end, request, stop, whole);
                return;
            }
        }
        throw new AssertionError("no answer to a prompt of " + length + " has a text of its own across the end of a block");
    }

    /// @param end where the block ends across whose end the stop string lies
    private static void addStopped(Api api, int end, ObjectNode request, String stop, JsonNode whole) throws Exception {
        request.putArray("stop").add(stop);
        Case stopped = add(api, "stop string across " + end + " from " + whole.at("/usage/prompt_tokens"), request);
        String text = whole.at("/choices/0/message/content").asText();
        assertThat(stopped.reply().finish()).as(stopped.name()).isEqualTo("stop");
        assertThat(stopped.reply().content()).as("in front of \"%s\"", stop).isEqualTo(text.substring(0, text.indexOf(stop)));
        assertThat(stopped.lastBlock()).as("ends behind the end of a block").isGreaterThanOrEqualTo(end / BLOCK);
    }

    /// A text that an answer has once, of a token or more in front of the end of a block and of one or more behind it; empty when
    /// there is none.
    private static String stopString(JsonNode answer, int end) {
        List<String> tokens = new ArrayList<>();
        answer.at("/choices/0/logprobs/content").forEach(each -> tokens.add(each.get("token").asText()));
        assertThat(tokens).hasSizeGreaterThanOrEqualTo(end + 8);
        String text = answer.at("/choices/0/message/content").asText();
        for (int from = end - 1; from >= Math.max(0, end - 6); from--) {
            for (int to = end + 1; to <= end + 5; to++) {
                String stop = String.join("", tokens.subList(from, to));
                int place = text.indexOf(stop);
                if (place >= 0 && place == text.lastIndexOf(stop) && place == String.join("", tokens.subList(0, from)).length()) {
                    return stop;
                }
            }
        }
        return "";
    }

    private static void addLasting(Api api) throws Exception {
        ObjectNode request = padded(api, 100, chat("Tell me a long story.")).put("max_completion_tokens", LASTING_TOKENS)
                .put("temperature", 1.0).put("frequency_penalty", 0.3).put("seed", 5);
        request.putObject("logit_bias").put(Integer.toString(END_OF_TURN), -100);
        lasting = new Case("lasting", request, ask(api, request));
        assertThat(lasting.lastBlock()).as("the last block of the long answer").isEqualTo(2);
    }

    private static void addCalls(Api api, int tokens) throws Exception {
        ObjectNode request = chat("Look up note " + tokens + " of room 17.").put("tool_choice", "required").put("parallel_tool_calls", false)
                .put("max_completion_tokens", 120);
        request.set("tools", MAPPER.readTree(TOOLS));
        int length = Math.ceilDiv(promptTokens(api, request) + tokens, BLOCK) * BLOCK - tokens;
        padded(api, length, request);
        addCall(api, "greedy call, " + length, request.deepCopy());
        addCall(api, "seeded call, " + length, request.put("temperature", 1.0).put("seed", tokens));
    }

    private static void addCall(Api api, String name, ObjectNode request) throws Exception {
        Case call = add(api, name, request);
        assertThat(call.reply().finish()).as(name).isEqualTo("tool_calls");
        assertThat(call.reply().calls()).as(name).hasSize(1).first().asString().startsWith("look_up: {").endsWith("}");
        assertThat(call.reply().content()).as("every token is of the call").isEmpty();
        assertThat(call.lastBlock()).as("goes across the end of a block").isGreaterThan((call.promptTokens() - 1) / BLOCK);
    }

    private static ObjectNode chat(String question) {
        ObjectNode request = MAPPER.createObjectNode().put("temperature", 0).put("enable_thinking", false).put("logprobs", true)
                .put("return_token_ids", true);
        request.putArray("messages").addObject().put("role", "system").put("content", "the");
        request.withArray("messages").addObject().put("role", "user").put("content", question);
        return request;
    }

    /// Makes the prompt as long as wanted: each further word of the system message is a token.
    private static ObjectNode padded(Api api, int length, ObjectNode request) throws Exception {
        int words = 1 + length - promptTokens(api, request);
        ((ObjectNode) request.at("/messages/0")).put("content", "the" + " the".repeat(words - 1));
        assertThat(promptTokens(api, request)).isEqualTo(length);
        return request;
    }

    private static int promptTokens(Api api, ObjectNode request) throws Exception {
        Api.Answer rendered = api.post("/v1/chat/completions/render", request.toString());
        assertThat(rendered.status()).as(rendered.text()).isEqualTo(200);
        return rendered.json().get("count").intValue();
    }

    private static Case add(Api api, String name, ObjectNode request) throws Exception {
        var added = new Case(name, request, ask(api, request));
        CASES.add(added);
        return added;
    }

    private static JsonNode ask(Api api, ObjectNode request) throws Exception {
        Api.Answer answer = api.post("/v1/chat/completions", request.toString());
        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        return answer.json();
    }

    private static Reply streamed(Api api, ObjectNode request) throws Exception {
        try (EventReader events = api.stream("/v1/chat/completions", request.deepCopy().put("stream", true).toString())) {
            return Reply.of(events);
        }
    }

    private static ServerProcess start(String frames, String sequences, String stepTokens, String hostSize, boolean keeps) {
        return ServerProcess.start("--model", MODEL, "--cache-size", frames, "--max-num-seqs", sequences, "--max-num-batched-tokens",
                stepTokens, "--host-cache-size", hostSize, "--max-model-len", "512", "--token-gap", "0s", "--enable-prefix-caching=" + keeps);
    }

    /// Seven frames, each of a state or three blocks: five sequences fit when they begin, and not all of them when they end.
    private static ServerProcess small(boolean keeps) {
        return start("4032KiB", "5", "256", "16MiB", keeps);
    }

    @Test
    void aPromptInPiecesAndOneFromTheCacheGetTheSameAnswer() throws Exception {
        try (ServerProcess server = small(true)) {
            for (Case each : CASES) {
                coldAndFromTheCache(server.api(), each);
            }
            assertThat(left(server.api(), "")).as("nobody leaves for nobody").isZero();
        }
    }

    /// Four long answers alone need eight frames before they end. Nothing is kept, since sequences that leave states keep a part of the
    /// pool from those that begin, and nobody would have to leave.
    @Test
    void oneThatIsSuspendedGetsTheSameAnswer() throws Exception {
        try (ServerProcess server = small(false)) {
            Api api = server.api();
            allAtOnce(api, withLasting(4, CASES));

            assertThat(left(api, "suspend")).isPositive();
            assertThat(left(api, "suspend") + left(api, "recompute")).as("the same in other words")
                    .isEqualTo(api.metricSum("vllm:num_preemptions_total", ""));
            assertThat(api.metricSum("sidewinder_preemptions_total", "reason=\"kv\"")
                    + api.metricSum("sidewinder_preemptions_total", "reason=\"state\"")).isEqualTo(left(api, ""));
            api.awaitRest();
        }
    }

    /// Eighteen sequences fit when they begin, long answers alone would need 36 frames of 24 before they end, and the host area has
    /// room for one of them.
    @Test
    void oneThatIsComputedAgainGetsTheSameAnswer() throws Exception {
        List<Case> growing = CASES.stream().filter(each -> each.promptTokens() % BLOCK == BLOCK - 16).toList();
        List<Case> cases = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            cases.addAll(growing);
        }
        try (ServerProcess server = start("13824KiB", "18", "2304", "1200KiB", false)) {
            allAtOnce(server.api(), withLasting(18, cases));

            assertThat(left(server.api(), "recompute")).isPositive();
            assertThat(left(server.api(), "overload")).isZero();
            server.api().awaitRest();
        }
    }

    private static List<Case> withLasting(int count, List<Case> others) {
        List<Case> all = new ArrayList<>(Collections.nCopies(count, lasting));
        all.addAll(others);
        return all;
    }

    /// Sequences that had to leave the device.
    private static double left(Api api, String method) throws Exception {
        return api.metricSum("sidewinder_preemptions_total", "method=\"" + method);
    }

    private static void coldAndFromTheCache(Api api, Case each) throws Exception {
        forget(api);

        JsonNode cold = ask(api, each.request());
        JsonNode warm = ask(api, each.request());

        assertThat(cachedTokens(cold)).as(each.name()).isZero();
        assertThat(Reply.of(cold)).as("%s, cold", each.name()).isEqualTo(each.reply());
        // states are kept where messages end, which is some tokens in front of the prompt's end
        int messages = each.promptTokens() - TOKENS_BEHIND_MESSAGES;
        assertThat(cachedTokens(warm)).as("%s, from the cache", each.name()).isEqualTo(messages / BLOCK * BLOCK);
        assertThat(Reply.of(warm)).as("%s, from the cache", each.name()).isEqualTo(each.reply());
    }

    private static void forget(Api api) throws Exception {
        api.awaitRest();
        assertThat(api.post("/v1/cache/reset", "{}").status()).isEqualTo(200);
    }

    private static int cachedTokens(JsonNode answer) {
        return answer.at("/usage/prompt_tokens_details/cached_tokens").intValue();
    }

    /// Every other one as a stream, and those of three priorities among each other.
    private static void allAtOnce(Api api, List<Case> cases) throws Exception {
        List<Future<Reply>> replies = new ArrayList<>();
        try (ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int i = 0; i < cases.size(); i++) {
                ObjectNode request = cases.get(i).request().deepCopy().put("priority", i % 3);
                boolean stream = i % 2 == 0;
                replies.add(clients.submit(() -> stream ? streamed(api, request) : Reply.of(ask(api, request))));
            }
        }
        for (int i = 0; i < cases.size(); i++) {
            assertThat(replies.get(i).get()).as("%s, among others", cases.get(i).name()).isEqualTo(cases.get(i).reply());
        }
        System.out.println("SameAnswersIT: " + left(api, "suspend") + " suspended, " + left(api, "recompute") + " computed again");
    }
}
