package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.ServerProcess;
import dev.sidewinder.it.support.Waiting;
import java.io.IOException;
import java.net.http.HttpClient;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/// What a server still holds when its traffic is over: as many files and threads as after the first round.
@EnabledOnOs(value = OS.LINUX, disabledReason = "counts files and threads in /proc")
class LeakIT {

    private static final int REQUESTS = 150;
    private static final int ROUNDS = 3;
    /// An event loop (two for a processor) starts when the first connection comes to it; a carrier of virtual threads or a
    /// compiler thread may come or go with the load. A leak grows with the requests.
    private static final int THREADS_THAT_COME_AND_GO = 8 + 3 * Runtime.getRuntime().availableProcessors();

    private static ServerProcess server;

    @BeforeAll
    static void start() {
        server = ServerProcess.start("--max-num-seqs", "8");
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @Test
    void holdsNothingAfterARoundOfTraffic() throws Exception {
        // given a server that has seen everything once
        traffic(0);
        long threads = held("task");
        long files = held("fd");

        // when the same comes again and again
        for (int round = 1; round <= ROUNDS; round++) {
            traffic(round);
        }

        // then no file is open that was not, and no thread runs for a request that is over
        Waiting.until("files to be closed: " + files + " before", Duration.ofSeconds(30), () -> held("fd") <= files);
        assertThat(held("task")).isLessThanOrEqualTo(threads + THREADS_THAT_COME_AND_GO);
    }

    /// Requests of all kinds at once: whole, streamed, left early, refused, several choices.
    private static void traffic(int seed) throws Exception {
        try (HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
                ExecutorService threads = Executors.newFixedThreadPool(16)) {
            var api = new Api(server.uri(), client);
            var random = new Random(seed);
            List<Callable<Void>> calls = new ArrayList<>();
            for (int i = 0; i < REQUESTS; i++) {
                int kind = random.nextInt(4);
                int tokens = 1 + random.nextInt(12);
                calls.add(() -> request(api, kind, tokens));
            }
            for (Future<Void> call : threads.invokeAll(calls)) {
                call.get();
            }
            api.awaitRest();
        }
    }

    private static Void request(Api api, int kind, int tokens) throws Exception {
        String chat = "\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"ignore_eos\":true,\"max_tokens\":";
        switch (kind) {
            case 0 -> assertThat(api.post("/v1/chat/completions", "{\"n\":2," + chat + tokens + "}").status()).isEqualTo(200);
            case 1 -> {
                try (EventReader stream = api.stream("/v1/chat/completions", "{\"stream\":true," + chat + tokens + "}")) {
                    assertThat(stream.all().getLast().isDone()).isTrue();
                }
            }
            case 2 -> {
                try (EventReader stream = api.stream("/v1/chat/completions", "{\"stream\":true," + chat + "2000}")) {
                    assertThat(stream.next()).isNotNull();
                }
            }
            default -> assertThat(api.post("/v1/chat/completions", "{\"temperature\":9," + chat + tokens + "}").status())
                    .isEqualTo(400);
        }
        return null;
    }

    /// Entries of a folder of the server's process: `fd` are its open files, `task` its threads.
    private static long held(String folder) throws IOException {
        try (Stream<Path> entries = Files.list(Path.of("/proc", Long.toString(server.pid()), folder))) {
            return entries.count();
        }
    }
}
