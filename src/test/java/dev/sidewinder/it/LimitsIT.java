package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.EventReader;
import dev.sidewinder.it.support.RawHttp;
import dev.sidewinder.it.support.ServerProcess;
import dev.sidewinder.it.support.Waiting;
import java.io.IOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// Times, connections and secrets: what holds besides the limits of a single request.
class LimitsIT {

    private static final int CONNECTIONS = 12;
    private static final String CANARY = "canary-6f1d0c";

    private static ServerProcess server;
    private static Api api;

    @BeforeAll
    static void start() {
        server = ServerProcess.start("--max-num-seqs", "1", "--max-model-len", "200000", "--http-heartbeat", "1s",
                "--http-stream-commit-after", "1s", "--limits-connections-per-address", Integer.toString(CONNECTIONS),
                "--log-level", "debug");
        api = server.api();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @Test
    void showsThatAStreamLivesWhileItWaits() throws Exception {
        try (EventReader first = api.stream("/v1/completions", endless())) {
            assertThat(first.next()).isNotNull();

            // when a chat has to wait for its turn
            try (EventReader waiting = api.stream("/v1/chat/completions",
                    "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":true,\"max_tokens\":2}")) {
                // then it is opened all the same, with the role and then with heartbeats
                assertThat(waiting.status()).isEqualTo(200);
                JsonNode role = waiting.next().json();
                assertThat(role.at("/choices/0/delta/role").asText()).isEqualTo("assistant");
                assertThat(waiting.next()).isEqualTo(new EventReader.Event(":", "ping"));
                assertThat(waiting.next()).isEqualTo(new EventReader.Event(":", "ping"));

                // and it comes to its end when it is its turn
                first.close();
                assertThat(waiting.all().getLast().isDone()).isTrue();
            }
        }
        api.awaitRest();
    }

    @Test
    void endsARequestAtTheDeadlineItsClientSet() throws Exception {
        String plain = endless().replace("\"stream\":true", "\"stream\":false");
        Api.Answer late = api.send(api.post("/v1/completions", plain.getBytes(StandardCharsets.UTF_8))
                .header("x-request-timeout-ms", "700").build());
        assertThat(late.status()).isEqualTo(504);
        assertThat(late.code()).isEqualTo("deadline_exceeded");

        Api.Answer wrong = api.send(api.post("/v1/completions", plain.getBytes(StandardCharsets.UTF_8))
                .header("x-request-timeout-ms", "soon").build());
        assertThat(wrong.status()).isEqualTo(400);
        api.awaitRest();
    }

    @Test
    void endsAStreamAtTheDeadlineWithAnError() throws Exception {
        String answer = api.send(api.post("/v1/completions", endless().getBytes(StandardCharsets.UTF_8))
                .header("x-request-timeout-ms", "3000").build()).text();

        assertThat(answer).contains("event: error\ndata: {\"error\":").contains("deadline_exceeded").doesNotContain("[DONE]");
        api.awaitRest();
    }

    @Test
    void closesConnectionsBeyondTheBoundOfAnAddress() throws Exception {
        List<Socket> sockets = new ArrayList<>();
        int refused = 0;
        try {
            for (int i = 0; i < CONNECTIONS + 10; i++) {
                Socket socket = server.raw().open();
                sockets.add(socket);
                String answer = RawHttp.answer(socket, "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
                refused += answer.isEmpty() ? 1 : 0;
            }
        } finally {
            for (Socket socket : sockets) {
                socket.close();
            }
        }
        assertThat(refused).isGreaterThanOrEqualTo(10);
        Waiting.until("their places to be free again", Duration.ofSeconds(60), () -> {
            try {
                return server.api().get("/health/live").status() == 200;
            } catch (IOException e) {
                // the server has not seen all of them go
                return false;
            }
        });
    }

    @Test
    void keepsWhatClientsWriteOutOfItsLog() throws Exception {
        api.post("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"" + CANARY + "\"}],\"max_tokens\":2,"
                + "\"user\":\"" + CANARY + "\",\"stop\":[\"" + CANARY + "\"]}");
        api.post("/v1/completions", "{\"prompt\":\"" + CANARY + "\",\"n\":\"" + CANARY + "\"}");
        api.post("/v1/completions", "{\"prompt\":\"" + CANARY + "\" broken");
        api.post("/v1/completions", "{\"prompt\":\"x\",\"model\":\"a\\r\\n2026-11-22 ERROR forged\\u001b[31m\"}");
        api.post("/v1/completions", "{\"prompt\":\"x\",\"max_tokens\":1,\"un\\nknown" + "\":1}");
        api.awaitRest();

        assertThat(server.log()).anyMatch(line -> line.contains("DEBUG"))
                .noneMatch(line -> line.contains(CANARY) || line.contains("forged") || line.contains("\u001b"));
    }

    private static String endless() {
        return "{\"prompt\":[7],\"stream\":true,\"ignore_eos\":true,\"temperature\":1,\"max_tokens\":190000}";
    }
}
