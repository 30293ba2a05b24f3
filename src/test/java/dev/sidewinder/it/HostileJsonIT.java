package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.ServerProcess;
import java.net.http.HttpRequest;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// Bodies that are meant to hurt. Each gets a 4xx in our envelope, and the good request beside them is not disturbed.
class HostileJsonIT {

    private static final String GOOD = "{\"prompt\":\"a good one\",\"max_tokens\":12,\"seed\":3,\"temperature\":1,\"ignore_eos\":true}";

    private static ServerProcess server;
    private static Api api;

    @BeforeAll
    static void start() {
        server = ServerProcess.start("--max-model-len", "65536");
        api = server.api();
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    @Test
    void getsAClearErrorForEachAndGoesOn() throws Exception {
        String expected = api.post("/v1/completions", GOOD).json().at("/choices/0").toString();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (byte[] body : corpus()) {
                for (String path : new String[] {"/v1/chat/completions", "/v1/completions", "/generate", "/tokenize"}) {
                    Future<Api.Answer> good = threads.submit(() -> api.post("/v1/completions", GOOD));
                    Api.Answer answer = api.send(api.post(path, body).build());

                    assertThat(answer.status()).as("%s with %s", path, shown(body)).isBetween(400, 413);
                    assertThat(answer.json().at("/error/type").asText()).isEqualTo("invalid_request_error");
                    assertThat(answer.header("x-should-retry")).isEqualTo("false");
                    assertThat(good.get().json().at("/choices/0").toString()).isEqualTo(expected);
                }
            }
        }
        api.awaitRest();
        assertThat(server.log()).noneMatch(line -> line.contains("ERROR") || line.startsWith("\tat "));
    }

    /// A megabyte that a tokenizer may choke on, and lists of a million: the answer is as clear, and the good request beside
    /// it is not held up.
    @Test
    void refusesTheVeryLongWithoutHoldingOthersUp() throws Exception {
        int million = 1_000_000;
        String expected = api.post("/v1/completions", GOOD).json().at("/choices/0").toString();
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            for (String text : new String[] {"a".repeat(million), "\\n".repeat(million), " ".repeat(million), "\uD83D\uDE00".repeat(million / 4),
                "\u202e\u200b".repeat(million / 6), "<|im_end|>".repeat(million / 10), "1".repeat(million), "!?".repeat(million / 2)}) {
                Future<Api.Answer> good = threads.submit(() -> api.post("/v1/completions", GOOD));
                assertRefused("/v1/completions", "{\"prompt\":\"" + text + "\"}", "context_length_exceeded");
                assertRefused("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"" + text + "\"}]}",
                        "context_length_exceeded");
                assertThat(good.get().json().at("/choices/0").toString()).isEqualTo(expected);
            }
            String ones = "1,".repeat(million) + "1";
            for (String[] body : new String[][] {
                {"/v1/completions", "{\"prompt\":[" + ones + "]}", "array_above_max_length"},
                {"/v1/completions", "{\"prompt\":[" + "[1],".repeat(million) + "[1]]}", "array_above_max_length"},
                {"/v1/completions", "{\"prompt\":\"a\",\"stop\":[" + "\"s\",".repeat(million) + "\"s\"]}", "array_above_max_length"},
                {"/v1/completions", "{\"prompt\":\"a\",\"stop_token_ids\":[" + ones + "]}", "array_above_max_length"},
                {"/v1/completions", "{\"prompt\":\"a\",\"allowed_token_ids\":[" + ones + "]}", "array_above_max_length"},
                {"/v1/chat/completions", "{\"messages\":[" + "{},".repeat(million) + "{}]}", "array_above_max_length"},
                {"/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":[" + ones + "]}]}", "array_above_max_length"}}) {
                Future<Api.Answer> good = threads.submit(() -> api.post("/v1/completions", GOOD));
                assertRefused(body[0], body[1], body[2]);
                assertThat(good.get().json().at("/choices/0").toString()).isEqualTo(expected);
            }
        }
        api.awaitRest();
    }

    private static void assertRefused(String path, String body, String code) throws Exception {
        Api.Answer answer = api.post(path, body);
        assertThat(answer.status()).as("%s with %s", path, shown(body.getBytes(StandardCharsets.UTF_8))).isEqualTo(400);
        assertThat(answer.code()).as("%s with %s", path, shown(body.getBytes(StandardCharsets.UTF_8))).isEqualTo(code);
    }

    @Test
    void survivesBodiesCutAtEachByte() throws Exception {
        String body = "{\"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9\\ud83d\\ude00\"}],\"max_tokens\":1,\"stop\":[\"x\"]}";
        for (int length = 0; length < body.length(); length++) {
            Api.Answer answer = api.post("/v1/chat/completions", body.substring(0, length));
            assertThat(answer.status()).as(body.substring(0, length)).isEqualTo(400);
            assertThat(answer.code()).isEqualTo("invalid_json");
        }
        assertThat(api.post("/v1/chat/completions", body).status()).isEqualTo(200);
    }

    @Test
    void survivesRandomChangesOfAGoodBody() throws Exception {
        long seed = 7;
        Random random = new Random(seed);
        byte[] good = GOOD.getBytes(StandardCharsets.UTF_8);
        for (int i = 0; i < 300; i++) {
            byte[] body = good.clone();
            for (int j = 0; j <= random.nextInt(3); j++) {
                body[random.nextInt(body.length)] = (byte) random.nextInt(256);
            }
            Api.Answer answer = api.send(api.post("/v1/completions", body).build());
            assertThat(answer.status()).as("seed %d, draw %d: %s", seed, i, shown(body)).isIn(200, 400, 404);
        }
        api.awaitRest();
    }

    @Test
    void refusesAnEmptyBody() throws Exception {
        Api.Answer answer = api.send(api.request("/v1/completions").header("content-type", "application/json")
                .POST(HttpRequest.BodyPublishers.noBody()).build());

        assertThat(answer.status()).isEqualTo(400);
    }

    /// Wrong for every route.
    private static List<byte[]> corpus() {
        List<byte[]> corpus = new ArrayList<>();
        for (String text : new String[] {
            "", " ", "null", "[]", "1", "\"x\"", "{", "}", "{]", "{\"a\"", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{'a':1}", "{}{}", "{} x",
            "[".repeat(100_000), "{\"a\":".repeat(100_000), "{\"prompt\":" + "[".repeat(100) + "]".repeat(100) + "}",
            "{\"prompt\":\"a\",\"prompt\":\"b\",\"messages\":[],\"messages\":[]}", "\uFEFF{}", "{\"n\":1e999,\"prompt\":\"a\"}",
            "{\"n\":NaN}", "{\"n\":Infinity}", "{\"n\":0x1}", "{\"n\":+1}", "{\"n\":01}", "{\"n\":1.}", "{\"n\":.5}", "{\"n\":--1}",
            "{\"n\":" + "9".repeat(10_000) + "}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\u0000\"}", "{\"a\":\"line\nbreak\"}",
            "{\"" + "k".repeat(100_000) + "\":1}", "{\"a\":tru}", "// comment\n{}", "{\"a\":1/*c*/}",
            "{\"prompt\":17,\"messages\":17,\"token_ids\":17}", "{\"prompt\":null}",
            "{\"prompt\":[-1],\"messages\":[-1],\"token_ids\":[-1]}", "{\"prompt\":[99999999],\"messages\":{},\"token_ids\":[99999999]}",
            "{\"prompt\":[1.5],\"messages\":[[]],\"token_ids\":[1.5]}", "{\"prompt\":[],\"messages\":[],\"token_ids\":[]}"}) {
            corpus.add(text.getBytes(StandardCharsets.UTF_8));
        }
        corpus.add("{\"a\":\"x\"}".getBytes(StandardCharsets.UTF_16));
        corpus.add(new byte[] {'{', '"', (byte) 0xC0, (byte) 0x80, '"', ':', '1', '}'});
        corpus.add(new byte[] {'{', '"', 'a', '"', ':', '"', (byte) 0xFF, '"', '}'});
        corpus.add(new byte[] {'{', '"', 'a', '"', ':', '"', (byte) 0xED, (byte) 0xA0, (byte) 0x80, '"', '}'});
        corpus.add(new byte[4096]);
        return corpus;
    }

    private static String shown(byte[] body) {
        String text = new String(body, 0, Math.min(body.length, 80), StandardCharsets.ISO_8859_1);
        return text + (body.length > 80 ? "… (" + body.length + " bytes)" : "");
    }
}
