package dev.sidewinder.server.rest;

import dev.sidewinder.server.api.RequestPlanner;
import dev.sidewinder.server.api.RequestReader;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.Response;
import org.eclipse.microprofile.openapi.annotations.Operation;

/// Continues texts or token ids, in one piece or as server-sent events.
@Path("/v1/completions")
public class CompletionsResource {

    private final GenerationService service;
    private final Rendering rendering;

    public CompletionsResource(GenerationService service, Rendering rendering) {
        this.service = service;
        this.rendering = rendering;
    }

    @POST
    @RunOnVirtualThread
    @Operation(operationId = "completion", summary = "Continues texts or token ids, in one piece or as server-sent events")
    public void create(@Context RoutingContext context) {
        service.answer(Exchange.of(context), RequestReader::completion);
    }

    @POST
    @Path("/render")
    @RunOnVirtualThread
    @Operation(operationId = "renderCompletion", summary = "The prompt that a text completion would give the model, as text and token ids")
    public Response render(@Context RoutingContext context) {
        return rendering.answer(context, RequestReader::completion, RequestPlanner::render);
    }
}
