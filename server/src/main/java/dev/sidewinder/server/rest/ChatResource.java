package dev.sidewinder.server.rest;

import dev.sidewinder.server.api.RequestReader;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.Context;
import org.eclipse.microprofile.openapi.annotations.Operation;

/// Answers a conversation, in one piece or as server-sent events.
@Path("/v1/chat/completions")
public class ChatResource {

    private final GenerationService service;

    public ChatResource(GenerationService service) {
        this.service = service;
    }

    @POST
    @RunOnVirtualThread
    @Operation(operationId = "chat", summary = "Answers a conversation, in one piece or as server-sent events")
    public void create(@Context RoutingContext context) {
        service.answer(Exchange.of(context), RequestReader::chat);
    }
}
