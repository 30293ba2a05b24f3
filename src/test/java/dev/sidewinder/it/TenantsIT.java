package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.KeyFile;
import dev.sidewinder.it.support.ServerProcess;
import dev.sidewinder.it.support.Waiting;
import java.net.http.HttpRequest;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Keys beside each other: turns, places in the queue, prefixes and sessions. Order is counted in requests and tokens, never in time.
class TenantsIT {

    private static final Duration SOON = Duration.ofSeconds(60);
    private static final int RUNNING = 2;
    private static final int PLACES = 400;
    /// What a greedy key may have of the places: as many as it leaves free.
    private static final int SHARE = PLACES / 2;
    private static final int PROMPT_TOKENS = 100;
    private static final int ANSWER_TOKENS = 28;
    /// A round of the turns, for a key of weight 1.
    private static final int ROUND_TOKENS = 2048;

    @TempDir
    static Path folder;

    private static ServerProcess server;
    private static Api watcher;

    @BeforeAll
    static void start() throws Exception {
        Path keys = new KeyFile(folder).with("greedy", "inference").with("modest", "inference").with("heavy", "inference", "weight=3")
                .with("ops", "inference,operator,metrics").write();
        server = ServerProcess.start("--api-key-file", keys.toString(), "--max-num-seqs", Integer.toString(RUNNING), "--max-num-queued-reqs",
                Integer.toString(PLACES), "--max-model-len", "200000", "--session-folder", folder.resolve("sessions").toString());
        watcher = with("ops");
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    /// A test that fails leaves sessions behind; the others are to have the server for themselves all the same.
    @AfterEach
    void rest() throws Exception {
        for (String id : List.of("greedy", "modest")) {
            Api api = with(id);
            for (JsonNode session : api.get("/v1/sessions").json().path("data")) {
                api.send(api.request("/v1/sessions/" + session.path("id").asText()).DELETE().build());
            }
        }
        watcher.awaitRest();
    }

    private static Api with(String id) {
        return server.api().withKey(KeyFile.keyOf(id));
    }

    private static String prompt(int tokens, int salt) {
        return IntStream.range(0, tokens).mapToObj(i -> Integer.toString((i * 7 + salt * 13) % 200 + 3)).collect(Collectors.joining(",", "[", "]"));
    }

    private static String request(int salt, int answer, boolean stream) {
        return "{\"prompt\":" + prompt(PROMPT_TOKENS, salt) + ",\"max_tokens\":" + answer + ",\"ignore_eos\":true,\"stream\":" + stream + "}";
    }

    private static void awaitQueue(int requests) throws Exception {
        Waiting.until(requests + " to wait", SOON, () -> queued() == requests);
    }

    private static int queued() {
        try {
            return (int) watcher.metricSum("sidewinder_queue_requests", "");
        } catch (Exception e) {
            throw new AssertionError(e);
        }
    }

    /// Takes all places of the batch, until closed. To be closed before the threads of those that wait behind it.
    private static final class Plugs implements AutoCloseable {

        private final List<EventReader> readers = new ArrayList<>();

        static Plugs open() throws Exception {
            var plugs = new Plugs();
            try {
                plugs.fill();
                return plugs;
            } catch (Exception | AssertionError failure) {
                plugs.close();
                throw failure;
            }
        }

        private void fill() throws Exception {
            for (int i = 0; i < RUNNING; i++) {
                EventReader reader = watcher.stream("/v1/completions", request(900 + i, 150_000, true));
                readers.add(reader);
                assertThat(reader.next()).isNotNull();
                Thread.ofVirtual().start(() -> {
                    try {
                        reader.all();
                    } catch (Exception closed) {
                        // as it is meant to be
                    }
                });
            }
        }

        /// A second call does nothing.
        @Override
        public void close() throws Exception {
            for (EventReader reader : readers) {
                reader.close();
            }
        }
    }

    /// Sends requests of a key, and notes its name whenever one of them is complete.
    private static List<Future<Api.Answer>> flood(ExecutorService threads, String id, int count, Queue<String> order) {
        Api api = with(id);
        List<Future<Api.Answer>> answers = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int salt = i;
            answers.add(threads.submit(() -> {
                Api.Answer answer = api.post("/v1/completions", request(salt, ANSWER_TOKENS, false));
                if (answer.status() == 200) {
                    order.add(id);
                }
                return answer;
            }));
        }
        return answers;
    }

    @Test
    void givesAKeyItsTurnHoweverManyRequestsAnotherHasSent() throws Exception {
        Queue<String> order = new ConcurrentLinkedQueue<>();
        // given a batch that is full, and a key that sends more than may wait
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor(); Plugs plugs = Plugs.open()) {
            List<Future<Api.Answer>> floods = flood(threads, "greedy", SHARE + 30, order);
            Waiting.until("the share of the queue to be used up", SOON, () -> floods.stream().filter(Future::isDone).count() == 30);
            awaitQueue(SHARE);
            for (Future<Api.Answer> refused : floods.stream().filter(Future::isDone).toList()) {
                checkRefusal(refused.get());
            }
            // when another key sends one request, and the batch gets free
            Future<Api.Answer> late = threads.submit(() -> with("modest").post("/v1/completions", request(1, ANSWER_TOKENS, false)));
            awaitQueue(SHARE + 1);
            plugs.close();

            // then the other one goes after a round, and so do those that it sends later
            int before = 0;
            int bound = ROUND_TOKENS / PROMPT_TOKENS + RUNNING + 4;
            for (int turn = 0; turn < 4; turn++) {
                assertThat(late.get().status()).as(late.get().text()).isEqualTo(200);
                int now = order.size();
                assertThat(now - before).as("requests of the greedy key that went before, turn %d", turn).isLessThanOrEqualTo(bound);
                assertThat(now).as("there are still some that wait").isLessThan(SHARE);
                before = now;
                int number = turn;
                late = threads.submit(() -> with("modest").post("/v1/completions", request(50 + number, ANSWER_TOKENS, false)));
            }
            assertThat(late.get().status()).isEqualTo(200);
            for (Future<Api.Answer> flood : floods) {
                assertThat(flood.get().status()).isIn(200, 429);
            }
        }
        assertThat(order).hasSize(SHARE);
    }

    private static void checkRefusal(Api.Answer refused) {
        assertThat(refused.status()).as(refused.text()).isEqualTo(429);
        assertThat(refused.code()).isEqualTo("rate_limit_exceeded");
        assertThat(refused.json().at("/error/type").asText()).isEqualTo("rate_limit_error");
        assertThat(refused.header("x-should-retry")).isEqualTo("true");
        assertThat(Integer.parseInt(refused.header("retry-after"))).isBetween(1, 36);
    }

    @Test
    void servesKeysByTheirWeightsWhileBothWait() throws Exception {
        Queue<String> order = new ConcurrentLinkedQueue<>();
        int each = 120;
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor(); Plugs plugs = Plugs.open()) {
            flood(threads, "modest", each, order);
            awaitQueue(each);
            flood(threads, "heavy", each, order);
            awaitQueue(2 * each);
            plugs.close();
        }
        // then three of four tokens were those of weight 3, as long as it had something waiting
        List<String> done = List.copyOf(order);
        assertThat(done).hasSize(2 * each);
        int both = done.lastIndexOf("heavy") + 1;
        int modest = (int) done.subList(0, both).stream().filter("modest"::equals).count();
        int round = ROUND_TOKENS / (PROMPT_TOKENS + ANSWER_TOKENS) + 1;
        assertThat(modest).as("of %d requests, while both waited", both).isBetween(each / 3 - round - RUNNING, each / 3 + round + RUNNING);
    }

    @Test
    void tellsNobodyWhatAnotherKeyHasInTheCache() throws Exception {
        String body = "{\"prompt\":" + prompt(300, 5) + ",\"max_tokens\":2,\"ignore_eos\":true,\"cache_explain\":true}";
        assertThat(cached(with("greedy"), body)).isZero();
        assertThat(cached(with("greedy"), body)).isEqualTo(256);

        JsonNode other = with("modest").post("/v1/completions", body).json().path("usage");
        assertThat(other.at("/prompt_tokens_details/cached_tokens").intValue()).isZero();
        assertThat(other.path("sidewinder_cache").toString()).isEqualTo(
                "{\"kv_hit_tokens\":0,\"state_hit_tokens\":0,\"reused_tokens\":0,\"recomputed_tokens\":0,\"snapshot\":null,\"miss_reason\":\"cold\","
                        + "\"diverged_at\":null,\"partition\":\"tenant\"}");
    }

    private static int cached(Api api, String body) throws Exception {
        Api.Answer answer = api.post("/v1/completions", body);
        assertThat(answer.status()).as(answer.text()).isEqualTo(200);
        return answer.json().at("/usage/prompt_tokens_details/cached_tokens").intValue();
    }

    @Test
    void letsAKeyDropItsOwnPrefixesAndAnOperatorAll() throws Exception {
        String plain = "{\"prompt\":" + prompt(300, 6) + ",\"max_tokens\":1}";
        String salted = "{\"prompt\":" + prompt(300, 6) + ",\"max_tokens\":1,\"cache_salt\":\"s\"}";
        for (String id : List.of("greedy", "modest")) {
            cached(with(id), plain);
            cached(with(id), salted);
        }
        // a salt of its own
        assertThat(with("greedy").post("/v1/cache/reset", "{\"cache_salt\":\"s\"}").json().path("dropped_states").intValue()).isPositive();
        assertThat(List.of(cached(with("greedy"), plain), cached(with("greedy"), salted), cached(with("modest"), salted)))
                .containsExactly(256, 0, 256);
        // all of its own
        assertThat(with("greedy").post("/v1/cache/reset", "{}").status()).isEqualTo(200);
        assertThat(List.of(cached(with("greedy"), plain), cached(with("greedy"), salted), cached(with("modest"), plain),
                cached(with("modest"), salted))).containsExactly(0, 0, 256, 256);
        // all of everybody
        assertThat(with("ops").post("/v1/cache/reset", "{}").status()).isEqualTo(200);
        assertThat(List.of(cached(with("greedy"), plain), cached(with("modest"), plain), cached(with("modest"), salted))).containsExactly(0, 0, 0);
    }

    @Test
    void hasTheSessionsOfOthersAsIfTheyWereNotThere() throws Exception {
        Api greedy = with("greedy");
        Api modest = with("modest");
        assertThat(greedy.post("/v1/sessions", "{\"name\":\"plans\",\"prompt\":[5,6,7]}").status()).isEqualTo(200);

        // for another key the name means what any other name means
        for (String path : List.of("/v1/sessions/plans", "/v1/sessions/nothing")) {
            assertThat(modest.get(path).status()).isEqualTo(404);
            assertThat(modest.send(modest.request(path).DELETE().build()).status()).isEqualTo(404);
            for (String deed : List.of("/suspend", "/resume")) {
                assertThat(bare(modest, path + deed).code()).isEqualTo("not_found");
            }
            assertThat(modest.post(path + "/fork", "{\"name\":\"mine\"}").status()).isEqualTo(404);
        }
        assertThat(withoutId(modest.get("/v1/sessions/plans"))).isEqualTo(withoutId(modest.get("/v1/sessions/nothing")));
        assertThat(modest.post("/v1/completions", "{\"prompt\":[9],\"max_tokens\":1,\"session_id\":\"plans\"}").status()).isEqualTo(404);
        assertThat(modest.get("/v1/sessions").json().path("data")).isEmpty();

        // and it may have one of the same name
        assertThat(modest.post("/v1/sessions", "{\"name\":\"plans\",\"prompt\":[1,2,3,4]}").status()).isEqualTo(200);
        assertThat(greedy.get("/v1/sessions/plans").json().path("tokens").intValue()).isEqualTo(3);
        assertThat(modest.get("/v1/sessions/plans").json().path("tokens").intValue()).isEqualTo(4);

        // nor does a file of the other's session serve it
        Set<Path> none = files();
        assertThat(bare(greedy, "/v1/sessions/plans/suspend").status()).isEqualTo(200);
        Path greedyFile = only(files(), none);
        Set<Path> one = files();
        assertThat(bare(modest, "/v1/sessions/plans/suspend").status()).isEqualTo(200);
        Path modestFile = only(files(), one);
        Files.write(modestFile, Files.readAllBytes(greedyFile));
        Api.Answer stolen = bare(modest, "/v1/sessions/plans/resume");
        assertThat(stolen.status()).as(stolen.text()).isEqualTo(409);
        assertThat(stolen.code()).isEqualTo("session_incompatible");
        for (Api api : List.of(greedy, modest)) {
            assertThat(api.send(api.request("/v1/sessions/plans").DELETE().build()).status()).isEqualTo(200);
        }
    }

    private static Api.Answer bare(Api api, String path) throws Exception {
        return api.send(api.request(path).POST(HttpRequest.BodyPublishers.noBody()).build());
    }

    private static String withoutId(Api.Answer answer) {
        return answer.text().replaceAll("\"request_id\":\"[^\"]*\"", "");
    }

    private static Set<Path> files() throws Exception {
        try (Stream<Path> files = Files.list(folder.resolve("sessions"))) {
            return files.collect(Collectors.toSet());
        }
    }

    private static Path only(Set<Path> now, Set<Path> before) {
        Set<Path> made = new HashSet<>(now);
        made.removeAll(before);
        assertThat(made).hasSize(1);
        return made.iterator().next();
    }
}
