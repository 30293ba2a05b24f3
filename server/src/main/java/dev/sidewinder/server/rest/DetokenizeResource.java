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

/// Turns token ids into text. Needs no place in the queue.
@Path("/detokenize")
public class DetokenizeResource {

    private final Serving serving;

    public DetokenizeResource(Serving serving) {
        this.serving = serving;
    }

    @POST
    @RunOnVirtualThread
    @Operation(operationId = "detokenize", summary = "Turns token ids into text")
    public Response detokenize(@Context RoutingContext context) {
        RunningModel model = serving.model();
        byte[] answer = model.planner().detokenize(model.reader().detokenize(Exchange.of(context).body()));
        return Response.ok(answer).type(MediaType.APPLICATION_JSON_TYPE).build();
    }
}
