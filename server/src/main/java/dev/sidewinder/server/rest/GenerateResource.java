package dev.sidewinder.server.rest;

import dev.sidewinder.server.api.RequestReader;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.Context;
import org.eclipse.microprofile.openapi.annotations.Operation;

/// Continues one prompt; as a stream, one event per token.
@Path("/generate")
public class GenerateResource {

    private final GenerationService service;

    public GenerateResource(GenerationService service) {
        this.service = service;
    }

    @POST
    @RunOnVirtualThread
    @Operation(operationId = "generate", summary = "Continues one prompt; as a stream, one event per token")
    public void create(@Context RoutingContext context) {
        service.answer(Exchange.of(context), RequestReader::generate);
    }
}
