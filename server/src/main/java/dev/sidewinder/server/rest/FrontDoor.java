package dev.sidewinder.server.rest;

import dev.sidewinder.server.api.ApiErrors;
import dev.sidewinder.server.api.ApiException;
import dev.sidewinder.server.api.Limit;
import dev.sidewinder.server.auth.Caller;
import dev.sidewinder.server.auth.Gatekeeper;
import dev.sidewinder.server.metrics.ServerMetrics;
import dev.sidewinder.server.settings.ServerConfig;
import io.quarkus.vertx.http.runtime.filters.Filters;
import io.vertx.core.MultiMap;
import io.vertx.core.Vertx;
import io.vertx.core.http.HttpServerRequest;
import io.vertx.core.http.HttpVersion;
import io.vertx.ext.web.Router;
import io.vertx.ext.web.RoutingContext;
import jakarta.enterprise.event.Observes;
import jakarta.inject.Singleton;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;

/// Every request passes here before any resource: one place that finds the route, checks host, key, method,
/// headers and media types, and reads the body. What fails is answered from the event loop; the rest goes on to Quarkus REST.
@Singleton
public final class FrontDoor {

    private static final int BEFORE_EVERYTHING = 1_000_000;
    /// Routes that can be asked without a body.
    private static final Set<Route> BARE = EnumSet.of(Route.CACHE_RESET, Route.SESSION_CREATE, Route.SESSION_SUSPEND, Route.SESSION_RESUME);
    /// How long a refused body is read and thrown away, so that the client gets to see the refusal.
    private static final long LINGER_MILLIS = 500;

    private final Vertx vertx;
    private final ServerConfig config;
    private final ServerMetrics metrics;
    private final HostCheck hosts;
    private final Gatekeeper gatekeeper;
    private final StreamBudget budget;
    private final BodyReader.Limits bodyLimits;
    private final RequestIds ids = new RequestIds();
    private final AtomicInteger generations = new AtomicInteger();

    public FrontDoor(Vertx vertx, ServerConfig config, ServerMetrics metrics, Gatekeeper gatekeeper) {
        this.vertx = vertx;
        this.gatekeeper = gatekeeper;
        this.config = config;
        this.metrics = metrics;
        this.hosts = new HostCheck(config.http());
        this.budget = new StreamBudget(config.work().streamBytes(), config.work().streamsBytes(),
                config.work().streamStall());
        this.bodyLimits = new BodyReader.Limits(config.api().limits().get(Limit.BODY_BYTES),
                config.transport().smallChunks(), config.transport().bodyTime());
        metrics.streams(budget::pendingBytes, budget::waitingStreams);
    }

    void install(@Observes Filters filters) {
        filters.register(this::enter, BEFORE_EVERYTHING);
    }

    /// In front of the error pages of Quarkus.
    void install(@Observes Router router) {
        router.route().order(Integer.MIN_VALUE).failureHandler(this::failed);
    }

    /// Something outside of our own code refused the request or broke.
    private void failed(RoutingContext context) {
        Exchange exchange = Exchange.isOpen(context) ? Exchange.of(context) : open(context, null);
        ApiException error = switch (context.statusCode()) {
            case 400 -> ApiErrors.invalid("invalid_value", null, "This is no request as this server understands it.");
            case 404 -> ApiErrors.notFound();
            case 406 -> ApiErrors.notAcceptable("application/json");
            case 413 -> ApiErrors.bodyTooLarge(bodyLimits.bytes());
            case 415 -> ApiErrors.unsupportedMediaType();
            default -> exchange.internal(context.failure());
        };
        exchange.failLater(error);
    }

    /// Requests to the model that have arrived and are not over.
    public int generationsInFlight() {
        return generations.get();
    }

    private void enter(RoutingContext context) {
        if (Exchange.isOpen(context)) {
            // the second round, after an alias was rewritten to the path its resource has
            context.addHeadersEndHandler(end -> Exchange.of(context).putHeaders());
            context.next();
            return;
        }
        Optional<Route.Match> match = Route.find(context.request().path());
        Route route = match.map(found -> found.forMethod(context.request().method().name())).orElse(null);
        Exchange exchange = open(context, route);
        try {
            check(exchange);
        } catch (ApiException refusal) {
            if (refusal.error().status() == 405) {
                context.response().putHeader("allow", route.allowed());
            }
            refuse(exchange, refusal);
            return;
        }
        String path = match.orElseThrow().path();
        readBody(exchange, () -> go(context, path));
    }

    private Exchange open(RoutingContext context, Route route) {
        String id = context.request().getHeader("x-request-id");
        boolean generation = route != null && route.kind() == Route.Kind.GENERATION;
        if (generation) {
            generations.incrementAndGet();
        }
        ConnectionGate gate = ConnectionGate.of(context.request().connection());
        boolean named = RequestIds.isFit(id);
        return new Exchange(context, route, named ? id : ids.next(), named, metrics, budget, () -> {
            if (generation) {
                generations.decrementAndGet();
            }
            if (gate != null) {
                gate.requestEnded();
            }
        });
    }

    private void go(RoutingContext context, String path) {
        // always by rerouting, also when the path is as it was: one way, and the query never matters
        context.reroute(context.request().method(), path);
    }

    private void check(Exchange exchange) {
        HttpServerRequest request = exchange.request();
        Route route = exchange.route();
        checkHeaders(request.headers());
        checkHost(request);
        // before anything that tells what is here and what is not
        exchange.caller(admit(gatekeeper, request, route));
        if (route == null) {
            throw Route.isUnsupported(request.path())
                    ? ApiErrors.unsupportedEndpoint(request.method() + " " + request.path())
                    : ApiErrors.notFound();
        }
        if (!route.allows(request.method().name())) {
            throw ApiErrors.methodNotAllowed(request.method().name(), route.allowed());
        }
        if (route.kind() != Route.Kind.PROBE) {
            checkAccept(request, route);
        }
        checkContentLength(request);
        boolean maybeBare = BARE.contains(route) && !hasBody(request);
        if (route.method().equals("POST") && !maybeBare) {
            checkContentType(request);
        }
    }

    /// Who asks; on the route that will be taken, whatever it is called in the request.
    ///
    /// @param route null for a path that is none of ours
    static Caller admit(Gatekeeper gatekeeper, HttpServerRequest request, Route route) {
        return Route.roles(route).isEmpty() ? Caller.NOBODY : gatekeeper.admit(request.headers().getAll("authorization"),
                request.headers().getAll("x-api-key"), Route.roles(route));
    }

    private void checkHeaders(MultiMap headers) {
        ServerConfig.Transport limits = config.transport();
        int total = 0;
        int count = 0;
        for (var header : headers) {
            int bytes = header.getKey().length() + header.getValue().length() + 4;
            total += bytes;
            count++;
            if (count > limits.headerCount() || bytes > limits.headerBytes() || total > limits.headersBytes()) {
                throw ApiErrors.headersTooLarge(limits.headersBytes());
            }
        }
    }

    private void checkHost(HttpServerRequest request) {
        String host = request.getHeader("host");
        if (request.version() == HttpVersion.HTTP_2 && request.authority() != null) {
            host = request.authority().toString();
        }
        if (host != null && !hosts.allows(host)) {
            throw ApiErrors.hostNotAllowed();
        }
        String target = request.uri();
        if (!target.startsWith("/")) {
            // a proxy's form of the target names a host too, and it is the one that counts
            String rest = target.substring("http://".length());
            int slash = rest.indexOf('/');
            if (!hosts.allows(slash < 0 ? rest : rest.substring(0, slash))) {
                throw ApiErrors.hostNotAllowed();
            }
        }
    }

    private static void checkAccept(HttpServerRequest request, Route route) {
        List<String> offered = switch (route) {
            case CHAT, COMPLETIONS, GENERATE -> List.of("application/json", "text/event-stream");
            case OPENAPI_YAML -> List.of("application/yaml", "application/x-yaml", "text/yaml", "text/plain");
            case CHAT_RENDER, COMPLETIONS_RENDER, TOKENIZE, DETOKENIZE, CACHE_RESET, SESSION_CREATE, SESSION_LIST,
                    SESSION, SESSION_DELETE, SESSION_FORK, SESSION_SUSPEND, SESSION_RESUME, MODELS, MODEL, VERSION, OPENAPI_JSON, HEALTH, LIVE, READY,
                    STARTED, METRICS ->
                List.of("application/json");
        };
        List<String> accepted = request.headers().getAll("accept");
        if (accepted.isEmpty()) {
            return;
        }
        for (String header : accepted) {
            for (String range : header.split(",")) {
                String type = range.split(";", 2)[0].strip().toLowerCase(Locale.ROOT);
                if (type.isEmpty() || type.equals("*/*") || offered.contains(type)
                        || type.endsWith("/*") && offered.stream().anyMatch(
                                one -> one.startsWith(type.substring(0, type.length() - 1)))) {
                    return;
                }
            }
        }
        throw ApiErrors.notAcceptable(String.join(" and ", offered));
    }

    private static void checkContentType(HttpServerRequest request) {
        String encoding = request.getHeader("content-encoding");
        if (encoding != null && !encoding.isBlank() && !encoding.strip().equalsIgnoreCase("identity")) {
            throw ApiErrors.unsupportedMediaType();
        }
        String type = request.getHeader("content-type");
        if (type == null) {
            throw ApiErrors.unsupportedMediaType();
        }
        String[] parts = type.split(";");
        if (!parts[0].strip().equalsIgnoreCase("application/json")) {
            throw ApiErrors.unsupportedMediaType();
        }
        for (int i = 1; i < parts.length; i++) {
            String parameter = parts[i].strip().toLowerCase(Locale.ROOT);
            if (parameter.startsWith("charset=")) {
                String charset = parameter.substring("charset=".length()).replace("\"", "");
                if (!charset.equals("utf-8") && !charset.equals("utf8")) {
                    throw ApiErrors.unsupportedMediaType();
                }
            }
        }
    }

    private void checkContentLength(HttpServerRequest request) {
        String length = request.getHeader("content-length");
        if (length == null) {
            return;
        }
        // the decoder has checked that these are digits; they may still be more than a long holds
        if (length.length() > 18 || Long.parseLong(length) > bodyLimits.bytes()) {
            throw ApiErrors.bodyTooLarge(bodyLimits.bytes());
        }
    }

    private void readBody(Exchange exchange, Runnable next) {
        HttpServerRequest request = exchange.request();
        if (hasBody(request) && "100-continue".equalsIgnoreCase(request.getHeader("expect"))) {
            exchange.response().writeContinue();
        }
        BodyReader.read(vertx, request, bodyLimits, body -> {
            exchange.body(body);
            next.run();
        }, refusal -> refuse(exchange, refusal));
    }

    /// Answers with an error. What the client still sends is thrown away for a moment and then its connection closed: it
    /// would otherwise see a reset in place of the answer.
    private void refuse(Exchange exchange, ApiException refusal) {
        HttpServerRequest request = exchange.request();
        boolean unread = !request.isEnded() && hasBody(request);
        if (unread && request.version() != HttpVersion.HTTP_2) {
            exchange.response().putHeader("connection", "close");
        }
        exchange.putHeaders();
        exchange.failLater(refusal);
        request.handler(piece -> {});
        request.exceptionHandler(failure -> {});
        request.resume();
        if (unread) {
            if (request.version() == HttpVersion.HTTP_2) {
                vertx.setTimer(LINGER_MILLIS, id -> {
                    if (!request.isEnded()) {
                        request.response().reset(0);
                    }
                });
            } else {
                vertx.setTimer(LINGER_MILLIS, id -> request.connection().close());
            }
        }
    }

    private static boolean hasBody(HttpServerRequest request) {
        String length = request.getHeader("content-length");
        return request.version() == HttpVersion.HTTP_2 ? !"0".equals(length) && !request.isEnded()
                : length != null && !length.equals("0") || request.getHeader("transfer-encoding") != null;
    }
}
