package dev.sidewinder.server.rest;

import dev.sidewinder.server.ops.RunningModel;
import dev.sidewinder.server.ops.Serving;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import org.eclipse.microprofile.openapi.annotations.Operation;

/// Turns a text or a conversation into token ids. Needs no place in the queue.
@Path("/tokenize")
public class TokenizeResource {

    private final Serving serving;

    public TokenizeResource(Serving serving) {
        this.serving = serving;
    }

    @POST
    @RunOnVirtualThread
    @Operation(operationId = "tokenize", summary = "Turns a text or a conversation into token ids")
    public Response tokenize(@Context RoutingContext context) {
        RunningModel model = serving.model();
        byte[] answer = model.planner().tokenize(model.reader().tokenize(Exchange.of(context).body()));
        return Response.ok(answer).type(MediaType.APPLICATION_JSON_TYPE).build();
    }
}
