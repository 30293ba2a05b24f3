package dev.sidewinder.server.rest;

import dev.sidewinder.server.api.ApiError;
import dev.sidewinder.server.api.ApiErrors;
import dev.sidewinder.server.api.ApiException;
import dev.sidewinder.server.auth.Caller;
import dev.sidewinder.server.metrics.ServerMetrics;
import dev.sidewinder.server.metrics.ServerMetrics.Abort;
import dev.sidewinder.server.metrics.ServerMetrics.Outcome;
import dev.sidewinder.server.metrics.ServerMetrics.Refusal;
import io.netty.buffer.Unpooled;
import io.vertx.core.Future;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.http.HttpVersion;
import io.vertx.ext.web.RoutingContext;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.random.RandomGenerator;

/// One request and its answer, from the front door to the last byte. Knows whether the client is still there, puts the
/// headers on every answer, and counts what became of the request exactly once.
///
/// A resource works on its virtual thread; the end is seen on an event loop. Both may call anything here.
public final class Exchange {

    private static final String KEY = "sidewinder.exchange";
    private static final String JSON = "application/json";
    private static final int PIECE_BYTES = 64 * 1024;
    /// RFC 9113, section 7.
    private static final int CANCEL = 8;

    private final RoutingContext context;
    private final Route route;
    private final ServerMetrics metrics;
    private final Runnable onEnd;
    private final long arrivedNanos;
    private final StreamBudget budget;
    private final boolean named;
    private volatile String requestId;
    private volatile Caller caller;
    private volatile byte[] body = new byte[0];
    private volatile Outcome outcome = Outcome.SUCCESS;
    private boolean gone;
    private boolean ended;
    private Runnable whenGone;

    /// @param route null when the path is none of ours
    /// @param named whether the client chose the id
    /// @param onEnd called once, when the answer is complete or the client has gone
    Exchange(RoutingContext context, Route route, String requestId, boolean named, ServerMetrics metrics,
            StreamBudget budget, Runnable onEnd) {
        this.named = named;
        this.context = context;
        this.route = route;
        this.requestId = requestId;
        this.metrics = metrics;
        this.budget = budget;
        this.onEnd = onEnd;
        this.arrivedNanos = System.nanoTime();
        context.put(KEY, this);
        context.addEndHandler(result -> end(result.failed()));
        if (isGeneration()) {
            metrics.received(route);
        }
    }

    /// The exchange of a request that has passed the front door.
    public static Exchange of(RoutingContext context) {
        Exchange exchange = context.get(KEY);
        if (exchange == null) {
            throw new IllegalStateException("a request reached a resource without passing the front door");
        }
        return exchange;
    }

    static boolean isOpen(RoutingContext context) {
        return context.get(KEY) != null;
    }

    public String requestId() {
        return requestId;
    }

    /// The body names an id for the request; it counts when no header did and it is fit for logs and headers.
    void settle(Optional<String> id) {
        if (!named && id.isPresent() && RequestIds.isFit(id.get())) {
            requestId = id.get();
        }
    }

    void caller(Caller admitted) {
        caller = admitted;
    }

    /// Who asks.
    ///
    /// @throws IllegalStateException before the front door has admitted anybody
    public Caller caller() {
        if (caller == null) {
            throw new IllegalStateException("request " + requestId + " reached a resource and nobody was admitted");
        }
        return caller;
    }

    public byte[] body() {
        return body;
    }

    void body(byte[] bytes) {
        body = bytes;
    }

    /// When the headers had arrived, `System.nanoTime`.
    public long arrivedNanos() {
        return arrivedNanos;
    }

    Route route() {
        return route;
    }

    HttpServerRequest request() {
        return context.request();
    }

    HttpServerResponse response() {
        return context.response();
    }

    /// Has `action` run as soon as the client is gone; at once when it is gone already. At most one action at a time.
    synchronized void whenGone(Runnable action) {
        if (gone) {
            action.run();
        } else {
            whenGone = action;
        }
    }

    synchronized boolean isGone() {
        return gone;
    }

    /// Puts on the headers that every answer has. Called when the head of the answer is about to be written.
    void putHeaders() {
        HttpServerResponse response = response();
        response.putHeader("x-request-id", requestId);
        response.putHeader("x-sidewinder-mode", "batch-invariant");
        response.putHeader("server", "sidewinder");
        String type = response.headers().get("content-type");
        if (type == null || !type.startsWith("text/event-stream")) {
            response.putHeader("openai-processing-ms", Long.toString((System.nanoTime() - arrivedNanos) / 1_000_000));
        }
    }

    /// Sends a complete JSON answer, piece by piece: a reader may be slow as long as it takes a piece now and then. For
    /// virtual threads.
    void answer(byte[] json) {
        response().setStatusCode(200).putHeader("content-type", JSON)
                .putHeader("content-length", Integer.toString(json.length));
        try {
            int at = 0;
            while (json.length - at > PIECE_BYTES) {
                if (!await(response().write(Buffer.buffer(Unpooled.wrappedBuffer(json, at, PIECE_BYTES))))) {
                    return;
                }
                at += PIECE_BYTES;
            }
            await(response().end(Buffer.buffer(Unpooled.wrappedBuffer(json, at, json.length - at))));
        } catch (IllegalStateException e) {
            if (!isGone()) {
                throw e;
            }
        }
    }

    /// Opens a stream of events as the answer.
    EventStream stream() {
        return new EventStream(this, budget);
    }

    /// Answers with an error and waits as [#answer] does. For virtual threads; not once a stream has begun.
    void fail(ApiException failure) {
        if (!isGone()) {
            await(failLater(failure));
        }
    }

    /// Answers with an error from an event loop.
    Future<Void> failLater(ApiException failure) {
        note(failure.error());
        HttpServerResponse response = response();
        if (response.ended() || response.closed()) {
            return Future.succeededFuture();
        }
        response.setStatusCode(failure.error().status()).putHeader("content-type", JSON);
        putErrorHeaders(failure.error());
        return response.end(buffer(failure.error().toJson(requestId)));
    }

    void putErrorHeaders(ApiError error) {
        error.headers(jitter()).forEach(response()::putHeader);
        if ("draining".equals(error.code()) && request().version() != HttpVersion.HTTP_2) {
            response().putHeader("connection", "close");
        }
    }

    /// Remembers that the request ended with this error, for the metrics.
    void note(ApiError error) {
        if (outcome == Outcome.ABORTED) {
            return;
        }
        switch (error.code()) {
            case "server_overloaded", "rate_limit_exceeded" -> outcome = Outcome.REFUSED;
            case "invalid_api_key" -> refused(Refusal.INVALID_API_KEY);
            case "role_missing" -> refused(Refusal.ROLE_MISSING);
            case "draining" -> refused(Refusal.DRAINING);
            case "model_loading" -> refused(Refusal.MODEL_LOADING);
            case "engine_failed" -> refused(Refusal.ENGINE_FAILED);
            case null, default -> outcome = Outcome.ERROR;
        }
    }

    /// Remembers that the request was cut off.
    void aborted(Abort reason) {
        outcome = Outcome.ABORTED;
        metrics.aborted(reason);
    }

    private void refused(Refusal reason) {
        outcome = Outcome.REFUSED;
        if (isGeneration()) {
            metrics.refused(reason);
        }
    }

    boolean isGeneration() {
        return route != null && route.kind() == Route.Kind.GENERATION;
    }

    /// Our own bug: the client gets a plain error, the log the rest.
    ApiException internal(Throwable cause) {
        io.quarkus.logging.Log.errorf(cause, "request %s: internal error", requestId);
        return ApiErrors.internal(cause);
    }

    private void end(boolean clientGone) {
        Runnable action;
        synchronized (this) {
            if (ended) {
                return;
            }
            ended = true;
            gone = clientGone;
            action = clientGone ? whenGone : null;
            whenGone = null;
        }
        if (action != null) {
            action.run();
        }
        metrics.answered(route, response().getStatusCode(), System.nanoTime() - arrivedNanos);
        if (isGeneration()) {
            if (clientGone && outcome != Outcome.ABORTED) {
                aborted(Abort.CLIENT_GONE);
            }
            metrics.ended(route, outcome);
        }
        onEnd.run();
    }

    /// Waits until the transport has taken what was written. Quarkus REST touches the headers of the response when a
    /// resource returns; by then they must have been encoded.
    ///
    /// @return whether it has; otherwise the client is gone, or was cut off for taking nothing
    boolean await(Future<Void> written) {
        try {
            written.toCompletionStage().toCompletableFuture().get(budget.stall().toMillis(), TimeUnit.MILLISECONDS);
            return true;
        } catch (TimeoutException e) {
            aborted(Abort.SLOW_READER);
            cut();
        } catch (java.util.concurrent.ExecutionException | CompletionException | CancellationException e) {
            // the client has gone; the end handler sees it too
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            cut();
        }
        return false;
    }

    /// Ends the answer as it stands: resets the HTTP/2 stream, or closes the connection.
    void cut() {
        ConnectionGate gate = ConnectionGate.of(request().connection());
        if (request().version() == HttpVersion.HTTP_2 || gate == null) {
            response().reset(CANCEL);
        } else {
            gate.cut();
        }
    }

    static Buffer buffer(byte[] bytes) {
        return Buffer.buffer(Unpooled.wrappedBuffer(bytes));
    }

    private static RandomGenerator jitter() {
        return ThreadLocalRandom.current();
    }
}
