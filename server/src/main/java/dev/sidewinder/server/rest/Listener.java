package dev.sidewinder.server.rest;

import dev.sidewinder.server.api.ApiErrors;
import dev.sidewinder.server.api.ApiException;
import dev.sidewinder.server.auth.Gatekeeper;
import dev.sidewinder.server.metrics.ServerMetrics;
import dev.sidewinder.server.settings.ServerConfig;
import io.netty.handler.codec.http.TooLongHttpHeaderException;
import io.netty.handler.codec.http.TooLongHttpLineException;
import io.quarkus.vertx.http.runtime.VertxHttpRecorder;
import io.vertx.core.AbstractVerticle;
import io.vertx.core.DeploymentOptions;
import io.vertx.core.Promise;
import io.vertx.core.Vertx;
import io.vertx.core.http.Http2Settings;
import io.vertx.core.http.HttpServer;
import io.vertx.core.http.HttpServerOptions;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpServerResponse;
import io.vertx.core.http.HttpVersion;
import jakarta.inject.Singleton;
import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/// The open port. We open it ourselves, in front of the router of Quarkus, for the doors that its own listener does not
/// have: an answer to malformed requests, and a port that is open before the application has anything to serve
/// (docs/decisions/0008-own-listener.md).
@Singleton
public final class Listener {

    private static final int MAX_CHUNK_BYTES = 64 * 1024;
    private static final int START_SECONDS = 10;
    /// For Vert.x: any free port, the same one for all loops.
    private static final int SHARED_FREE_PORT = -1;

    private final Vertx vertx;
    private final ServerConfig config;
    private final ServerMetrics metrics;
    private final Gatekeeper gatekeeper;
    private final RequestIds ids = new RequestIds();

    public Listener(Vertx vertx, ServerConfig config, ServerMetrics metrics, Gatekeeper gatekeeper) {
        this.vertx = vertx;
        this.gatekeeper = gatekeeper;
        this.config = config;
        this.metrics = metrics;
    }

    /// Opens the port, on as many event loops as there are processors.
    ///
    /// @return the port, which is another one than the setting when that is 0
    /// @throws IOException when the port is taken or the address is not ours; the message says so
    public int open() throws IOException, InterruptedException {
        int setting = config.http().port() == 0 ? SHARED_FREE_PORT : config.http().port();
        int port = 0;
        for (int i = 0; i < Runtime.getRuntime().availableProcessors(); i++) {
            port = deploy(setting);
        }
        return port;
    }

    private int deploy(int port) throws IOException, InterruptedException {
        var loop = new Loop(port);
        try {
            vertx.deployVerticle(loop, new DeploymentOptions()).toCompletionStage().toCompletableFuture()
                    .get(START_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException | TimeoutException e) {
            Throwable cause = e instanceof ExecutionException ? e.getCause() : e;
            throw new IOException("cannot listen on " + config.http().host() + ":" + config.http().port() + ": " + reason(cause), cause);
        }
        return loop.server.actualPort();
    }

    private static String reason(Throwable cause) {
        String message = String.valueOf(cause.getMessage());
        return message.contains("already in use")
                ? "the port is taken; choose another one with --port, or stop the process that has it" : message;
    }

    private HttpServerOptions options() {
        ServerConfig.Transport transport = config.transport();
        return new HttpServerOptions()
                .setMaxInitialLineLength(transport.requestLineBytes())
                .setMaxHeaderSize(transport.headersBytes())
                .setMaxChunkSize(MAX_CHUNK_BYTES)
                .setInitialSettings(new Http2Settings().setMaxConcurrentStreams(transport.http2Streams())
                        .setMaxHeaderListSize(transport.headersBytes()))
                .setHttp2RstFloodMaxRstFramePerWindow(transport.http2Resets())
                .setHttp2RstFloodWindowDuration(30)
                .setHttp2RstFloodWindowDurationTimeUnit(TimeUnit.SECONDS)
                .setTcpNoDelay(true)
                .setReuseAddress(true);
    }

    /// One event loop that accepts connections.
    private final class Loop extends AbstractVerticle {

        private final int port;
        private HttpServer server;

        Loop(int port) {
            this.port = port;
        }

        @Override
        public void start(Promise<Void> started) {
            server = vertx.createHttpServer(options())
                    .connectionHandler(connection -> FrameFloods.guard(connection, config.transport().http2ControlFrames()))
                    .requestHandler(Listener.this::handle)
                    .invalidRequestHandler(Listener.this::malformed);
            server.listen(port, config.http().host()).<Void>mapEmpty().onComplete(started);
        }
    }

    private void handle(HttpServerRequest request) {
        ConnectionGate gate = ConnectionGate.of(request.connection());
        if (gate != null) {
            gate.requestBegan(request.version() == HttpVersion.HTTP_2);
        }
        try {
            check(request);
        } catch (ApiException refusal) {
            refuse(request, refusal);
            return;
        }
        VertxHttpRecorder.getRootHandler().handle(new CalmRequest(request));
    }

    /// What the router would answer itself, and in its own words.
    private void check(HttpServerRequest request) {
        if (!isUri(request.uri())) {
            throw ApiErrors.invalid("invalid_value", null, "The path is not written as RFC 3986 says.");
        }
        if (!request.uri().startsWith("/") && !request.uri().regionMatches(true, 0, "http://", 0, 7)) {
            FrontDoor.admit(gatekeeper, request, null);
            throw ApiErrors.notFound();
        }
        int hosts = request.headers().getAll("host").size();
        if (hosts > 1) {
            throw ApiErrors.invalid("invalid_value", null, "The request has more than one Host header.");
        }
        if (request.version() == HttpVersion.HTTP_1_1 && (hosts == 0 || request.authority() == null)) {
            throw ApiErrors.invalid("invalid_value", null, "The request has no Host header that names a host.");
        }
    }

    /// The decoder could not make a request of what it read.
    private void malformed(HttpServerRequest request) {
        Throwable cause = request.decoderResult().cause();
        if (cause instanceof TooLongHttpLineException) {
            refuse(request, ApiErrors.uriTooLong(config.transport().requestLineBytes()));
        } else if (cause instanceof TooLongHttpHeaderException) {
            refuse(request, ApiErrors.headersTooLarge(config.transport().headersBytes()));
        } else {
            refuse(request, ApiErrors.invalid("invalid_value", null, "This is no HTTP request as RFC 9112 writes it."));
        }
    }

    /// Answers without a router and closes the connection: nothing that follows on it can be trusted.
    private void refuse(HttpServerRequest request, ApiException refusal) {
        String id = ids.next();
        HttpServerResponse response = request.response();
        response.setStatusCode(refusal.error().status())
                .putHeader("content-type", "application/json")
                .putHeader("x-request-id", id)
                .putHeader("x-sidewinder-mode", "batch-invariant")
                .putHeader("server", "sidewinder");
        if (request.version() != HttpVersion.HTTP_2) {
            response.putHeader("connection", "close");
        }
        refusal.error().headers(ThreadLocalRandom.current()).forEach(response::putHeader);
        response.end(Exchange.buffer(refusal.error().toJson(id)))
                .onComplete(written -> request.connection().close());
        metrics.answered(null, refusal.error().status(), 0);
    }

    private static boolean isUri(String text) {
        try {
            new URI(text);
            return true;
        } catch (URISyntaxException e) {
            return false;
        }
    }
}
