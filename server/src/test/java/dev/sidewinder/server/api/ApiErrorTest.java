package dev.sidewinder.server.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.engine.EngineException;
import dev.sidewinder.engine.session.SessionException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class ApiErrorTest {

    static Stream<Arguments> rows() {
        Duration wait = Duration.ofSeconds(3);
        return Stream.of(
                Arguments.of(ApiErrors.invalid("invalid_type", "n", "x"), 400, "invalid_request_error", "invalid_type", false),
                Arguments.of(ApiErrors.contextLength("prompt", 9, 9, 16), 400, "invalid_request_error",
                        "context_length_exceeded", false),
                Arguments.of(ApiErrors.missingKey(), 401, "authentication_error", "invalid_api_key", false),
                Arguments.of(ApiErrors.wrongKey(), 401, "authentication_error", "invalid_api_key", false),
                Arguments.of(ApiErrors.roleMissing("operator"), 403, "permission_error", "role_missing", false),
                Arguments.of(ApiErrors.hostNotAllowed(), 403, "permission_error", "host_not_allowed", false),
                Arguments.of(ApiErrors.modelNotFound("m"), 404, "not_found_error", "model_not_found", false),
                Arguments.of(ApiErrors.notFound(), 404, "not_found_error", "not_found", false),
                Arguments.of(ApiErrors.unsupportedEndpoint("/v1/images"), 404, "not_found_error", "unsupported_endpoint", false),
                Arguments.of(ApiErrors.methodNotAllowed("PUT", "POST"), 405, "invalid_request_error", "method_not_allowed", false),
                Arguments.of(ApiErrors.notAcceptable("application/json"), 406, "invalid_request_error", "not_acceptable", false),
                Arguments.of(ApiErrors.unsupportedMediaType(), 415, "invalid_request_error", "unsupported_media_type", false),
                Arguments.of(ApiErrors.requestTimeout(), 408, "invalid_request_error", "request_timeout", false),
                Arguments.of(ApiErrors.of(new SessionException(SessionException.Kind.BUSY, "busy")), 409, "conflict_error", "session_busy", false),
                Arguments.of(ApiErrors.bodyTooLarge(5), 413, "invalid_request_error", "body_too_large", false),
                Arguments.of(ApiErrors.uriTooLong(5), 414, "invalid_request_error", "uri_too_long", false),
                Arguments.of(ApiErrors.headersTooLarge(5), 431, "invalid_request_error", "headers_too_large", false),
                Arguments.of(ApiErrors.rateLimited(wait), 429, "rate_limit_error", "rate_limit_exceeded", true),
                Arguments.of(ApiErrors.internal(new Error("secret")), 500, "server_error", "internal_error", false),
                Arguments.of(ApiErrors.numeric(true), 500, "server_error", "numeric_error", true),
                Arguments.of(ApiErrors.numeric(false), 500, "server_error", "numeric_error", false),
                Arguments.of(ApiErrors.overloaded(wait), 503, "overloaded_error", "server_overloaded", true),
                Arguments.of(ApiErrors.queueTimeout(wait), 503, "overloaded_error", "queue_timeout", true),
                Arguments.of(ApiErrors.modelLoading(), 503, "unavailable_error", "model_loading", true),
                Arguments.of(ApiErrors.draining(), 503, "unavailable_error", "draining", true),
                Arguments.of(ApiErrors.engineFailed(), 503, "unavailable_error", "engine_failed", true),
                Arguments.of(ApiErrors.deadlineExceeded(), 504, "timeout_error", "deadline_exceeded", false));
    }

    @ParameterizedTest
    @MethodSource("rows")
    void everyErrorHasItsRow(ApiException error, int status, String type, String code, boolean retry) {
        ApiError found = error.error();

        assertThat(found.status()).isEqualTo(status);
        assertThat(found.type()).isEqualTo(type);
        assertThat(found.code()).isEqualTo(code);
        Map<String, String> headers = found.headers(new Random(1));
        assertThat(headers).containsEntry("x-should-retry", String.valueOf(retry));
        assertThat(headers.containsKey("Retry-After")).isEqualTo(status == 429 || status == 503);
        assertThat(headers.containsKey("retry-after-ms")).isEqualTo(status == 429 || status == 503);
        assertThat(found.message()).isNotBlank().doesNotContain("secret");
    }

    @Test
    void theEnvelopeHasEveryKey() {
        ApiError error = ApiErrors.invalid("invalid_type", "messages[0].content", "No \"text\".").error();

        assertThat(new String(error.toJson("r-1"), StandardCharsets.UTF_8)).isEqualTo(
                "{\"error\":{\"message\":\"No \\\"text\\\".\",\"type\":\"invalid_request_error\","
                        + "\"param\":\"messages[0].content\",\"code\":\"invalid_type\",\"request_id\":\"r-1\"}}");
        var listed = new ApiError(400, "t", "c", "m", null, List.of(new ApiError.Detail("n", "x")), Retry.NEVER);
        assertThat(new String(listed.toJson("r-2"), StandardCharsets.UTF_8)).isEqualTo(
                "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,\"code\":\"c\",\"request_id\":\"r-2\","
                        + "\"details\":[{\"param\":\"n\",\"code\":\"x\"}]}}");
    }

    @Test
    void waitsStayWithinTheirBoundsAndSpread() {
        assertThat(millis(ApiErrors.draining(), new Random(0))).isEqualTo(1_000);
        assertThat(millis(ApiErrors.modelLoading(), new Random(0))).isEqualTo(5_000);
        Random random = new Random(5);
        Set<Long> waits = new HashSet<>();
        for (int i = 0; i < 1_000; i++) {
            assertThat(millis(ApiErrors.overloaded(Duration.ZERO), random)).isBetween(1_000L, 1_200L);
            assertThat(millis(ApiErrors.overloaded(Duration.ofDays(1)), random)).isBetween(24_000L, 30_000L);
            waits.add(millis(ApiErrors.overloaded(Duration.ofSeconds(10)), random));
        }
        assertThat(waits).allSatisfy(wait -> assertThat(wait).isBetween(8_000L, 12_000L)).hasSizeGreaterThan(500);
        assertThat(ApiErrors.overloaded(Duration.ofMillis(10)).error().headers(random).get("Retry-After")).isIn("1", "2");
    }

    private static long millis(ApiException error, Random random) {
        return Long.parseLong(error.error().headers(random).get("retry-after-ms"));
    }

    @ParameterizedTest
    @EnumSource
    void everyFailureOfTheEngineHasAnAnswer(EngineException.Kind kind) {
        ApiError error = ApiErrors.of(new EngineException(kind, "internal words at 0x7f")).error();

        assertThat(error.message()).doesNotContain("internal words");
        int expected = switch (kind) {
            case OVERLOADED, QUEUE_TIMEOUT, DRAINING, ENGINE_FAILED -> 503;
            case SHARE_USED_UP -> 429;
            case DEADLINE_EXCEEDED -> 504;
            case NUMERIC -> 500;
            case SLOW_READER -> 408;
            case TOO_LARGE -> 400;
        };
        assertThat(error.status()).isEqualTo(expected);
    }

    @Test
    void saysHowToShowAKeyWhereOneIsMissing() {
        var jitter = new Random(1);
        assertThat(ApiErrors.missingKey().error().headers(jitter)).containsEntry("WWW-Authenticate", "Bearer");
        assertThat(ApiErrors.wrongKey().error().headers(jitter)).containsEntry("WWW-Authenticate", "Bearer");
        assertThat(ApiErrors.roleMissing("operator").error().headers(jitter)).doesNotContainKey("WWW-Authenticate");
    }

    @Test
    void aPromptThatFailsTwiceIsNotToBeSentAgain() {
        Instant[] now = {Instant.EPOCH};
        var failures = new NumericFailures(() -> now[0]);

        assertThat(failures.answer(List.of(new int[] {1, 2})).error().retry().shouldRetry()).isTrue();
        assertThat(failures.answer(List.of(new int[] {1, 3})).error().retry().shouldRetry()).isTrue();
        now[0] = now[0].plus(Duration.ofMinutes(9));
        assertThat(failures.answer(List.of(new int[] {1, 2})).error().retry().shouldRetry()).isFalse();
        now[0] = now[0].plus(Duration.ofMinutes(10));
        assertThat(failures.answer(List.of(new int[] {1, 2})).error().retry().shouldRetry()).isTrue();
    }

    @Test
    void differentPromptsThatFailWithinAMinuteShowDamage() {
        Instant[] now = {Instant.EPOCH};
        var failures = new NumericFailures(() -> now[0]);
        // the same one, and others a minute apart
        for (int i = 0; i < 5; i++) {
            failures.answer(List.of(new int[] {1, 2}));
        }
        failures.answer(List.of(new int[] {1, 3}));
        now[0] = now[0].plus(Duration.ofSeconds(60));
        failures.answer(List.of(new int[] {1, 4}));
        failures.answer(List.of(new int[] {1}, new int[] {2}));
        assertThat(failures.showDamage()).isFalse();

        failures.answer(List.of(new int[] {1, 5}));
        assertThat(failures.showDamage()).isTrue();
    }

    @Test
    void clientTextIsCutAndEscaped() {
        assertThat(Printable.cut("a\r\n\u001b[31m\u202eb")).isEqualTo("a\\u000D\\u000A\\u001B[31m\\u202Eb");
        assertThat(Printable.cut("x".repeat(500))).hasSize(129).endsWith("…");
        assertThat(Printable.cut("\ud800")).isEqualTo("\\uD800");
    }

    @Test
    void settingsBeyondTheirHardBoundStopTheStart() {
        assertThat(new ApiLimits(Map.of(Limit.CHOICES, 128)).get(Limit.CHOICES)).isEqualTo(128);
        assertThatThrownBy(() -> new ApiLimits(Map.of(Limit.CHOICES, 129))).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("sidewinder.limits.choices");
        assertThatThrownBy(() -> new ApiLimits(Map.of(Limit.STOPS, 0))).isInstanceOf(IllegalArgumentException.class);
    }
}
