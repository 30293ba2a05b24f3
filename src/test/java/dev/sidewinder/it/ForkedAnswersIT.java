package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EmulatedDevice;
import dev.sidewinder.it.support.Launcher;
import dev.sidewinder.it.support.Reply;
import dev.sidewinder.it.support.ServerProcess;
import dev.sidewinder.it.support.Waiting;
import dev.sidewinder.model.synthetic.ShapeSpec;
import dev.sidewinder.model.synthetic.SyntheticFolder;
import dev.sidewinder.model.synthetic.SyntheticModel;
import dev.sidewinder.model.synthetic.WeightFormat;
import java.io.IOException;
import java.net.http.HttpRequest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// Conversations of two turns, whose first one ends, or has its stop string or its call, around the end of a block of 128 tokens: an
/// answer is the same from the cache, as one of several choices, among others that take its memory away, and from a fork that went on
/// beside its parent or in another process.
///
/// Compared with a server that keeps no prefixes and is asked one thing at a time, and with its sessions, which had the same turns and
/// were never forked.
class ForkedAnswersIT {

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final int BLOCK = 128;
    private static final String TOOLS = """
            [{"type":"function","function":{"name":"look","strict":true,"parameters":{"type":"object",
             "properties":{"room":{"enum":["hall","attic"]}},"required":["room"],"additionalProperties":false}}}]""";

    /// As small as a model with states, keys and experts can be, with the demonstration's vocabulary.
    private static final String SMALL = "demo,layers=M*E,hidden=32,mamba-heads=2,mamba-head-dim=16,groups=1,state=64,query-heads=2,"
            + "kv-heads=1,head-dim=64,dense=32,experts=4,active=2,intermediate=32,shared=32";

    /// Where it runs. The emulator takes a hundred times as long, so it has a model that says nothing sensible, few conversations, and
    /// no other process: `CudaSameAnswersTest` has another engine.
    enum Served {
        CPU("4032KiB", 400, 127, 257),
        CUDA("384KiB", 200);

        private static final int PLACES = 4;

        /// In which not all that is asked at once has room to the end.
        private final String frames;
        /// Tokens of an answer that is not over before others have come.
        private final int lasting;
        private final int[] ends;

        Served(String frames, int lasting, int... ends) {
            this.frames = frames;
            this.lasting = lasting;
            this.ends = ends;
        }

        private List<String> flags(Path folder) throws IOException {
            List<String> flags = new ArrayList<>();
            switch (this) {
                case CPU -> flags.addAll(List.of("--model", Launcher.REPOSITORY.resolve("models/tiny").toString()));
                case CUDA -> {
                    flags.addAll(EmulatedDevice.driver());
                    flags.addAll(List.of("--backend", "cuda", "--batch-invariant", "--model", smallModel(folder).toString()));
                }
            }
            return flags;
        }

        private static Path smallModel(Path folder) throws IOException {
            Path model = folder.resolve("model");
            if (!Files.exists(model)) {
                SyntheticFolder.write(new SyntheticModel(ShapeSpec.parse(SMALL), WeightFormat.BF16, 0), model, 1L << 30, _ -> { });
                for (var file : SyntheticModel.parse("synthetic:demo").files().entrySet()) {
                    if (!file.getKey().equals("config.json")) {
                        Files.write(model.resolve(file.getKey()), file.getValue());
                    }
                }
            }
            return model;
        }

        /// @param files of its sessions, in the folder of the test
        ServerProcess start(String cacheSize, Path folder, String files, String... more) throws IOException {
            List<String> all = flags(folder);
            all.addAll(List.of("--cache-size", cacheSize, "--host-cache-size", "16MiB", "--session-folder", folder.resolve(files).toString(),
                    "--max-model-len", "512", "--max-num-seqs", "" + PLACES, "--token-gap", "0s"));
            all.addAll(List.of(more));
            return ServerProcess.start(all.toArray(String[]::new));
        }

        /// In which not all that is asked at once has room to the end, and a prompt of three blocks takes two steps.
        ServerProcess startNarrow(Path folder) throws IOException {
            return start(frames, folder, "files", "--max-num-batched-tokens", "256");
        }
    }

    /// Two turns, and the answers that they have to get; the first one's also when it is one of two choices.
    private record Conversation(String name, ObjectNode first, ObjectNode second, Reply firstReply, List<Reply> choices, Reply secondReply) {}

    /// What is asked, and the answer that it has to get.
    private record Asked(ObjectNode request, Reply reply) {}

    @ParameterizedTest
    @EnumSource
    void anAnswerIsTheSameWhereverItsMemoryHasBeen(Served served, @TempDir Path folder) throws Exception {
        List<Conversation> all = new ArrayList<>();
        Asked lasting;
        try (ServerProcess server = served.start("16MiB", folder, "copies", "--max-num-batched-tokens", "640", "--enable-prefix-caching=false")) {
            for (int end : served.ends) {
                all.add(cut(server.api(), end));
            }
            all.add(stopped(server.api(), 2 * BLOCK));
            all.add(calling(server.api()));
            lasting = lasting(server.api(), served.lasting);
        }
        try (ServerProcess server = served.startNarrow(folder)) {
            for (Conversation each : all) {
                coldFromTheCacheAndAsChoices(server.api(), each);
            }
            among(server.api(), lasting, all);
            for (int i = 0; i < all.size(); i++) {
                fork(server.api(), all.get(i), i);
            }
            server.terminate();
            assertThat(server.exitCode(Duration.ofSeconds(60))).isZero();
        }
        if (served == Served.CUDA) {
            return;
        }
        try (ServerProcess other = served.startNarrow(folder)) {
            for (int i = 0; i < all.size(); i++) {
                assertSame(all.get(i), "a fork in another process", goOn(other.api(), "fork-" + i, all.get(i).second), all.get(i).secondReply);
                assertSame(all.get(i), "its parent in another process", goOn(other.api(), "parent-" + i, all.get(i).second), all.get(i).secondReply);
            }
        }
    }

    private static Asked lasting(Api api, int tokens) throws Exception {
        ObjectNode request = penalised(chat("Tell me a long story."), tokens);
        return new Asked(request, Reply.of(ask(api, request)));
    }

    /// An answer that its limit ends where so many tokens have been said in all.
    private static Conversation cut(Api api, int end) throws Exception {
        ObjectNode request = padded(api, end - 12, chat("Tell me a story."));
        int left = end - promptTokens(api, request);
        return conversation(api, "cut at " + end, penalised(request, left), penalised(turn("user", "More."), 8));
    }

    /// An answer that a string ends that goes across the end of a block, all of it seeded and with penalties.
    private static Conversation stopped(Api api, int end) throws Exception {
        ObjectNode request = padded(api, end - 6, chat("Tell me a story."));
        int left = end - promptTokens(api, request);
        for (int seed = 1; seed <= 20; seed++) {
            String stop = textAcross(ask(api, penalised(request, left + 6).put("seed", seed)), left);
            if (!stop.isEmpty()) {
                request.put("max_completion_tokens", left + 20).putArray("stop").add(stop);
                Conversation stopped = conversation(api, "stopped across " + end, request, penalised(turn("user", "More."), 8));
                assertThat(stopped.firstReply.finish()).isEqualTo("stop");
                return stopped;
            }
        }
        throw new AssertionError("no answer has a text of its own across token " + end);
    }

    /// A text of tokens on both sides of a place that an answer has once; empty when there is none.
    private static String textAcross(JsonNode answer, int place) {
        List<String> tokens = new ArrayList<>();
        answer.at("/choices/0/logprobs/content").forEach(each -> tokens.add(each.get("token").asText()));
        String text = answer.at("/choices/0/message/content").asText();
        for (int from = place - 1; from >= Math.max(1, place - 4); from--) {
            for (int to = place + 1; to <= Math.min(place + 4, tokens.size()); to++) {
                String stop = String.join("", tokens.subList(from, to));
                int found = text.indexOf(stop);
                if (found > 0 && found == text.lastIndexOf(stop) && found == String.join("", tokens.subList(0, from)).length()) {
                    return stop;
                }
            }
        }
        return "";
    }

    /// A call of a tool across the end of a block, and behind it what the tool said.
    private static Conversation calling(Api api) throws Exception {
        ObjectNode request = chat("Where is it?").put("tool_choice", "required").put("parallel_tool_calls", false)
                .put("max_completion_tokens", 120).put("temperature", 1.0).put("seed", 3);
        request.set("tools", MAPPER.readTree(TOOLS));
        padded(api, Math.ceilDiv(Math.max(BLOCK, promptTokens(api, request)) + 8, BLOCK) * BLOCK - 8, request);
        Conversation calling = conversation(api, "calling", request, penalised(turn("tool", "It is here."), 8));
        assertThat(calling.firstReply.calls()).hasSize(1).first().asString().startsWith("look: {\"room\":");
        assertThat(calling.firstReply.tokenIds()).as("a call that goes across the end of a block").hasSizeGreaterThan(8);
        return calling;
    }

    private static ObjectNode chat(String question) {
        ObjectNode request = turn("system", "a");
        request.withArray("messages").addObject().put("role", "user").put("content", question);
        return request;
    }

    private static ObjectNode turn(String role, String content) {
        ObjectNode request = MAPPER.createObjectNode().put("temperature", 0).put("enable_thinking", false).put("logprobs", true)
                .put("top_logprobs", 2).put("return_token_ids", true);
        ObjectNode message = request.putArray("messages").addObject().put("role", role).put("content", content);
        if (role.equals("tool")) {
            message.put("tool_call_id", "call_1");
        }
        return request;
    }

    /// So many tokens, none of which ends a turn.
    private static ObjectNode penalised(ObjectNode request, int tokens) {
        return request.put("temperature", 1.0).put("seed", 5).put("frequency_penalty", 0.6).put("presence_penalty", 0.4)
                .put("repetition_penalty", 1.2).put("max_completion_tokens", tokens).put("ignore_eos", true);
    }

    /// Makes the prompt about as long as wanted, by words of the system message.
    private static ObjectNode padded(Api api, int length, ObjectNode request) throws Exception {
        ObjectNode system = (ObjectNode) request.at("/messages/0");
        int one = promptTokens(api, request);
        system.put("content", "a" + " a".repeat(10));
        int perWord = (promptTokens(api, request) - one) / 10;
        system.put("content", "a" + " a".repeat((length - one) / perWord));
        assertThat(promptTokens(api, request)).isBetween(length - perWord, length);
        return request;
    }

    private static int promptTokens(Api api, ObjectNode request) throws Exception {
        Api.Answer rendered = api.post("/v1/chat/completions/render", request.toString());
        assertThat(rendered.status()).as(rendered.text()).isEqualTo(200);
        return rendered.json().get("count").intValue();
    }

    private static Conversation conversation(Api api, String name, ObjectNode first, ObjectNode second) throws Exception {
        Reply alone = Reply.of(ask(api, first));
        JsonNode two = ask(api, first.deepCopy().put("n", 2));
        create(api, "copy");
        assertThat(goOn(api, "copy", first)).as("%s, in a session", name).isEqualTo(alone);
        Reply behind = goOn(api, "copy", second);
        assertThat(api.send(api.request("/v1/sessions/copy").DELETE().build()).status()).isEqualTo(200);
        return new Conversation(name, first, second, alone, List.of(Reply.of(two, 0), Reply.of(two, 1)), behind);
    }

    private static JsonNode ask(Api api, ObjectNode request) throws Exception {
        Api.Answer answer = api.post("/v1/chat/completions", request.toString());
        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        return answer.json();
    }

    private static Reply goOn(Api api, String session, ObjectNode request) throws Exception {
        return Reply.of(ask(api, request.deepCopy().put("session_id", session)));
    }

    private static void create(Api api, String session) throws Exception {
        assertThat(api.post("/v1/sessions", "{\"name\":\"" + session + "\"}").status()).isEqualTo(200);
    }

    private static void forkOf(Api api, String session, String name) throws Exception {
        assertThat(api.post("/v1/sessions/" + session + "/fork", "{\"name\":\"" + name + "\"}").status()).isEqualTo(200);
    }

    private static void assertSame(Conversation conversation, String what, Reply actual, Reply expected) {
        assertThat(actual).as("%s, %s", conversation.name, what).isEqualTo(expected);
    }

    private static void coldFromTheCacheAndAsChoices(Api api, Conversation each) throws Exception {
        api.awaitRest();
        assertThat(api.post("/v1/cache/reset", "{}").status()).isEqualTo(200);
        JsonNode cold = ask(api, each.first);
        JsonNode warm = ask(api, each.first);
        JsonNode two = ask(api, each.first.deepCopy().put("n", 2));

        assertSame(each, "cold", Reply.of(cold), each.firstReply);
        assertSame(each, "from the cache", Reply.of(warm), each.firstReply);
        assertThat(cold.at("/usage/prompt_tokens_details/cached_tokens").intValue()).isZero();
        if (warm.at("/usage/prompt_tokens").intValue() > BLOCK + 16) {
            assertThat(warm.at("/usage/prompt_tokens_details/cached_tokens").intValue()).as(each.name).isGreaterThanOrEqualTo(BLOCK);
        }
        assertThat(List.of(Reply.of(two, 0), Reply.of(two, 1))).as("%s, two choices", each.name).isEqualTo(each.choices);
    }

    /// All at once while answers of a lower priority have all places: some of those have to leave.
    private static void among(Api api, Asked lasting, List<Conversation> all) throws Exception {
        List<Asked> urgent = all.stream().map(each -> new Asked(each.first, each.firstReply)).toList();
        try (ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<Reply>> first = submit(clients, api, Collections.nCopies(Served.PLACES, lasting), 5);
            Waiting.until("all places to be taken", Duration.ofSeconds(60),
                    () -> api.metricSum("vllm:num_requests_running", "") == Served.PLACES);
            List<Future<Reply>> behind = submit(clients, api, urgent, 0);
            for (int i = 0; i < behind.size(); i++) {
                assertSame(all.get(i), "before others", behind.get(i).get(), all.get(i).firstReply);
            }
            for (Future<Reply> each : first) {
                assertThat(each.get()).as("an answer that others go before").isEqualTo(lasting.reply);
            }
        }
        assertThat(api.metricSum("sidewinder_preemptions_total", "method=\"suspend")).as("times that one had to leave").isPositive();
    }

    private static List<Future<Reply>> submit(ExecutorService clients, Api api, List<Asked> all, int priority) {
        List<Future<Reply>> replies = new ArrayList<>();
        for (Asked each : all) {
            ObjectNode request = each.request.deepCopy().put("cache_salt", priority + " among " + replies.size()).put("priority", priority);
            replies.add(clients.submit(() -> Reply.of(ask(api, request))));
        }
        return replies;
    }

    /// A session and its fork at once, beside another fork that says something else; two forks stay as they are.
    private static void fork(Api api, Conversation each, int number) throws Exception {
        String parent = "parent-" + number;
        create(api, parent);
        assertSame(each, "first turn", goOn(api, parent, each.first), each.firstReply);
        forkOf(api, parent, "fork-" + number);
        assertThat(api.send(api.request("/v1/sessions/fork-" + number + "/suspend").POST(HttpRequest.BodyPublishers.noBody()).build()).status()).isEqualTo(200);
        forkOf(api, parent, "other-" + number);
        goOn(api, "other-" + number, penalised(turn("user", "No."), 3));
        forkOf(api, parent, "left-" + number);
        forkOf(api, parent, "right-" + number);
        try (ExecutorService clients = Executors.newVirtualThreadPerTaskExecutor()) {
            Future<Reply> left = clients.submit(() -> goOn(api, "left-" + number, each.second));
            assertSame(each, "a fork", goOn(api, "right-" + number, each.second), each.secondReply);
            assertSame(each, "another fork", left.get(), each.secondReply);
        }
    }
}
