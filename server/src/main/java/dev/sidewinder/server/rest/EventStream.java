package dev.sidewinder.server.rest;

import dev.sidewinder.server.api.answer.WireBuffer;
import dev.sidewinder.server.metrics.ServerMetrics.Abort;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.http.HttpVersion;
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

    private final Exchange exchange;
    private final HttpServerResponse response;
    private final StreamBudget budget;
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

    /// Sends status and headers, and what is in the buffer.
    void open(WireBuffer wire) {
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
        if (wire.length() == 0) {
            // an empty chunk would not carry the headers on all transports; a comment does
            wire.write(PING, 0, PING.length);
        }
        write(wire);
    }

    /// Hands the events of the buffer to the socket and empties it, waiting for room. Opens the stream when it is not.
    ///
    /// @throws GoneException when the client is gone or takes nothing
    void write(WireBuffer wire) {
        if (wire.length() == 0) {
            return;
        }
        if (!open) {
            open(wire);
            return;
        }
        byte[] bytes = wire.toByteArray();
        wire.reset();
        awaitRoom(bytes.length);
        send(bytes);
    }

    /// Shows proxies and clients that the stream lives.
    void ping() {
        awaitRoom(PING.length);
        send(PING);
    }

    /// Writes what is left and ends the body; waits until all of it is out of our hands, as [Exchange] explains.
    void end(WireBuffer wire) {
        write(wire);
        try {
            exchange.await(response.end());
        } catch (IllegalStateException e) {
            throw new GoneException("the client has closed the connection");
        }
    }

    private void send(byte[] bytes) {
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
                    exchange.cut();
                    throw new GoneException("the client did not read its stream");
                }
                LockSupport.parkNanos(this, Math.min(deadline - now, 50_000_000));
            }
        } finally {
            budget.waits(false);
        }
    }
}
