package dev.sidewinder.server.metrics;

import dev.sidewinder.server.rest.Route;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.DoubleSupplier;

/// What is measured from the moment the port is open, model or not: HTTP, requests and what became of them, streams.
/// Safe for use by many threads.
public final class ServerMetrics {

    /// How a request to the model ended; every one has exactly one.
    public enum Outcome {
        SUCCESS, ERROR, ABORTED, REFUSED
    }

    /// Why a request that had begun was cut off.
    public enum Abort {
        CLIENT_GONE, DEADLINE, SLOW_READER, DRAIN, ENGINE_FAULT
    }

    /// Why a request was not taken.
    public enum Refusal {
        QUEUE_REQUESTS, QUEUE_TOKENS,
        /// the tenant's share of the queue
        SHARE_REQUESTS, SHARE_TOKENS, INVALID_API_KEY, ROLE_MISSING, DRAINING, MODEL_LOADING, ENGINE_FAILED
    }

    /// What the process as a whole is doing.
    public enum State {
        STARTING, SERVING, DRAINING, FAILED
    }

    private static final String[] STATUS_CLASSES = {"2xx", "3xx", "4xx", "5xx"};
    private static final Label ENGINE = new Label("engine", "0");

    private final MetricRegistry registry = new MetricRegistry();
    private final Map<Route, Counter> received = new EnumMap<>(Route.class);
    private final Map<Route, Map<Outcome, Counter>> outcomes = new EnumMap<>(Route.class);
    private final Map<Abort, Counter> aborts = new EnumMap<>(Abort.class);
    private final Map<Refusal, Counter> refusals = new EnumMap<>(Refusal.class);
    private final Map<Route, Counter[]> requests = new EnumMap<>(Route.class);
    private final Map<Route, Histogram> durations = new EnumMap<>(Route.class);
    private final Counter[] strayRequests;
    private final Histogram strayDurations;

    public ServerMetrics() {
        for (Route route : Route.values()) {
            requests.put(route, requestCounters(route.template(), route.method()));
        }
        strayRequests = requestCounters("none", "other");
        for (Route route : Route.values()) {
            durations.put(route, durations(route.template(), route.method()));
        }
        strayDurations = durations("none", "other");
        for (Route route : Route.values()) {
            if (route.kind() == Route.Kind.GENERATION) {
                received.put(route, registry.counter("sidewinder_requests_received_total",
                        "Requests to the model that arrived.", ENGINE, endpoint(route)));
            }
        }
        for (Route route : received.keySet()) {
            Map<Outcome, Counter> counters = new EnumMap<>(Outcome.class);
            for (Outcome outcome : Outcome.values()) {
                counters.put(outcome, registry.counter("sidewinder_requests_total",
                        "Requests to the model by how they ended.", ENGINE, endpoint(route), label("outcome", outcome)));
            }
            outcomes.put(route, counters);
        }
        for (Abort reason : Abort.values()) {
            aborts.put(reason, registry.counter("sidewinder_aborts_total", "Requests that were cut off, by reason.",
                    ENGINE, label("reason", reason)));
        }
        for (Refusal reason : Refusal.values()) {
            refusals.put(reason, registry.counter("sidewinder_refusals_total", "Requests that were not taken, by reason.",
                    ENGINE, label("reason", reason)));
        }
    }

    private Counter[] requestCounters(String handler, String method) {
        Counter[] counters = new Counter[STATUS_CLASSES.length];
        for (int i = 0; i < counters.length; i++) {
            counters[i] = registry.counter("http_requests_total", "HTTP requests by route, method and status class.",
                    new Label("handler", handler), new Label("method", method), new Label("status", STATUS_CLASSES[i]));
        }
        return counters;
    }

    private Histogram durations(String handler, String method) {
        return registry.histogram("http_request_duration_seconds", "From the headers of a request to the end of its answer.",
                Buckets.firstToken(), new Label("handler", handler), new Label("method", method));
    }

    /// Adds what only the running process knows. To be called once.
    public void describe(String version, String commit, BooleanSupplier ready,
            java.util.function.Supplier<State> state) {
        registry.gauge("sidewinder_build_info", "The build, value is always 1.", () -> 1, ENGINE,
                new Label("commit", commit), new Label("version", version));
        registry.gauge("sidewinder_ready", "1 when requests are admitted.", () -> ready.getAsBoolean() ? 1 : 0, ENGINE);
        for (State value : State.values()) {
            registry.gauge("sidewinder_engine_state", "1 for what the process is doing.",
                    () -> state.get() == value ? 1 : 0, ENGINE, label("state", value));
        }
    }

    /// Adds the gauges of the streams being written. To be called once.
    public void streams(DoubleSupplier bufferedBytes, DoubleSupplier slowStreams) {
        registry.gauge("sidewinder_stream_buffer_bytes", "Bytes of streams that their sockets have not taken yet.",
                bufferedBytes, ENGINE);
        registry.gauge("sidewinder_slow_streams", "Streams that wait for their reader.", slowStreams, ENGINE);
    }

    /// A request to the model arrived.
    public void received(Route route) {
        received.get(route).increment();
    }

    /// A request to the model is over.
    public void ended(Route route, Outcome outcome) {
        outcomes.get(route).get(outcome).increment();
    }

    public void aborted(Abort reason) {
        aborts.get(reason).increment();
    }

    public void refused(Refusal reason) {
        refusals.get(reason).increment();
    }

    public long refusals(Refusal reason) {
        return refusals.get(reason).value();
    }

    /// An HTTP answer is complete.
    ///
    /// @param route null for a path that is none of ours
    public void answered(Route route, int status, long nanos) {
        int index = Math.clamp(status / 100 - 2, 0, STATUS_CLASSES.length - 1);
        (route == null ? strayRequests : requests.get(route))[index].increment();
        (route == null ? strayDurations : durations.get(route)).observeNanos(nanos);
    }

    MetricRegistry registry() {
        return registry;
    }

    private static Label endpoint(Route route) {
        return label("endpoint", route);
    }

    private static Label label(String name, Enum<?> value) {
        return new Label(name, value.name().toLowerCase(Locale.ROOT));
    }
}
