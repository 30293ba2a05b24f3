package dev.sidewinder.server.rest;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.EngineException;
import dev.sidewinder.engine.session.SessionException;
import dev.sidewinder.engine.session.SessionInfo;
import dev.sidewinder.engine.session.SessionKey;
import dev.sidewinder.engine.session.Sessions;
import dev.sidewinder.server.api.ApiErrors;
import dev.sidewinder.server.api.SessionRequest;
import dev.sidewinder.server.api.Tenant;
import dev.sidewinder.server.ops.RunningModel;
import dev.sidewinder.server.ops.Serving;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.DELETE;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.PathParam;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.util.Locale;
import java.util.function.Supplier;
import org.eclipse.microprofile.openapi.annotations.Operation;

/// Named, durable sessions: histories of tokens that requests with `session_id` go on with.
@Path("/v1/sessions")
public class SessionResource {

    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    private final Serving serving;
    private final RequestIds names = new RequestIds();

    public SessionResource(Serving serving) {
        this.serving = serving;
    }

    @POST
    @RunOnVirtualThread
    @Operation(operationId = "createSession", summary = "Makes a session, which may begin with a conversation or a text that is computed at once")
    public Response create(@Context RoutingContext context) {
        RunningModel model = serving.model();
        byte[] body = Exchange.of(context).body();
        SessionRequest request = body.length == 0 ? SessionRequest.EMPTY : model.reader().session(body);
        SessionKey key = key(context, request.name().orElseGet(() -> "session-" + names.next()));
        int[] prefix = model.planner().sessionPrefix(request);
        return answer(() -> {
            if (prefix.length == 0) {
                return sessions(model).create(key);
            }
            try (Engine.Place place = model.engine().reserve(Exchange.of(context).caller().share(), 1, prefix.length)) {
                return sessions(model).create(key, place, prefix, model.planner().priority(0, tenant(context)));
            }
        });
    }

    @GET
    @RunOnVirtualThread
    @Operation(operationId = "listSessions", summary = "All sessions of the caller")
    public Response list(@Context RoutingContext context) {
        RunningModel model = serving.model();
        ObjectNode list = JSON.objectNode().put("object", "list");
        var data = list.putArray("data");
        try {
            sessions(model).list(tenant(context).name()).forEach(info -> data.add(json(info)));
        } catch (SessionException e) {
            throw ApiErrors.of(e);
        }
        return ok(list);
    }

    @GET
    @Path("/{name}")
    @RunOnVirtualThread
    @Operation(operationId = "session", summary = "One session")
    public Response one(@PathParam("name") String name, @Context RoutingContext context) {
        return answer(() -> sessions(serving.model()).info(key(context, name)));
    }

    @DELETE
    @Path("/{name}")
    @RunOnVirtualThread
    @Operation(operationId = "deleteSession", summary = "Ends a session and deletes its file")
    public Response delete(@PathParam("name") String name, @Context RoutingContext context) {
        try {
            sessions(serving.model()).delete(key(context, name));
        } catch (SessionException e) {
            throw ApiErrors.of(e);
        }
        return ok(JSON.objectNode().put("id", name).put("object", "session.deleted").put("deleted", true));
    }

    @POST
    @Path("/{name}/fork")
    @RunOnVirtualThread
    @Operation(operationId = "forkSession", summary = "Makes a second session with the same history")
    public Response fork(@PathParam("name") String name, @Context RoutingContext context) {
        RunningModel model = serving.model();
        String second = model.reader().sessionFork(Exchange.of(context).body());
        return answer(() -> sessions(model).fork(key(context, name), second));
    }

    @POST
    @Path("/{name}/suspend")
    @RunOnVirtualThread
    @Operation(operationId = "suspendSession", summary = "Writes a session to its file and frees its memory")
    public Response suspend(@PathParam("name") String name, @Context RoutingContext context) {
        return answer(() -> sessions(serving.model()).suspend(key(context, name)));
    }

    @POST
    @Path("/{name}/resume")
    @RunOnVirtualThread
    @Operation(operationId = "resumeSession", summary = "Brings a session back from its file")
    public Response resume(@PathParam("name") String name, @Context RoutingContext context) {
        return answer(() -> sessions(serving.model()).resume(key(context, name)));
    }

    private static Sessions sessions(RunningModel model) {
        return model.sessions().orElseThrow(() -> ApiErrors.invalid("unsupported_value", null,
                "This server has no memory of the host for sessions (sidewinder.engine.host-cache-size)."));
    }

    /// A session of somebody else is one that is not there.
    private static SessionKey key(RoutingContext context, String name) {
        return new SessionKey(tenant(context).name(), name);
    }

    private static Tenant tenant(RoutingContext context) {
        return Exchange.of(context).caller().tenant();
    }

    private static Response answer(Supplier<SessionInfo> deed) {
        try {
            return ok(json(deed.get()));
        } catch (SessionException e) {
            throw ApiErrors.of(e);
        } catch (EngineException e) {
            throw ApiErrors.of(e);
        }
    }

    private static ObjectNode json(SessionInfo info) {
        return JSON.objectNode().put("id", info.key().name()).put("object", "session")
                .put("state", info.state().name().toLowerCase(Locale.ROOT)).put("tokens", info.tokens())
                .put("computed_tokens", info.computed()).put("bytes", info.bytes()).put("created", info.created().getEpochSecond())
                .put("used", info.used().getEpochSecond());
    }

    private static Response ok(ObjectNode json) {
        return Response.ok(json.toString()).type(MediaType.APPLICATION_JSON_TYPE).build();
    }
}
