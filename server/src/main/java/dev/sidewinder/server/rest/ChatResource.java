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

/// Answers a conversation, in one piece or as server-sent events.
@Path("/v1/chat/completions")
public class ChatResource {

    private final GenerationService service;
    private final Rendering rendering;

    public ChatResource(GenerationService service, Rendering rendering) {
        this.service = service;
        this.rendering = rendering;
    }

    @POST
    @RunOnVirtualThread
    @Operation(operationId = "chat", summary = "Answers a conversation, in one piece or as server-sent events")
    public void create(@Context RoutingContext context) {
        service.answer(Exchange.of(context), RequestReader::chat);
    }

    @POST
    @Path("/render")
    @RunOnVirtualThread
    @Operation(operationId = "renderChat", summary = "The prompt that a conversation would give the model, as text and token ids")
    public Response render(@Context RoutingContext context) {
        return rendering.answer(context, RequestReader::chat, RequestPlanner::render);
    }
}
