package dev.sidewinder.server.rest;

import io.vertx.core.http.HttpConnection;
import io.vertx.core.http.impl.Http2ServerConnection;
import java.util.concurrent.TimeUnit;

/// Ends HTTP/2 connections that send SETTINGS or PING all the time: each has to be answered, and does nothing else
/// (CVE-2019-9512, CVE-2019-9515). Floods of the other frames end in Vert.x (RST_STREAM) and in Netty's decoder
/// (CONTINUATION, empty DATA). Lives on the connection's event loop.
final class FrameFloods {

    private static final long WINDOW_NANOS = TimeUnit.SECONDS.toNanos(30);
    /// RFC 9113, section 7.
    private static final int ENHANCE_YOUR_CALM = 11;

    private final HttpConnection connection;
    private final int limit;
    private long windowStartNanos = System.nanoTime();
    private int frames;

    private FrameFloods(HttpConnection connection, int limit) {
        this.connection = connection;
        this.limit = limit;
    }

    /// Watches a new connection; one of HTTP/1 has no frames.
    ///
    /// @param limit frames in 30 seconds
    static void guard(HttpConnection connection, int limit) {
        if (connection instanceof Http2ServerConnection) {
            var floods = new FrameFloods(connection, limit);
            connection.pingHandler(ping -> floods.frame());
            connection.remoteSettingsHandler(settings -> floods.frame());
        }
    }

    private void frame() {
        long now = System.nanoTime();
        if (now - windowStartNanos > WINDOW_NANOS) {
            windowStartNanos = now;
            frames = 0;
        }
        frames++;
        if (frames == limit + 1) {
            connection.goAway(ENHANCE_YOUR_CALM);
            connection.close();
        }
    }
}
