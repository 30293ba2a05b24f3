package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.RawHttp2;
import dev.sidewinder.it.support.ServerProcess;
import dev.sidewinder.it.support.Waiting;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// HTTP/2 as nobody should speak it: floods of frames, windows that never open, headers without end. The connection that
/// does it is ended, the server goes on and holds nothing of it.
class Http2IT {

    private static final Duration SOON = Duration.ofSeconds(30);
    private static final int INITIAL_WINDOW_SIZE = 4;
    /// More than any limit on frames lets through.
    private static final int FLOOD = 30_000;
    private static final String SMALL = "{\"prompt\":[1,2],\"max_tokens\":2,\"ignore_eos\":true}";
    private static final String ENDLESS = "{\"prompt\":[7],\"stream\":true,\"ignore_eos\":true,\"max_tokens\":190000}";

    private static ServerProcess server;
    private static Api api;

    @BeforeAll
    static void start() {
        server = ServerProcess.start("--max-num-seqs", "32", "--max-model-len", "200000", "--limits-stream-stall", "4s",
                "--limits-header-time", "5s", "--backend", "stub");
        api = server.api();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @AfterEach
    void goesOn() throws Exception {
        assertThat(api.post("/v1/completions", SMALL).status()).isEqualTo(200);
        api.awaitRest();
        assertThat(server.log()).noneMatch(line -> line.contains("ERROR") || line.startsWith("\tat "));
    }

    @Test
    void answersAsTheFramesSay() throws Exception {
        try (RawHttp2 client = connect()) {
            post(client, 1, SMALL);

            assertThat(client.await(RawHttp2.HEADERS).stream()).isEqualTo(1);
            RawHttp2.Frame data = client.await(RawHttp2.DATA);
            while (data.flags() != RawHttp2.END_STREAM) {
                data = client.await(RawHttp2.DATA);
            }
        }
    }

    @Test
    void cutsOffReadersWhoseWindowsStayShut() throws Exception {
        double before = slowReaders();
        // given streams whose windows are shut from the start
        try (RawHttp2 client = connect(INITIAL_WINDOW_SIZE, 0)) {
            for (int i = 0; i < 20; i++) {
                post(client, 2 * i + 1, ENDLESS);
            }

            // then they cost no more than their buffers, and each is reset in the end
            Waiting.until("all of them to be cut off", SOON, () -> {
                assertThat(api.metricSum("sidewinder_stream_buffer_bytes", "")).isLessThanOrEqualTo(20 * (256.0 * 1024));
                return slowReaders() == before + 20;
            });
            assertThat(client.await(RawHttp2.RST_STREAM)).isNotNull();
        }
    }

    @Test
    void keepsNoMoreThanItsBufferForAWindowThatOpensAByteAtATime() throws Exception {
        try (RawHttp2 client = connect(INITIAL_WINDOW_SIZE, 1)) {
            post(client, 1, ENDLESS);
            assertThat(client.await(RawHttp2.DATA).length()).isEqualTo(1);
            for (int i = 0; i < 20; i++) {
                client.send(RawHttp2.WINDOW_UPDATE, 0, 1, (byte) 0, (byte) 0, (byte) 0, (byte) 1);
                assertThat(client.await(RawHttp2.DATA).length()).isEqualTo(1);
            }
            assertThat(api.metricSum("sidewinder_stream_buffer_bytes", "")).isLessThanOrEqualTo(256.0 * 1024);
        }
    }

    @Test
    void resetsAStreamWhoseWindowGrowsBeyondEverything() throws Exception {
        try (RawHttp2 client = connect()) {
            post(client, 1, ENDLESS);
            for (int i = 0; i < 2; i++) {
                client.send(RawHttp2.WINDOW_UPDATE, 0, 1, (byte) 0x7f, (byte) 0xff, (byte) 0xff, (byte) 0xff);
            }

            assertThat(client.await(RawHttp2.RST_STREAM).code()).as("FLOW_CONTROL_ERROR").isEqualTo(3);
        }
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "SETTINGS, 4, 0, 0, 0", "PING, 6, 0, 0, 8", "empty DATA, 0, 0, 1, 0", "DATA with nothing but padding, 0, 8, 1, 1"})
    void endsAConnectionThatFloods(String what, int type, int flags, int stream, int payloadBytes) throws Exception {
        try (RawHttp2 client = connect()) {
            if (stream != 0) {
                client.send(RawHttp2.HEADERS, RawHttp2.END_HEADERS, stream, RawHttp2.post("/v1/completions"));
            }

            boolean letThrough = client.flood(FLOOD, type, flags, stream, new byte[payloadBytes]);

            assertThat(!letThrough || client.isClosedByServer()).as("the server ends the connection").isTrue();
        }
    }

    @Test
    void endsAnUpgradedConnectionThatFloods() throws Exception {
        try (RawHttp2 client = RawHttp2.upgraded(server.raw().open())) {
            assertThat(client.await(RawHttp2.HEADERS).stream()).isEqualTo(1);

            boolean letThrough = client.flood(FLOOD, RawHttp2.PING, 0, 0, new byte[8]);

            assertThat(!letThrough || client.isClosedByServer()).as("the server ends the connection").isTrue();
        }
    }

    @Test
    void endsAConnectionThatResetsStreamAfterStream() throws Exception {
        try (RawHttp2 client = connect()) {
            boolean letThrough = true;
            for (int i = 0; i < 2000 && letThrough; i++) {
                letThrough = client.flood(1, RawHttp2.HEADERS, RawHttp2.END_HEADERS, 2 * i + 1, RawHttp2.post("/v1/completions"))
                        && client.flood(1, RawHttp2.RST_STREAM, 0, 2 * i + 1, new byte[4]);
            }

            assertThat(!letThrough || client.isClosedByServer()).as("the server ends the connection").isTrue();
        }
    }

    @Test
    void endsAConnectionWhoseHeadersGoOnWithoutEnd() throws Exception {
        try (RawHttp2 client = connect()) {
            client.send(RawHttp2.HEADERS, RawHttp2.END_STREAM, 1, RawHttp2.post("/v1/completions"));

            boolean letThrough = client.flood(FLOOD, RawHttp2.CONTINUATION, 0, 1, RawHttp2.headers("x", "y".repeat(1000)));

            assertThat(!letThrough || client.isClosedByServer()).as("the server ends the connection").isTrue();
        }
    }

    @Test
    void endsAConnectionThatContinuesItsHeadersWithNothing() throws Exception {
        try (RawHttp2 client = connect()) {
            client.send(RawHttp2.HEADERS, RawHttp2.END_STREAM, 1, RawHttp2.post("/v1/completions"));

            boolean letThrough = client.flood(FLOOD, RawHttp2.CONTINUATION, 0, 1);

            assertThat(!letThrough || client.isClosedByServer()).as("the server ends the connection").isTrue();
        }
    }

    @Test
    void refusesStreamsBeyondTheirNumber() throws Exception {
        try (RawHttp2 client = connect()) {
            // requests whose bodies never come
            for (int i = 0; i < 300; i++) {
                client.send(RawHttp2.HEADERS, RawHttp2.END_HEADERS, 2 * i + 1, RawHttp2.post("/v1/completions"));
            }

            RawHttp2.Frame refused = client.await(RawHttp2.RST_STREAM);
            assertThat(refused.code()).as("REFUSED_STREAM").isEqualTo(7);
            assertThat(refused.stream()).isGreaterThan(2 * 256);
        }
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({
        "a frame above its size,           0, 0, 1, 16385",
        "SETTINGS of a length that is none, 4, 0, 0, 5",
        "PING of a length that is none,     6, 0, 0, 7",
        "PING on a stream,                  6, 0, 1, 8",
        "WINDOW_UPDATE by nothing,          8, 0, 0, 4",
        "CONTINUATION of nothing,           9, 4, 1, 1",
        "HEADERS on an even stream,         1, 5, 2, 0",
        "HEADERS that are no HPACK,         1, 5, 1, 64",
        "GOAWAY of a length that is none,   7, 0, 0, 3",
        "PUSH_PROMISE from a client,        5, 4, 1, 8"})
    void endsAConnectionThatBreaksTheRules(String what, int type, int flags, int stream, int payloadBytes) throws Exception {
        byte[] payload = new byte[payloadBytes];
        if (type == RawHttp2.HEADERS) {
            java.util.Arrays.fill(payload, (byte) 0xff);
        }
        try (RawHttp2 client = connect()) {
            client.flood(1, type, flags, stream, payload);

            assertThat(client.isClosedByServer()).as("the server ends the connection").isTrue();
        }
    }

    @Test
    void looksPastFramesItDoesNotKnow() throws Exception {
        try (RawHttp2 client = connect()) {
            for (int i = 0; i < 50; i++) {
                client.send(0xfa, 0xff, 0, new byte[100]);
                client.send(RawHttp2.PRIORITY, 0, 2 * i + 1, (byte) 0, (byte) 0, (byte) 0, (byte) 0, (byte) 16);
            }
            post(client, 101, SMALL);

            assertThat(client.await(RawHttp2.HEADERS).stream()).isEqualTo(101);
        }
    }

    private static RawHttp2 connect(int... settings) throws Exception {
        return new RawHttp2(server.raw().open(), settings);
    }

    private static void post(RawHttp2 client, int stream, String body) throws Exception {
        client.send(RawHttp2.HEADERS, RawHttp2.END_HEADERS, stream, RawHttp2.post("/v1/completions"));
        client.send(RawHttp2.DATA, RawHttp2.END_STREAM, stream, body.getBytes(StandardCharsets.US_ASCII));
    }

    private static double slowReaders() throws Exception {
        return api.metric("sidewinder_aborts_total{engine=\"0\",reason=\"slow_reader\"}");
    }
}
