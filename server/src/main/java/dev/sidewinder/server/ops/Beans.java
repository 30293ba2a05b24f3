package dev.sidewinder.server.ops;

import dev.sidewinder.server.auth.Gatekeeper;
import dev.sidewinder.server.auth.LiveKeys;
import dev.sidewinder.server.metrics.MetricsPage;
import dev.sidewinder.server.metrics.ServerMetrics;
import dev.sidewinder.server.settings.Installation;
import dev.sidewinder.server.settings.ServerConfig;
import io.micrometer.prometheus.PrometheusMeterRegistry;
import io.quarkus.runtime.annotations.CommandLineArguments;
import jakarta.enterprise.inject.Produces;
import jakarta.inject.Singleton;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/// Makes the objects of other packages that know nothing of injection.
final class Beans {

    /// The settings of this process. `Main` has read them once already, so they are good.
    @Produces
    @Singleton
    ServerConfig config(@CommandLineArguments String[] arguments) {
        List<String> flags = arguments.length > 0 && arguments[0].equals("serve")
                ? Arrays.asList(arguments).subList(1, arguments.length) : List.of();
        return ServerConfig.read(flags, System.getenv(), Path.of(""), Installation.here());
    }

    @Produces
    @Singleton
    Gatekeeper gatekeeper(ServerConfig config) {
        // the file was read with the settings, for the message; the thread that watches it lives as long as the process
        return config.http().keys().map(file -> Gatekeeper.with(LiveKeys.open(file).watched()::ring)).orElseGet(Gatekeeper::open);
    }

    @Produces
    @Singleton
    ServerMetrics metrics() {
        return new ServerMetrics();
    }

    @Produces
    @Singleton
    MetricsPage page(ServerMetrics metrics, Serving serving, PrometheusMeterRegistry runtime) {
        return new MetricsPage(metrics, serving::engineMetrics, runtime::scrape);
    }
}
