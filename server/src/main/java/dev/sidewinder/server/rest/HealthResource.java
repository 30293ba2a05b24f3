package dev.sidewinder.server.rest;

import dev.sidewinder.server.metrics.ServerMetrics.State;
import dev.sidewinder.server.ops.Serving;
import io.smallrye.common.annotation.NonBlocking;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import org.eclipse.microprofile.openapi.annotations.Operation;

/// The probes. They answer from memory on the event loop: a busy engine never fails one.
@Path("/health")
@NonBlocking
public class HealthResource {

    private final Serving serving;

    public HealthResource(Serving serving) {
        this.serving = serving;
    }

    @GET
    @Operation(summary = "Whether the process lives, the engine is well and the model is loaded")
    public Response health() {
        return answer(serving.isStarted() && !serving.hasFailed());
    }

    @GET
    @Path("/live")
    @Operation(summary = "Whether the process lives and the engine has not failed; also while loading and draining")
    public Response live() {
        return answer(!serving.hasFailed());
    }

    @GET
    @Path("/ready")
    @Operation(summary = "Whether requests are admitted")
    public Response ready() {
        return answer(serving.state() == State.SERVING);
    }

    @GET
    @Path("/started")
    @Operation(summary = "Whether the model is loaded and has computed a token")
    public Response started() {
        return answer(serving.isStarted());
    }

    private static Response answer(boolean up) {
        return Response.status(up ? 200 : 503).type(MediaType.APPLICATION_JSON_TYPE)
                .entity(up ? "{\"status\":\"UP\"}" : "{\"status\":\"DOWN\"}").build();
    }
}
