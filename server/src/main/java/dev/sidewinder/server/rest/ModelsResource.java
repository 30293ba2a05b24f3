package dev.sidewinder.server.rest;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.server.api.ApiErrors;
import dev.sidewinder.server.ops.RunningModel;
import dev.sidewinder.server.ops.Serving;
import io.smallrye.common.annotation.NonBlocking;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import org.eclipse.microprofile.openapi.annotations.Operation;

/// The names under which the model is served.
@Path("/v1/models")
@NonBlocking
public class ModelsResource {

    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;
    private static final String PREFIX = "/v1/models/";

    private final Serving serving;

    public ModelsResource(Serving serving) {
        this.serving = serving;
    }

    @GET
    @Operation(summary = "All names and aliases of the model; 503 until it is loaded")
    public Response list() {
        RunningModel served = serving.model();
        ObjectNode answer = JSON.objectNode().put("object", "list");
        var data = answer.putArray("data");
        served.names().forEach(name -> data.add(entry(served, name)));
        return ok(answer);
    }

    /// The id is taken from the raw path: it may contain slashes, raw or encoded.
    @GET
    @Path("/{id: .+}")
    @Operation(summary = "One name of the model")
    public Response one(@PathParam("id") String pattern, @Context RoutingContext context) {
        RunningModel served = serving.model();
        String raw = context.request().path().substring(PREFIX.length());
        String id;
        try {
            id = URLDecoder.decode(raw.replace("+", "%2B"), StandardCharsets.UTF_8);
        } catch (IllegalArgumentException e) {
            throw ApiErrors.modelNotFound(raw);
        }
        if (!served.isCalled(id)) {
            throw ApiErrors.modelNotFound(id);
        }
        return ok(entry(served, id));
    }

    private static ObjectNode entry(RunningModel served, String name) {
        ObjectNode entry = JSON.objectNode()
                .put("id", name)
                .put("object", "model")
                .put("created", served.created())
                .put("owned_by", "sidewinder")
                .put("root", served.names().getFirst());
        entry.putNull("parent");
        entry.put("max_model_len", served.plan().maxModelTokens());
        boolean chats = served.model().chatTemplate().isPresent();
        entry.putObject("sidewinder")
                .put("mode", "batch-invariant")
                .put("number_format", served.model().numberFormat())
                .put("weight_version", served.model().fingerprint())
                .put("thinking", chats)
                .put("tools", chats);
        return entry;
    }

    private static Response ok(ObjectNode json) {
        return Response.ok(json.toString()).type(MediaType.APPLICATION_JSON_TYPE).build();
    }
}
