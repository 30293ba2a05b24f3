package dev.sidewinder.server.rest;

import dev.sidewinder.server.api.ApiError;
import dev.sidewinder.server.metrics.ServerMetrics.Abort;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.http.HttpVersion;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;

/// Server-sent events with back-pressure: the writing thread waits while its reader has too much before it, and gives
/// up on a reader that takes nothing. One writing thread.
final class EventStream {

    /// The client cannot be written to any more. Nothing is left to answer.
    static final class GoneException extends RuntimeException {
        GoneException(String message) {
            super(message, null, false, false);
        }
    }

    private static final byte[] PING = ": ping\n\n".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] DONE = "data: [DONE]\n\n".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] ERROR = "event: error\ndata: ".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] DATA = "data: ".getBytes(StandardCharsets.US_ASCII);
    private static final int CANCEL = 8;

    private final Exchange exchange;
    private final HttpServerResponse response;
    private final StreamBudget budget;
    private final ByteArrayOutputStream group = new ByteArrayOutputStream(1024);
    private final AtomicInteger pending = new AtomicInteger();
    private final Thread writer = Thread.currentThread();
    private boolean open;
    private long lastWriteNanos = System.nanoTime();

    EventStream(Exchange exchange, StreamBudget budget) {
        this.exchange = exchange;
        this.response = exchange.response();
        this.budget = budget;
    }

    /// Whether status and headers have been sent, so that a failure has no status of its own any more.
    boolean isOpen() {
        return open;
    }

    long lastWriteNanos() {
        return lastWriteNanos;
    }

    /// Adds an event; it goes out with the next [#flush].
    void event(byte[] json) {
        group.writeBytes(DATA);
        group.writeBytes(json);
        group.write('\n');
        group.write('\n');
    }

    int groupBytes() {
        return group.size();
    }

    void ping() {
        group.writeBytes(PING);
        flush();
    }

    /// Sends status and headers, and what was added so far.
    void open() {
        if (!open) {
            response.setStatusCode(200)
                    .putHeader("content-type", "text/event-stream; charset=utf-8")
                    .putHeader("cache-control", "no-cache")
                    .putHeader("x-accel-buffering", "no");
            if (exchange.request().version() == HttpVersion.HTTP_1_0) {
                // no chunks there: the end of the connection is the end of the body
                response.putHeader("connection", "close");
            } else {
                response.setChunked(true);
            }
            open = true;
        }
        if (group.size() == 0) {
            // an empty chunk would not carry the headers on all transports; a comment does
            group.writeBytes(PING);
        }
        flush();
    }

    /// Hands what was added to the socket, waiting for room.
    ///
    /// @throws GoneException when the client is gone or takes nothing
    void flush() {
        if (!open) {
            open();
            return;
        }
        if (group.size() == 0) {
            return;
        }
        byte[] bytes = group.toByteArray();
        group.reset();
        awaitRoom(bytes.length);
        write(bytes);
    }

    /// Ends the stream as it should end, `[DONE]` included when `done` says so.
    void end(boolean done) {
        if (done) {
            group.writeBytes(DONE);
        }
        finish();
    }

    /// Ends the stream with an error.
    void fail(ApiError error) {
        group.writeBytes(ERROR);
        group.writeBytes(error.toJson(exchange.requestId()));
        group.write('\n');
        group.write('\n');
        finish();
    }

    /// Cuts the stream off: the connection closes, or the HTTP/2 stream is reset.
    void reset() {
        response.reset(CANCEL);
    }

    private void finish() {
        flush();
        try {
            response.end();
        } catch (IllegalStateException e) {
            throw new GoneException("the client has closed the connection");
        }
        // everything must be out of our hands before the resource returns: see Exchange
        awaitPending(0);
    }

    private void write(byte[] bytes) {
        pending.addAndGet(bytes.length);
        budget.written(bytes.length);
        lastWriteNanos = System.nanoTime();
        try {
            response.write(Exchange.buffer(bytes)).onComplete(result -> taken(bytes.length));
        } catch (IllegalStateException e) {
            // an HTTP/2 stream that the client has just reset says so here
            taken(bytes.length);
            throw new GoneException("the client has closed the connection");
        }
    }

    private void taken(int bytes) {
        budget.taken(bytes);
        pending.addAndGet(-bytes);
        LockSupport.unpark(writer);
    }

    private void awaitRoom(int more) {
        if (exchange.isGone()) {
            throw new GoneException("the client has closed the connection");
        }
        if (!budget.hasRoom(pending.get(), more)) {
            awaitProgress(() -> budget.hasRoom(pending.get(), more));
        }
    }

    private void awaitPending(int bytes) {
        if (pending.get() > bytes) {
            awaitProgress(() -> pending.get() <= bytes);
        }
    }

    private void awaitProgress(java.util.function.BooleanSupplier done) {
        budget.waits(true);
        try {
            int seen = pending.get();
            long deadline = System.nanoTime() + budget.stall().toNanos();
            while (!done.getAsBoolean()) {
                if (exchange.isGone()) {
                    throw new GoneException("the client has closed the connection");
                }
                long now = System.nanoTime();
                int still = pending.get();
                if (still != seen) {
                    seen = still;
                    deadline = now + budget.stall().toNanos();
                } else if (now >= deadline) {
                    exchange.aborted(Abort.SLOW_READER);
                    reset();
                    throw new GoneException("the client did not read its stream");
                }
                LockSupport.parkNanos(this, Math.min(deadline - now, 50_000_000));
            }
        } finally {
            budget.waits(false);
        }
    }
}
