package dev.sidewinder.server.api;

import dev.sidewinder.engine.EngineException;
import dev.sidewinder.engine.session.SessionException;
import dev.sidewinder.model.chat.ChatTemplateException;
import java.time.Duration;
import java.util.List;

/// Makes every error of docs/api.md. Messages are ours: they say what was found and what to do next.
public final class ApiErrors {

    private static final String REQUEST = "invalid_request_error";
    private static final Duration DRAINING_WAIT = Duration.ofSeconds(1);
    private static final Duration LOADING_WAIT = Duration.ofSeconds(5);
    /// When nothing is known about how fast the queue drains.
    private static final Duration QUEUE_WAIT = Duration.ofSeconds(2);

    private ApiErrors() {}

    /// 400: a field is wrong.
    public static ApiException invalid(String code, String param, String message) {
        return never(400, REQUEST, code, param, message);
    }

    /// 400: the body is no JSON object as we read it.
    public static ApiException invalidJson(String message) {
        return invalid("invalid_json", null, message);
    }

    /// 400: prompt and answer do not fit.
    ///
    /// @param answerTokens tokens asked for; 0 when the request named no maximum
    public static ApiException contextLength(String param, long promptTokens, long answerTokens, int limit) {
        String asked = answerTokens > 0
                ? " and the request asks for " + answerTokens + " more"
                : " and an answer needs at least one more";
        return invalid("context_length_exceeded", param, "The prompt has " + promptTokens + " tokens" + asked
                + "; this server holds " + limit + " per sequence. Shorten the prompt or lower the maximum.");
    }

    public static ApiException missingKey() {
        return never(401, "authentication_error", "invalid_api_key", null,
                "This server needs an API key. Send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'.");
    }

    public static ApiException wrongKey() {
        return never(401, "authentication_error", "invalid_api_key", null, "The API key is not valid.");
    }

    public static ApiException roleMissing(String role) {
        return never(403, "permission_error", "role_missing", null, "This route needs a key with the role " + role + ", and this key has others.");
    }

    public static ApiException hostNotAllowed() {
        return never(403, "permission_error", "host_not_allowed", null,
                "The Host header is not in the list of hosts that this server answers for (sidewinder.http.allowed-hosts).");
    }

    public static ApiException modelNotFound(String model) {
        return never(404, "not_found_error", "model_not_found", "model",
                "The model '" + Printable.cut(model) + "' does not exist here. GET /v1/models lists what is served.");
    }

    public static ApiException notFound() {
        return never(404, "not_found_error", "not_found", null, "There is nothing at this path.");
    }

    public static ApiException unsupportedEndpoint(String route) {
        return never(404, "not_found_error", "unsupported_endpoint", null,
                "This server does not offer " + Printable.cut(route) + ".");
    }

    public static ApiException methodNotAllowed(String method, String allowed) {
        return never(405, REQUEST, "method_not_allowed", null,
                Printable.cut(method) + " is not possible here; use " + allowed + ".");
    }

    public static ApiException notAcceptable(String offered) {
        return never(406, REQUEST, "not_acceptable", null, "The Accept header excludes " + offered + ", the only form offered.");
    }

    public static ApiException unsupportedMediaType() {
        return never(415, REQUEST, "unsupported_media_type", null,
                "Send 'Content-Type: application/json' in UTF-8, without compression.");
    }

    public static ApiException requestTimeout() {
        return never(408, REQUEST, "request_timeout", null, "The request did not arrive in time.");
    }

    public static ApiException sessionNotFound() {
        return never(404, "not_found_error", "not_found", "session_id", "There is no session of this name.");
    }

    /// What a session cannot do. The engine's messages are for whoever asked, but for those of its files.
    public static ApiException of(SessionException failure) {
        String conflict = "conflict_error";
        return switch (failure.kind()) {
            case NOT_FOUND -> sessionNotFound();
            case EXISTS -> never(409, conflict, "session_exists", "name", "There is a session of this name already.");
            case BUSY -> never(409, conflict, "session_busy", "session_id",
                    "Another request of this session is running, or it is being written or read.");
            case INCOMPATIBLE -> never(409, conflict, "session_incompatible", "session_id", failure.getMessage());
            case DAMAGED -> never(409, conflict, "session_damaged", "session_id",
                    "The file of this session is not what was written. Delete the session and begin anew.");
            case TOO_MANY -> never(409, conflict, "too_many_sessions", null, "There are as many sessions as there may be; delete one.");
            case TOO_LARGE -> invalid("session_too_large", "session_id",
                    "This session is longer than the server has room for between requests, whatever else is there.");
            case NO_ROOM -> overloaded(QUEUE_WAIT);
            case UNSUPPORTED -> invalid("unsupported_value", "session_id",
                    "This server has no folder for sessions (sidewinder.sessions.folder), so none can be suspended.");
            case STORAGE -> internal(failure);
        };
    }

    public static ApiException bodyTooLarge(long limitBytes) {
        return never(413, REQUEST, "body_too_large", null, "The body is larger than the limit of " + limitBytes + " bytes.");
    }

    public static ApiException uriTooLong(int limitBytes) {
        return never(414, REQUEST, "uri_too_long", null, "The request line is longer than " + limitBytes + " bytes.");
    }

    public static ApiException headersTooLarge(int limitBytes) {
        return never(431, REQUEST, "headers_too_large", null, "The headers are larger than " + limitBytes + " bytes.");
    }

    /// 429: what this key may have waiting, waits; others still find room.
    ///
    /// @param wait how long the queue needs at its present rate
    public static ApiException rateLimited(Duration wait) {
        return make(429, "rate_limit_error", "rate_limit_exceeded", null,
                "This key has as many requests or tokens waiting as its share of the queue allows; try again after the time in "
                        + "Retry-After.", Retry.afterDraining(wait));
    }

    /// 500: our own bug, confined to this request.
    public static ApiException internal(Throwable cause) {
        return new ApiException(new ApiError(500, "server_error", "internal_error",
                "The server made a mistake with this request. Its log names the request id.", null, List.of(), Retry.NEVER),
                cause);
    }

    /// 500: the model produced NaN or infinity.
    ///
    /// @param retry false when the same prompt failed in this way before
    public static ApiException numeric(boolean retry) {
        return make(500, "server_error", "numeric_error", null,
                "The model produced values that are no numbers for this request, so it was ended.",
                retry ? Retry.NOW : Retry.NEVER);
    }

    /// 503: the queue is full.
    ///
    /// @param drain how long the queue needs at its present rate
    public static ApiException overloaded(Duration drain) {
        return make(503, "overloaded_error", "server_overloaded", null,
                "The queue of this server is full; try again after the time in Retry-After.", Retry.afterDraining(drain));
    }

    public static ApiException queueTimeout(Duration drain) {
        return make(503, "overloaded_error", "queue_timeout", null,
                "The request waited too long for its turn; try again after the time in Retry-After.",
                Retry.afterDraining(drain));
    }

    public static ApiException modelLoading() {
        return make(503, "unavailable_error", "model_loading", null, "The model is still being loaded.",
                Retry.after(LOADING_WAIT));
    }

    public static ApiException draining() {
        return make(503, "unavailable_error", "draining", null, "The server is shutting down.", Retry.after(DRAINING_WAIT));
    }

    public static ApiException engineFailed() {
        return make(503, "unavailable_error", "engine_failed", null, "The engine has failed and the server will restart.",
                Retry.after(LOADING_WAIT));
    }

    public static ApiException deadlineExceeded() {
        return never(504, "timeout_error", "deadline_exceeded", null, "The answer was not done within its deadline.");
    }

    /// The client does not read its stream. It will rarely see this: its connection is about to close.
    public static ApiException slowReader() {
        return never(408, REQUEST, "request_timeout", null, "The client did not read its stream for too long.");
    }

    /// What a failure inside the engine means for the client.
    ///
    /// @param drain how long the queue needs at its present rate, for the kinds that say when to come back
    public static ApiException of(EngineException failure, Duration drain) {
        return switch (failure.kind()) {
            case OVERLOADED -> overloaded(drain);
            case SHARE_USED_UP -> rateLimited(drain);
            case QUEUE_TIMEOUT -> queueTimeout(drain);
            case DEADLINE_EXCEEDED -> deadlineExceeded();
            case DRAINING -> draining();
            case ENGINE_FAILED -> engineFailed();
            case NUMERIC -> numeric(true);
            case SLOW_READER -> slowReader();
            case TOO_LARGE -> invalid("context_length_exceeded", null,
                    "The prompt and the tokens it asks for can never fit into the cache of this server. "
                            + "Shorten the prompt or lower the maximum.");
        };
    }

    /// The same without knowledge of the queue.
    public static ApiException of(EngineException failure) {
        return of(failure, QUEUE_WAIT);
    }

    /// The template refused the conversation. Its message was written by the template's author for this purpose; it is
    /// cut and escaped, as it may quote the conversation.
    public static ApiException of(ChatTemplateException refusal) {
        return invalid("invalid_value", "messages",
                "The chat template does not accept this conversation: " + Printable.cut(refusal.getMessage()));
    }

    private static ApiException never(int status, String type, String code, String param, String message) {
        return make(status, type, code, param, message, Retry.NEVER);
    }

    private static ApiException make(int status, String type, String code, String param, String message, Retry retry) {
        return new ApiException(new ApiError(status, type, code, message, param, List.of(), retry));
    }
}
