package dev.sidewinder.server.rest;

import dev.sidewinder.server.api.ApiErrors;
import dev.sidewinder.server.api.ApiException;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.http.HttpServerRequest;
import java.io.ByteArrayOutputStream;
import java.time.Duration;
import java.util.function.Consumer;

/// Collects the body of one request inside the limits of size, pieces and time. Lives on the request's event loop.
final class BodyReader {

    private static final int SMALL_PIECE_BYTES = 64;

    /// @param bytes       the longest body
    /// @param smallPieces pieces below 64 bytes; a million chunks of one byte cost more than their bytes
    /// @param time        for the whole body
    record Limits(int bytes, int smallPieces, Duration time) {}

    private final HttpServerRequest request;
    private final Limits limits;
    private final Vertx vertx;
    private final Consumer<byte[]> done;
    private final Consumer<ApiException> refused;
    private final ByteArrayOutputStream body = new ByteArrayOutputStream();
    private final long timer;
    private int smallPieces;
    private boolean over;

    private BodyReader(Vertx vertx, HttpServerRequest request, Limits limits, Consumer<byte[]> done,
            Consumer<ApiException> refused) {
        this.vertx = vertx;
        this.request = request;
        this.limits = limits;
        this.done = done;
        this.refused = refused;
        this.timer = vertx.setTimer(limits.time().toMillis(), id -> refuse(ApiErrors.requestTimeout()));
    }

    /// Starts reading. Exactly one of the two is called, or neither when the client goes away.
    static void read(Vertx vertx, HttpServerRequest request, Limits limits, Consumer<byte[]> done,
            Consumer<ApiException> refused) {
        var reader = new BodyReader(vertx, request, limits, done, refused);
        request.handler(reader::piece);
        request.endHandler(end -> reader.end());
        request.exceptionHandler(failure -> reader.stop());
        request.resume();
    }

    private void piece(Buffer piece) {
        if (over) {
            return;
        }
        if (piece.length() < SMALL_PIECE_BYTES && ++smallPieces > limits.smallPieces()) {
            refuse(ApiErrors.invalid("invalid_value", null, "The body comes in too many pieces of less than "
                    + SMALL_PIECE_BYTES + " bytes; send it in larger ones."));
        } else if (body.size() + (long) piece.length() > limits.bytes()) {
            refuse(ApiErrors.bodyTooLarge(limits.bytes()));
        } else {
            body.writeBytes(piece.getBytes());
        }
    }

    private void end() {
        if (!over) {
            stop();
            done.accept(body.toByteArray());
        }
    }

    private void refuse(ApiException refusal) {
        if (!over) {
            stop();
            refused.accept(refusal);
        }
    }

    private void stop() {
        over = true;
        vertx.cancelTimer(timer);
    }
}
