package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.RawHttp;
import dev.sidewinder.it.support.ServerProcess;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.HttpVersion;
import java.net.Socket;
import java.net.SocketException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// HTTP as clients speak it, and as nobody should: routes, headers, versions, limits, and the corpus of hostile requests.
/// Whatever comes, the answer is our envelope and the server goes on.
class HttpIT {

    private static final String SMALL = "{\"prompt\":[1,2],\"max_tokens\":2,\"ignore_eos\":true}";

    private static ServerProcess server;
    private static Api api;

    @BeforeAll
    static void start() {
        server = ServerProcess.start("--limits-header-time", "2s", "--limits-body-time", "2s", "--limits-idle-time", "4s");
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
        assertThat(server.log().stream().filter(line -> line.contains("ERROR") || line.startsWith("\tat "))).isEmpty();
    }

    // ---- routes ----

    @ParameterizedTest
    @ValueSource(strings = {"/health", "/ping", "/health/live", "/health/ready", "/health/started", "/v1/health/live",
        "/v1/health/ready", "/v1/models", "/models", "/v1/v1/models", "/metrics", "/v1/metrics", "/version", "/v1/version",
        "/openapi.json"})
    void answersGetAndHeadAlike(String path) throws Exception {
        Api.Answer get = api.get(path);
        Api.Answer head = api.send(api.request(path).method("HEAD", HttpRequest.BodyPublishers.noBody()).build());

        assertThat(get.status()).isEqualTo(200);
        assertThat(get.header("x-request-id")).isNotBlank();
        assertThat(get.header("server")).isEqualTo("sidewinder");
        assertThat(head.status()).isEqualTo(200);
        assertThat(head.text()).isEmpty();
        assertThat(head.header("content-type")).isEqualTo(get.header("content-type"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"/v1/chat/completions", "/chat/completions", "/v1/v1/completions", "/completions", "/generate",
        "/v1/chat/completions/render", "/apply-template", "/v1/completions/render",
        "/tokenize", "/v1/tokenize", "/detokenize", "/v1/detokenize", "/v1/cache/reset", "/reset_prefix_cache"})
    void tellsWhichMethodAPathTakes(String path) throws Exception {
        Api.Answer answer = api.get(path);

        assertError(answer, 405, "method_not_allowed");
        assertThat(answer.header("allow")).isEqualTo("POST");
        assertError(api.send(api.request(path).method("OPTIONS", HttpRequest.BodyPublishers.noBody()).build()), 405,
                "method_not_allowed");
    }

    @Test
    void refusesOtherMethodsWhereGetWorks() throws Exception {
        for (String method : new String[] {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "FROB"}) {
            Api.Answer answer = api.send(api.request("/v1/models").method(method, HttpRequest.BodyPublishers.noBody()).build());

            assertError(answer, 405, "method_not_allowed");
            assertThat(answer.header("allow")).isEqualTo("GET, HEAD");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"/", "/nope", "/v1", "/v1/", "/v1//models", "/v1/models/", "/health/..%2fmetrics", "/q/dev",
        "/internal/micrometer", "/openapi", "/v1/models/a%2F..%2Fb", "/metrics;x=1", "/%6detrics", "/favicon.ico"})
    void hasOneAnswerForWhatIsNotThere(String path) throws Exception {
        assertError(api.get(path), 404, "not_found");
    }

    @ParameterizedTest
    @ValueSource(strings = {"/v1/embeddings", "/v1/audio/speech", "/v1/responses", "/v1/messages", "/v1/v1/embeddings"})
    void namesWhatItDoesNotOffer(String path) throws Exception {
        Api.Answer answer = api.post(path, "{}");

        assertError(answer, 404, "unsupported_endpoint");
        assertThat(answer.json().at("/error/message").asText()).contains(path);
    }

    @Test
    void describesItselfWithTheBoundsInForce() throws Exception {
        JsonNode document = api.get("/openapi.json").json();
        Api.Answer yaml = api.send(api.request("/openapi.yaml").build());

        assertThat(document.path("openapi").asText()).startsWith("3.");
        for (String path : new String[] {"/v1/chat/completions", "/v1/completions", "/generate", "/tokenize", "/detokenize"}) {
            String reference = document.path("paths").path(path).at("/post/requestBody/content/application~1json/schema/$ref").asText();
            assertThat(document.at(reference.substring(1)).path("properties")).as(path).isNotEmpty();
        }
        assertThat(document.path("paths").has("/v1/models/{id}")).isTrue();
        assertThat(document.at("/components/schemas/ChatCompletionRequest/properties/n/maximum").asInt()).isEqualTo(16);
        assertThat(yaml.header("content-type")).isEqualTo("application/yaml");
        assertThat(yaml.text()).contains("/v1/chat/completions:");
    }

    // ---- media types ----

    @ParameterizedTest
    @CsvSource({"text/plain", "application/xml", "application/json; charset=latin1", "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x", "''"})
    void takesNothingButJson(String type) throws Exception {
        String header = type.isEmpty() ? "" : "Content-Type: " + type + "\r\n";
        String answer = server.raw().answer("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n" + header
                + "Content-Length: " + SMALL.length() + "\r\n\r\n" + SMALL);

        assertRaw(answer, 415, "unsupported_media_type");
    }

    @Test
    void takesNothingCompressed() throws Exception {
        HttpRequest request = api.post("/v1/completions", new byte[] {31, -117, 8, 0}).header("content-encoding", "gzip").build();

        assertError(api.send(request), 415, "unsupported_media_type");
    }

    @Test
    void takesJsonInUtf8HoweverItIsSpelled() throws Exception {
        for (String type : new String[] {"application/json", "APPLICATION/JSON; Charset=\"UTF-8\"", "application/json;charset=utf8"}) {
            HttpRequest request = api.request("/v1/completions").header("content-type", type)
                    .POST(HttpRequest.BodyPublishers.ofString(SMALL)).build();
            assertThat(api.send(request).status()).as(type).isEqualTo(200);
        }
    }

    @Test
    void saysWhatItOffersToThoseWhoAcceptSomethingElse() throws Exception {
        HttpRequest request = api.post("/v1/completions", SMALL.getBytes(StandardCharsets.UTF_8)).header("accept", "image/png").build();

        assertError(api.send(request), 406, "not_acceptable");
        assertThat(api.send(api.request("/metrics").header("accept", "application/openmetrics-text").build())
                .header("content-type")).isEqualTo("text/plain; version=0.0.4; charset=utf-8");
    }

    // ---- versions ----

    @Test
    void takesABodyWithAnUpgradeToHttp2() throws Exception {
        // given the client of the JDK, which offers the upgrade on its first request and sends the body with it
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).build();

        for (int i = 0; i < 3; i++) {
            HttpResponse<String> answer = client.send(api.post("/v1/completions", SMALL.getBytes(StandardCharsets.UTF_8)).build(),
                    HttpResponse.BodyHandlers.ofString());
            assertThat(answer.version()).isEqualTo(HttpClient.Version.HTTP_2);
            assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
        }
    }

    @Test
    void takesALargeBodyWithAnUpgradeToHttp2() throws Exception {
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).build();
        String body = "{\"prompt\":\"" + "word ".repeat(60_000) + "\",\"max_tokens\":1,\"truncate_prompt_tokens\":10}";

        HttpResponse<String> answer = client.send(api.post("/v1/completions", body.getBytes(StandardCharsets.UTF_8)).build(),
                HttpResponse.BodyHandlers.ofString());

        assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
    }

    @Test
    void streamsOverHttp2() throws Exception {
        HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).build();
        String body = "{\"prompt\":[1],\"max_tokens\":20,\"ignore_eos\":true,\"stream\":true}";

        HttpResponse<String> answer = client.send(api.post("/v1/completions", body.getBytes(StandardCharsets.UTF_8)).build(),
                HttpResponse.BodyHandlers.ofString());

        assertThat(answer.body()).endsWith("data: [DONE]\n\n");
    }

    @Test
    void speaksHttp2WithoutAnUpgrade() throws Exception {
        Vertx vertx = Vertx.vertx();
        try {
            var client = vertx.createHttpClient(new HttpClientOptions().setProtocolVersion(HttpVersion.HTTP_2)
                    .setHttp2ClearTextUpgrade(false));
            var body = client.request(HttpMethod.POST, server.port(), "127.0.0.1", "/v1/completions")
                    .compose(request -> request.putHeader("content-type", "application/json").send(Buffer.buffer(SMALL)))
                    .compose(response -> response.body())
                    .toCompletionStage().toCompletableFuture().get(60, TimeUnit.SECONDS);
            assertThat(Api.parse(body.toString()).path("choices")).hasSize(1);
        } finally {
            vertx.close().toCompletionStage().toCompletableFuture().get(60, TimeUnit.SECONDS);
        }
    }

    @Test
    void answersHttp10AndCloses() throws Exception {
        String answer = server.raw().untilClosed("POST /v1/completions HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: "
                + SMALL.length() + "\r\n\r\n" + SMALL);

        assertThat(answer).startsWith("HTTP/1.0 200 ").contains("\"choices\"");
    }

    @Test
    void keepsAConnectionForTheNextRequest() throws Exception {
        try (Socket socket = server.raw().open()) {
            for (int i = 0; i < 3; i++) {
                String answer = RawHttp.answer(socket, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
                assertThat(answer).startsWith("HTTP/1.1 200 ");
                String missing = RawHttp.answer(socket, "GET /nope HTTP/1.1\r\nHost: localhost\r\n\r\n");
                assertThat(missing).startsWith("HTTP/1.1 404 ");
            }
        }
    }

    @Test
    void answersPipelinedRequestsInOrder() throws Exception {
        String answer = server.raw().untilClosed("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nope HTTP/1.1\r\nHost: "
                + "localhost\r\n\r\nGET /version HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");

        assertThat(answer.indexOf("200 OK")).isLessThan(answer.indexOf("404 Not Found"));
        assertThat(answer.indexOf("404 Not Found")).isLessThan(answer.indexOf("\"version\""));
    }

    @Test
    void invitesABodyThatWaitsForIt() throws Exception {
        try (Socket socket = server.raw().open()) {
            String head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: "
                    + "100-continue\r\nContent-Length: " + SMALL.length() + "\r\n\r\n";
            assertThat(RawHttp.answer(socket, head)).startsWith("HTTP/1.1 100 ");
            assertThat(RawHttp.answer(socket, SMALL)).startsWith("HTTP/1.1 200 ");
        }
    }

    // ---- limits ----

    @Test
    void refusesARequestLineThatIsTooLong() throws Exception {
        // the version stands at the end of the line, so the answer cannot know it
        assertThat(server.raw().exchange("GET /" + "a".repeat(9000) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 1000))
                .startsWith("HTTP/1.0 414 ").contains("uri_too_long");
    }

    @Test
    void refusesHeadersThatAreTooLongOrTooMany() throws Exception {
        assertRaw(get("X: " + "a".repeat(9000) + "\r\n"), 431, "headers_too_large");
        assertRaw(get("X: " + "a".repeat(20_000) + "\r\n"), 431, "headers_too_large");
        assertRaw(get("X: y\r\n".repeat(150)), 431, "headers_too_large");
        assertRaw(get("X: y\r\n".repeat(100_000)), 431, "headers_too_large");
    }

    @Test
    void refusesAHeaderWithoutEnd() throws Exception {
        try (Socket socket = server.raw().open()) {
            socket.getOutputStream().write("GET /health HTTP/1.1\r\nX: ".getBytes(StandardCharsets.ISO_8859_1));
            byte[] more = "a".repeat(1 << 16).getBytes(StandardCharsets.ISO_8859_1);
            try {
                for (int i = 0; i < 256; i++) {
                    socket.getOutputStream().write(more);
                }
            } catch (SocketException e) {
                // refused: the rest was not wanted
            }
            assertThat(RawHttp.read(socket, 1000)).satisfiesAnyOf(
                    text -> assertThat(text).startsWith("HTTP/1.1 431 "), text -> assertThat(text).isEmpty());
        }
    }

    @Test
    void refusesABodyThatIsTooLongBeforeItComes() throws Exception {
        assertRaw(post("Content-Length: 40000000\r\n", ""), 413, "body_too_large");
        assertRaw(post("Content-Length: 99999999999999999\r\n", ""), 413, "body_too_large");
        assertRaw(post("Expect: 100-continue\r\nContent-Length: 40000000\r\n", ""), 413, "body_too_large");
    }

    @Test
    void refusesChunksThatAddUpToTooMuch() throws Exception {
        try (Socket socket = server.raw().open()) {
            socket.getOutputStream().write(("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                    + "application/json\r\nTransfer-Encoding: chunked\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1));
            byte[] chunk = ("100000\r\n" + " ".repeat(1 << 20) + "\r\n").getBytes(StandardCharsets.ISO_8859_1);
            try {
                for (int i = 0; i < 40; i++) {
                    socket.getOutputStream().write(chunk);
                }
            } catch (SocketException e) {
                // refused: the rest was not wanted
            }
            assertRaw(RawHttp.read(socket, 2000), 413, "body_too_large");
        }
    }

    @Test
    void refusesAMillionTinyChunks() throws Exception {
        assertRaw(post("Transfer-Encoding: chunked\r\n", "1\r\n \r\n".repeat(20_000)), 400, "invalid_value");
    }

    @Test
    void givesUpOnHeadersThatCrawl() throws Exception {
        long start = System.nanoTime();
        try (Socket socket = server.raw().open()) {
            String answer = crawl(socket, "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + "z".repeat(1000));
            assertRaw(answer, 408, "request_timeout");
            assertThat(System.nanoTime() - start).isBetween(1_500_000_000L, 60_000_000_000L);
        }
    }

    @Test
    void givesUpOnABodyThatCrawls() throws Exception {
        try (Socket socket = server.raw().open()) {
            socket.getOutputStream().write(("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                    + "application/json\r\nContent-Length: 5000\r\n\r\n").getBytes(StandardCharsets.ISO_8859_1));
            assertRaw(crawl(socket, " ".repeat(1000)), 408, "request_timeout");
        }
    }

    @Test
    void closesAConnectionThatAsksForNothing() throws Exception {
        try (Socket socket = server.raw().open()) {
            socket.setSoTimeout(60_000);
            assertThat(socket.getInputStream().read()).isEqualTo(-1);
        }
    }

    // ---- hosts ----

    @ParameterizedTest
    @CsvSource({"evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "169.254.169.254"})
    void answersOnlyForItsOwnNames(String host) throws Exception {
        assertRaw(server.raw().answer("GET /v1/models HTTP/1.1\r\nHost: " + host + "\r\n\r\n"), 403, "host_not_allowed");
        assertRaw(server.raw().answer("GET http://" + host + "/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"), 403,
                "host_not_allowed");
    }

    @ParameterizedTest
    @ValueSource(strings = {"localhost", "LOCALHOST:8000", "127.0.0.1", "127.0.0.1:9", "[::1]", "[::1]:8000"})
    void answersForTheFormsOfLocalhost(String host) throws Exception {
        assertThat(server.raw().answer("GET /v1/models HTTP/1.1\r\nHost: " + host + "\r\n\r\n")).startsWith("HTTP/1.1 200 ");
    }

    @Test
    void takesTheAbsoluteFormOfATarget() throws Exception {
        assertThat(server.raw().answer("GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n"))
                .startsWith("HTTP/1.1 200 ");
    }

    // ---- the hostile corpus ----

    /// Every one of these must be refused with 4xx, in our envelope, or with a closed connection, and never be taken for
    /// two requests.
    @ParameterizedTest
    @ValueSource(strings = {
        "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        "GET /health HTTP/1.1\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: local\rhost\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Nul: a\0b\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\n : empty name\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nNo-Colon\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: localhost\r\nBad Name: x\r\n\r\n",
        "GET /health HTTP/1.1\nHost: localhost\n\n",
        "GET /health HTTP/1.1\r\nHost: localhost\nX-Bare: a\r\n\r\n",
        "GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n",
        "GET /health\r\n\r\n",
        "GET  HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "G\0T /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /he alth HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /health\\..\\metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /health/../metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /%2e%2e/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET //metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nthis is no frame at all, and long enough to be read as one",
        "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\r\n\r\n",
        "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003 a TLS hello\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: -5\r\n\r\n{}",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: +5\r\n\r\n{}   ",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 0x2\r\n\r\n{}",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
        "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: gzip, chunked, frob\r\n\r\n{}",
    })
    void refusesWhatIsNoRequest(String request) throws Exception {
        String answer = server.raw().exchange(request, 1500);

        if (!answer.isEmpty() && answer.startsWith("HTTP/1.")) {
            assertThat(answer).matches("(?s)HTTP/1\\.[01] 4\\d\\d .*").contains("\"error\"").contains("\"request_id\"");
            assertThat(answer.split("HTTP/1\\.[01] \\d\\d\\d ", -1)).as(answer).hasSize(2);
        }
    }

    @Test
    void isNotTalkedIntoTwoRequestsByTwoLengths() throws Exception {
        String smuggled = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n";
        // what came behind the first answer, too
        String answer = server.raw().exchange(head("Content-Length: " + (5 + smuggled.length()) + "\r\nTransfer-Encoding: chunked\r\n")
                + "0\r\n\r\n" + smuggled, 2000);

        assertThat(answer).doesNotContain("\"object\":\"list\"");
    }

    @Test
    void takesChunkExtensionsAndTrailersForWhatTheyAre() throws Exception {
        String chunked = Integer.toHexString(SMALL.length()) + ";name=value;x=\"y\"\r\n" + SMALL + "\r\n0\r\nX-Trailer: 1\r\n\r\n";
        assertThat(post("Transfer-Encoding: chunked\r\n", chunked)).startsWith("HTTP/1.1 200 ");

        String huge = "2;" + "x".repeat(1 << 20) + "\r\n{}\r\n0\r\n\r\n";
        assertThat(post("Transfer-Encoding: chunked\r\n", huge)).doesNotContain(" 200 ");
    }

    @Test
    void refusesHundredMegabytesWithoutKeepingThem() throws Exception {
        // given as many clients at once as would fill the heap, if what they send were kept
        int clients = 12;
        int megabytes = 100;
        byte[] piece = "a".repeat(1 << 20).getBytes(StandardCharsets.ISO_8859_1);
        String head = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
                + ((long) megabytes * piece.length + 13) + "\r\n\r\n{\"prompt\":\"";
        try (ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor()) {
            List<Future<String>> answers = new ArrayList<>();
            for (int i = 0; i < clients; i++) {
                answers.add(threads.submit(() -> {
                    try (Socket socket = server.raw().open()) {
                        socket.getOutputStream().write(head.getBytes(StandardCharsets.ISO_8859_1));
                        for (int sent = 0; sent < megabytes; sent++) {
                            socket.getOutputStream().write(piece);
                        }
                        return RawHttp.read(socket, 1000);
                    } catch (SocketException e) {
                        // refused, and cut off in the middle of what was not wanted
                        return "";
                    }
                }));
            }
            for (Future<String> answer : answers) {
                assertThat(answer.get()).satisfiesAnyOf(text -> assertRaw(text, 413, "body_too_large"),
                        text -> assertThat(text).isEmpty());
            }
        }
        assertThat(server.isAlive()).isTrue();
    }

    @Test
    void answersAClientThatHasSaidAllItWill() throws Exception {
        try (Socket socket = server.raw().open()) {
            socket.getOutputStream().write(("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
                    + "\r\nContent-Length: " + SMALL.length() + "\r\n\r\n" + SMALL).getBytes(StandardCharsets.ISO_8859_1));
            // a connection that is shut on one side cannot be told from one that is gone: both free what they held
            socket.shutdownOutput();
            assertThat(RawHttp.read(socket, 1000)).satisfiesAnyOf(text -> assertThat(text).startsWith("HTTP/1.1 200 "),
                    text -> assertThat(text).isEmpty());
        }
    }

    @Test
    void answersNothingBehindARequestThatEndsTheConnection() throws Exception {
        String answer = server.raw().untilClosed("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                + "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n");

        assertThat(answer).startsWith("HTTP/1.1 200 ").doesNotContain("\"object\":\"list\"");
    }

    /// RFC 9112, 5.2: refused, or read as one line with blanks.
    @Test
    void takesAFoldedHeaderForOneLine() throws Exception {
        String answer = get("X-Folded: a\r\n  Content-Length: 5\r\n");

        assertThat(answer).startsWith("HTTP/1.1 200 ").endsWith("{\"status\":\"UP\"}");
    }

    @Test
    void invitesNoBodyWhereThereIsNone() throws Exception {
        assertThat(get("Expect: 100-continue\r\n")).startsWith("HTTP/1.1 200 ");
    }

    private String get(String headers) throws Exception {
        return server.raw().answer("GET /health HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
    }

    private String post(String headers, String body) throws Exception {
        return server.raw().answer(head(headers) + body);
    }

    private static String head(String headers) {
        return "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + headers + "\r\n";
    }

    /// Sends a byte every 100 ms until the server has something to say.
    private static String crawl(Socket socket, String text) throws Exception {
        socket.setSoTimeout(1);
        for (byte b : text.getBytes(StandardCharsets.ISO_8859_1)) {
            try {
                socket.getOutputStream().write(b);
            } catch (SocketException e) {
                break;
            }
            Thread.sleep(100);
            if (socket.getInputStream().available() > 0) {
                break;
            }
        }
        return RawHttp.read(socket, 1000);
    }

    private static void assertError(Api.Answer answer, int status, String code) {
        assertThat(answer.status()).as(answer.text()).isEqualTo(status);
        assertThat(answer.code()).isEqualTo(code);
        assertThat(answer.header("content-type")).isEqualTo("application/json");
        assertThat(answer.header("x-should-retry")).isEqualTo("false");
        assertThat(answer.json().at("/error/request_id").asText()).isEqualTo(answer.header("x-request-id"));
    }

    private static void assertRaw(String answer, int status, String code) {
        assertThat(answer).startsWith("HTTP/1.1 " + status + " ").contains("\"code\":\"" + code + "\"");
    }
}
