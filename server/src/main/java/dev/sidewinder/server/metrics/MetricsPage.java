package dev.sidewinder.server.metrics;

import java.util.Optional;
import java.util.function.Supplier;

/// The page behind `/metrics`: ours first, then what Micrometer knows of JVM and process. Any thread; scrapes take turns.
public final class MetricsPage {

    /// Whatever a scraper accepts, this is what it gets.
    public static final String CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

    private final Exposition exposition = new Exposition();
    private final ServerMetrics server;
    private final Supplier<Optional<EngineMetrics>> engine;
    private final Supplier<String> runtime;

    /// @param engine  absent until a model is loaded
    /// @param runtime a scrape of Micrometer; only families `jvm_*` and `process_*` are taken from it
    public MetricsPage(ServerMetrics server, Supplier<Optional<EngineMetrics>> engine, Supplier<String> runtime) {
        this.server = server;
        this.engine = engine;
        this.runtime = runtime;
    }

    public synchronized byte[] render() {
        exposition.clear();
        Optional<EngineMetrics> metrics = engine.get();
        metrics.ifPresent(present -> present.compatible().write(exposition));
        server.registry().write(exposition);
        metrics.ifPresent(present -> present.own().write(exposition));
        appendRuntime(runtime.get());
        return exposition.toByteArray();
    }

    /// Takes over whole lines whose family begins with `jvm_` or `process_`.
    private void appendRuntime(String scrape) {
        int start = 0;
        while (start < scrape.length()) {
            int end = scrape.indexOf('\n', start);
            if (end < 0) {
                end = scrape.length();
            }
            if (isRuntime(scrape, start)) {
                exposition.text(scrape.substring(start, end));
                exposition.text("\n");
            }
            start = end + 1;
        }
    }

    private static boolean isRuntime(String scrape, int start) {
        int name = start;
        if (scrape.startsWith("# HELP ", start) || scrape.startsWith("# TYPE ", start)) {
            name += "# HELP ".length();
        }
        return scrape.startsWith("jvm_", name) || scrape.startsWith("process_", name);
    }
}
