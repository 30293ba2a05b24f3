package dev.sidewinder.server.rest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.server.auth.Role;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RouteTest {

    @ParameterizedTest
    @CsvSource({
        "/v1/chat/completions, CHAT, /v1/chat/completions", "/chat/completions, CHAT, /v1/chat/completions",
        "/v1/v1/chat/completions, CHAT, /v1/chat/completions", "/v1/v1/models, MODELS, /v1/models",
        "/completions, COMPLETIONS, /v1/completions", "/apply-template, CHAT_RENDER, /v1/chat/completions/render",
        "/v1/chat/completions/render, CHAT_RENDER, /v1/chat/completions/render",
        "/v1/v1/completions/render, COMPLETIONS_RENDER, /v1/completions/render", "/models, MODELS, /v1/models", "/v1/tokenize, TOKENIZE, /tokenize",
        "/v1/detokenize, DETOKENIZE, /detokenize", "/reset_prefix_cache, CACHE_RESET, /v1/cache/reset", "/ping, HEALTH, /health", "/v1/health/live, LIVE, /health/live",
        "/v1/sessions, SESSION_CREATE, /v1/sessions", "/v1/sessions/a.b-C_1, SESSION, /v1/sessions/a.b-C_1",
        "/v1/v1/sessions/a/fork, SESSION_FORK, /v1/sessions/a/fork", "/v1/sessions/a/resume, SESSION_RESUME, /v1/sessions/a/resume",
        "/v1/metrics, METRICS, /metrics", "/v1/version, VERSION, /version",
        "/v1/models/a/b, MODEL, /v1/models/a/b", "/models/a%2Fb, MODEL, /v1/models/a%2Fb",
        "/v1/v1/models/x, MODEL, /v1/models/x"})
    void findsARouteUnderEachOfItsNames(String path, Route route, String canonical) {
        assertThat(Route.find(path)).contains(new Route.Match(route, canonical));
    }

    @ParameterizedTest
    @ValueSource(strings = {"/", "", "/v1", "/v1/", "/v1/models/", "/v1//models", "//v1/models", "/v1/models/../models",
        "/v1/models/%2e%2e/x", "/v1/models/%2E%2E", "/v1/models/a//b", "/v1/models/a;x", "/v1/models/a\\b",
        "/v1/models/a%5Cb", "/v1/models/.", "/V1/models", "/v1/models;x", "/health/../metrics", "/health/live/",
        "/internal/micrometer", "/openapi", "/q/health", "*", "/v1/v1/v1/models", "/v1/models/a%2F..%2Fb", "/v1/sessions/", "/v1/sessions/..",
        "/v1/sessions/.", "/v1/sessions/a/", "/v1/sessions/a/nope", "/v1/sessions/a%2Fb", "/v1/sessions/a/fork/b", "/v1/sessions//fork"})
    void knowsNoOtherSpelling(String path) {
        assertThat(Route.find(path)).isEqualTo(Optional.empty());
    }

    @Test
    void letsNobodyWithoutAKeyInButToTheProbes() {
        assertThat(Route.values()).filteredOn(route -> route.roles().isEmpty())
                .containsExactlyInAnyOrder(Route.HEALTH, Route.LIVE, Route.READY, Route.STARTED);
        assertThat(Route.METRICS.roles()).containsExactly(Role.METRICS);
        assertThat(Route.values()).filteredOn(route -> route.roles().contains(Role.OPERATOR)).containsExactly(Route.CACHE_RESET);
        assertThat(Route.roles(null)).as("a path that is none of ours").containsExactlyInAnyOrder(Role.values());
    }

    @Test
    void choosesByMethodWhereTwoRoutesShareAPath() {
        Route.Match sessions = Route.find("/v1/sessions").orElseThrow();
        assertThat(sessions.forMethod("POST")).isEqualTo(Route.SESSION_CREATE);
        assertThat(sessions.forMethod("HEAD")).isEqualTo(Route.SESSION_LIST);
        assertThat(sessions.forMethod("PUT").allowed()).isEqualTo("POST, GET, HEAD");
        assertThat(Route.find("/v1/sessions/a").orElseThrow().forMethod("DELETE")).isEqualTo(Route.SESSION_DELETE);
        assertThat(Route.SESSION.allowed()).isEqualTo("GET, HEAD, DELETE");
        assertThat(Route.METRICS.allowed()).isEqualTo("GET, HEAD");
    }

    @ParameterizedTest
    @ValueSource(strings = {"/v1/embeddings", "/v1/audio/speech", "/v1/v1/embeddings", "/v1/files/f/content",
        "/v1/responses", "/v1/chat/completions/abc", "/v1/fine_tuning/jobs"})
    void tellsRoutesThatOthersOfferFromNonsense(String path) {
        assertThat(Route.isUnsupported(path)).isTrue();
    }

    @Test
    void doesNotTakeNonsenseForARouteThatOthersOffer() {
        assertThat(Route.isUnsupported("/v1/embeddingsx")).isFalse();
        assertThat(Route.isUnsupported("/nope")).isFalse();
    }
}
