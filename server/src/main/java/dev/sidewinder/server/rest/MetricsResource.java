package dev.sidewinder.server.rest;

import dev.sidewinder.server.metrics.MetricsPage;
import io.smallrye.common.annotation.RunOnVirtualThread;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.Response;
import org.eclipse.microprofile.openapi.annotations.Operation;

/// What scrapers read.
@Path("/metrics")
public class MetricsResource {

    private final MetricsPage page;

    public MetricsResource(MetricsPage page) {
        this.page = page;
    }

    @GET
    @RunOnVirtualThread
    @Operation(summary = "Metrics in the Prometheus text format")
    public Response metrics() {
        return Response.ok(page.render()).header("content-type", MetricsPage.CONTENT_TYPE).build();
    }
}
