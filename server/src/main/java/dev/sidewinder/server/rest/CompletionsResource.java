package dev.sidewinder.server.rest;

import dev.sidewinder.server.api.RequestReader;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.Context;
import org.eclipse.microprofile.openapi.annotations.Operation;

/// Continues texts or token ids, in one piece or as server-sent events.
@Path("/v1/completions")
public class CompletionsResource {

    private final GenerationService service;

    public CompletionsResource(GenerationService service) {
        this.service = service;
    }

    @POST
    @RunOnVirtualThread
    @Operation(operationId = "completion", summary = "Continues texts or token ids, in one piece or as server-sent events")
    public void create(@Context RoutingContext context) {
        service.answer(Exchange.of(context), RequestReader::completion);
    }
}
