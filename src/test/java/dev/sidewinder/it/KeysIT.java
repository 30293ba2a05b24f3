package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.it.support.Api;
import dev.sidewinder.it.support.KeyFile;
import dev.sidewinder.it.support.ServerProcess;
import dev.sidewinder.it.support.Waiting;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Who comes in with which key, through every door that there is.
class KeysIT {

    private static final Duration SOON = Duration.ofSeconds(30);
    private static final String SMALL = "{\"prompt\":[1,2],\"max_tokens\":2,\"ignore_eos\":true}";
    private static final List<String> PROBES = List.of("/health", "/ping", "/health/live", "/health/ready", "/health/started",
            "/v1/health/live", "/v1/health/ready", "/v1/health/started");
    /// Spellings of routes that the document does not list.
    private static final List<String> ALIASES = List.of("POST /chat/completions", "POST /v1/v1/chat/completions", "POST /completions",
            "POST /chat/completions/render", "POST /apply-template", "POST /completions/render", "POST /v1/generate", "POST /v1/tokenize",
            "POST /v1/detokenize", "POST /reset_prefix_cache", "POST /v1/v1/cache/reset", "GET /models", "GET /v1/v1/models", "GET /models/demo",
            "GET /v1/v1/models/a%2Fb", "GET /v1/models/a/b", "GET /v1/metrics", "GET /v1/version", "HEAD /v1/models", "HEAD /metrics",
            "GET /openapi.json", "GET /openapi.yaml", "POST /v1/v1/sessions", "GET /v1/v1/sessions", "DELETE /v1/v1/sessions/x");

    @TempDir
    static Path folder;

    private static KeyFile keys;
    private static ServerProcess server;
    private static Api nobody;
    private static Api alice;

    @BeforeAll
    static void start() throws Exception {
        keys = new KeyFile(folder).with("alice", "inference").with("ops", "operator").with("all", "inference,operator,metrics")
                .with("scraper", "metrics");
        server = ServerProcess.start("--api-key-file", keys.write().toString(), "--backend", "stub");
        nobody = server.api();
        alice = nobody.withKey(KeyFile.keyOf("alice"));
    }

    @AfterAll
    static void stop() {
        server.close();
    }

    private static Api with(String id) {
        return nobody.withKey(KeyFile.keyOf(id));
    }

    /// Every method of every path that the server's own document lists, and the aliases.
    private static List<String> routes() throws Exception {
        List<String> routes = new ArrayList<>(ALIASES);
        for (Map.Entry<String, JsonNode> path : alice.get("/openapi.json").json().path("paths").properties()) {
            path.getValue().fieldNames().forEachRemaining(method ->
                    routes.add(method.toUpperCase(Locale.ROOT) + " " + path.getKey().replaceAll("\\{[^}]*}", "x")));
        }
        return routes;
    }

    private static Api.Answer ask(Api api, String route) throws Exception {
        String[] both = route.split(" ");
        HttpRequest.BodyPublisher body = both[0].equals("POST") ? HttpRequest.BodyPublishers.ofString("{}") : HttpRequest.BodyPublishers.noBody();
        return api.send(api.request(both[1]).header("content-type", "application/json").method(both[0], body).build());
    }

    private static boolean isProbe(String route) {
        return PROBES.contains(route.split(" ")[1]);
    }

    @Test
    void letsNobodyThroughAnyRouteWithoutAKeyButToTheProbes() throws Exception {
        List<String> routes = routes();
        assertThat(routes).as("the document lists what there is").hasSizeGreaterThan(ALIASES.size() + 20);
        for (String route : routes) {
            for (Api api : List.of(nobody, nobody.withKey("wrong"), nobody.withKey("key-of-alic"))) {
                Api.Answer answer = ask(api, route);
                assertThat(answer.status()).as(route).isEqualTo(isProbe(route) ? 200 : 401);
            }
        }
        for (String probe : PROBES) {
            assertThat(nobody.get(probe).text()).isEqualTo("{\"status\":\"UP\"}");
        }
        for (String method : List.of("PUT", "PATCH", "OPTIONS", "TRACE", "DELETE", "QUERY")) {
            assertThat(ask(nobody, method + " /v1/models").status()).as(method).isEqualTo(401);
        }
    }

    @Test
    void asksForTheRoleOfEachRoute() throws Exception {
        for (String route : routes()) {
            boolean metrics = route.endsWith("/metrics");
            boolean reset = route.endsWith("/cache/reset") || route.endsWith("/reset_prefix_cache");
            if (!isProbe(route)) {
                assertThat(ask(with("scraper"), route).status() == 403).as("scraper, %s", route).isEqualTo(!metrics);
                assertThat(ask(with("ops"), route).status() == 403).as("ops, %s", route).isEqualTo(!reset);
                assertThat(ask(alice, route).status() == 403).as("alice, %s", route).isEqualTo(metrics);
                assertThat(ask(with("all"), route).status()).as("all, %s", route).isNotIn(401, 403);
            }
        }
        JsonNode error = ask(alice, "GET /metrics").json().path("error");
        assertThat(error.path("code").asText()).isEqualTo("role_missing");
        assertThat(error.path("type").asText()).isEqualTo("permission_error");
        assertThat(error.path("message").asText()).contains("metrics");
    }

    /// Paths that some decoder, proxy or router would take for another one.
    @ParameterizedTest
    @ValueSource(strings = {"/nope", "/", "//v1/models", "/V1/models", "/v1/Models", "/v1/models/", "/v1/models%2f", "/v1%2fmodels", "/%76%31/models",
        "/v1/./models", "/v1/x/../models", "/health/../v1/models", "/health/%2e%2e/v1/models", "/health/..%2fv1/models", "/health;x=/v1/models",
        "/health/live/", "/health%00/../metrics", "/health/ready/../../metrics", "/Health", "/metrics/", "/metrics;x", "/q/metrics", "/q/health",
        "/q/openapi", "/q/dev", "/openapi", "/v1/v1/v1/models", "/v1/health/../models", "/ping/", "/v1/models?x=/health", "/metrics?path=/health",
        "*", "http://localhost/v1/models", "http://localhost/metrics", "http://localhost//health/../metrics", "HTTP://localhost/v1/models"})
    void decidesOnTheRouteThatIsTaken(String target) throws Exception {
        String without = server.raw().untilClosed("GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assertThat(without).as(target).matches("(?s)HTTP/1.1 (401|400) .*").doesNotContain("\"object\"").doesNotContain("sidewinder_");

        String scraper = server.raw().untilClosed("GET " + target + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer key-of-scraper\r\n"
                + "Connection: close\r\n\r\n");
        assertThat(scraper).as(target).doesNotContain("\"object\":\"list\"");
        assertThat(scraper.startsWith("HTTP/1.1 200")).as(target)
                .isEqualTo(target.equals("/metrics?path=/health") || target.equals("http://localhost/metrics"));
    }

    @Test
    void answersProbesInAbsoluteFormWithoutAKey() throws Exception {
        assertThat(server.raw().untilClosed("GET http://localhost/health?x=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
                .startsWith("HTTP/1.1 200");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', nullValues = "-", value = {
        "Bearer key-of-alice | - | 200", "bearer key-of-alice | - | 200", "- | key-of-alice | 200", "Bearer key-of-alice | key-of-alice | 200",
        "Bearer key-of-alice | key-of-all | 401", "Bearer key-of-alice | wrong | 401", "Bearer wrong | key-of-alice | 401",
        "Basic a2V5LW9mLWFsaWNl | key-of-alice | 401", "Basic a2V5LW9mLWFsaWNl | - | 401", "Bearer | - | 401", "key-of-alice | - | 401",
        "Bearer KEY-OF-ALICE | - | 401", "Bearer key-of-alice key-of-alice | - | 401", "- | - | 401"})
    void takesAKeyFromEitherHeaderAndNoTwoThatDiffer(String authorization, String apiKey, int status) throws Exception {
        HttpRequest.Builder request = nobody.post("/v1/completions", SMALL.getBytes(StandardCharsets.UTF_8));
        if (authorization != null) {
            request.header("authorization", authorization.strip());
        }
        if (apiKey != null) {
            request.header("x-api-key", apiKey.strip());
        }
        Api.Answer answer = nobody.send(request.build());

        assertThat(answer.status()).as(answer.text()).isEqualTo(status);
        if (status == 401) {
            assertThat(answer.code()).isEqualTo("invalid_api_key");
            assertThat(answer.json().at("/error/type").asText()).isEqualTo("authentication_error");
            assertThat(answer.header("www-authenticate")).isEqualTo("Bearer");
            assertThat(answer.header("x-should-retry")).isEqualTo("false");
        }
    }

    @Test
    void describesItsKeysInItsDocument() throws Exception {
        JsonNode document = alice.get("/openapi.json").json();
        assertThat(document.at("/components/securitySchemes/bearer/scheme").asText()).isEqualTo("bearer");
        assertThat(document.at("/components/securitySchemes/key/name").asText()).isEqualTo("x-api-key");
        assertThat(document.path("security")).hasSize(2);
        assertThat(document.path("paths").path("/health/live").path("get").path("security").isEmpty()).isTrue();
        assertThat(document.path("paths").path("/v1/models").path("get").has("security")).isFalse();
    }

    @Test
    void refusesTwoHeadersOfOneName() throws Exception {
        String answer = server.raw().untilClosed("GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer key-of-alice\r\n"
                + "Authorization: Bearer key-of-all\r\nConnection: close\r\n\r\n");
        assertThat(answer).startsWith("HTTP/1.1 401");
    }

    @Test
    void looksAtTheKeyBeforeTheBody() throws Exception {
        // given a request that announces a body and never sends it
        String answer = server.raw().exchange("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                + "Content-Length: 30000000\r\n\r\n", 500);
        assertThat(answer).startsWith("HTTP/1.1 401").doesNotContain("HTTP/1.1 100");
        // and one whose body is no JSON, too large, or of another type
        assertThat(nobody.post("/v1/completions", "{{{").status()).isEqualTo(401);
        assertThat(nobody.send(nobody.request("/v1/completions").header("content-type", "text/plain")
                .POST(HttpRequest.BodyPublishers.ofString("x")).build()).status()).isEqualTo(401);
    }

    @Test
    void asksForAKeyOnConnectionsThatAreUpgraded() throws Exception {
        // given a client that offers HTTP/2 with its first request
        try (HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_2).build()) {
            Api upgrading = new Api(URI.create("http://127.0.0.1:" + server.port()), client);
            assertThat(upgrading.post("/v1/completions", SMALL).status()).isEqualTo(401);
            Api.Answer answer = upgrading.withKey(KeyFile.keyOf("alice")).post("/v1/completions", SMALL);
            assertThat(answer.status()).as(answer.text()).isEqualTo(200);
            assertThat(upgrading.withKey("wrong").post("/v1/completions", SMALL).status()).isEqualTo(401);
            assertThat(upgrading.get("/v1/models").status()).isEqualTo(401);
        }
    }

    @Test
    void takesKeysAwayAndAddsThemWhileItRuns() throws Exception {
        keys.with("late", "inference").write();
        Waiting.until("the new key to be valid", SOON, () -> status(with("late")) == 200);

        keys.without("late").write();
        Waiting.until("the key to be gone", SOON, () -> status(with("late")) == 401);

        keys.write("alice:inference:nonsense\n");
        Waiting.until("the file to be complained about", SOON, () -> server.logged("64 hexadecimal digits"));
        assertThat(status(alice)).as("keys stay").isEqualTo(200);
        keys.write();
    }

    private static int status(Api api) {
        try {
            return api.get("/v1/models").status();
        } catch (IOException | InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    @Test
    void countsWhomItRefusedAndSaysNoKeyAnywhere() throws Exception {
        String secret = "sk-canary-0123456789";
        Api all = with("all");
        double refused = all.metricSum("sidewinder_refusals_total", "invalid_api_key");
        double missing = all.metricSum("sidewinder_refusals_total", "role_missing");
        for (int i = 0; i < 5; i++) {
            assertThat(nobody.withKey(secret).post("/v1/completions", SMALL).text()).doesNotContain(secret);
            assertThat(with("scraper").post("/v1/chat/completions", "{}").status()).isEqualTo(403);
        }

        all.awaitRest();
        Api.Metrics metrics = all.metrics();
        assertThat(metrics.sum("sidewinder_refusals_total", "invalid_api_key")).isEqualTo(refused + 5);
        assertThat(metrics.sum("sidewinder_refusals_total", "role_missing")).isEqualTo(missing + 5);
        assertThat(metrics.text()).doesNotContain(secret).doesNotContain("key-of-");
        assertThat(String.join("\n", server.log())).doesNotContain(secret).doesNotContain("key-of-").contains("4 keys of 4 tenants");
    }
}
