package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.ServerProcess;
import dev.sidewinder.it.support.Waiting;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/// Readers that take nothing: they cost bounded memory, slow nobody, and lose their request.
class SlowReaderIT {

    private static final int READERS = 20;

    @Test
    void losesItsRequestAndSlowsNobody() throws Exception {
        try (ServerProcess server = ServerProcess.start("--backend", "stub", "--limits-stream-stall", "3s",
                "--max-model-len", "200000", "--max-num-seqs", "64")) {
            Api api = server.api();
            String body = "{\"prompt\":[7],\"stream\":true,\"ignore_eos\":true,\"max_tokens\":190000}";
            long alone = nanosOfTwentyAnswers(api);
            List<Socket> readers = new ArrayList<>();
            for (int i = 0; i < READERS; i++) {
                var socket = new Socket();
                socket.setReceiveBufferSize(4096);
                socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), server.port()));
                socket.getOutputStream().write(("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                        + "application/json\r\nContent-Length: " + body.length() + "\r\n\r\n" + body)
                        .getBytes(StandardCharsets.ISO_8859_1));
                readers.add(socket);
            }
            Waiting.until("readers to be slow", Duration.ofSeconds(60), () -> api.metricSum("sidewinder_slow_streams", "") > 0);

            // others go on meanwhile
            assertThat(nanosOfTwentyAnswers(api)).isLessThan(Math.max(Duration.ofSeconds(20).toNanos(), 20 * alone));

            // and the slow ones are cut off
            Waiting.until("all slow readers to be cut off", Duration.ofSeconds(60),
                    () -> api.metric("sidewinder_aborts_total{engine=\"0\",reason=\"slow_reader\"}") == READERS);
            api.awaitRest();
            for (Socket socket : readers) {
                socket.close();
            }
        }
    }

    private static long nanosOfTwentyAnswers(Api api) throws Exception {
        long start = System.nanoTime();
        for (int i = 0; i < 20; i++) {
            assertThat(api.post("/v1/completions", "{\"prompt\":[1,2],\"max_tokens\":20,\"ignore_eos\":true}").status()).isEqualTo(200);
            assertThat(api.metricSum("sidewinder_stream_buffer_bytes", "")).isLessThanOrEqualTo(READERS * (256.0 * 1024));
        }
        return System.nanoTime() - start;
    }
}
