package dev.sidewinder.server.rest;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import dev.sidewinder.engine.DroppedPrefixes;
import dev.sidewinder.engine.EngineException;
import dev.sidewinder.server.api.ApiErrors;
import dev.sidewinder.server.api.CacheResetRequest;
import dev.sidewinder.server.api.Tenant;
import dev.sidewinder.server.auth.Caller;
import dev.sidewinder.server.auth.Role;
import dev.sidewinder.server.ops.RunningModel;
import dev.sidewinder.server.ops.Serving;
import io.quarkus.logging.Log;
import io.smallrye.common.annotation.RunOnVirtualThread;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.POST;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.Context;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.util.Optional;
import org.eclipse.microprofile.openapi.annotations.Operation;

/// Drops what the prefix cache holds: all of it for operators, for others what is their own. What running requests stand on stays
/// until they have ended.
@Path("/v1/cache/reset")
public class CacheResetResource {

    private final Serving serving;

    public CacheResetResource(Serving serving) {
        this.serving = serving;
    }

    @POST
    @RunOnVirtualThread
    @Operation(operationId = "cache-reset", summary = "Drops the prefix cache (an operator), or what the caller has in it, or the part of that which one cache_salt divides off")
    public Response reset(@Context RoutingContext context) {
        RunningModel model = serving.model();
        byte[] body = Exchange.of(context).body();
        CacheResetRequest request = body.length == 0 ? CacheResetRequest.ALL : model.reader().cacheReset(body);
        Caller caller = Exchange.of(context).caller();
        boolean everything = caller.is(Role.OPERATOR) && request.cacheSalt().isEmpty();
        DroppedPrefixes dropped;
        try {
            dropped = everything ? model.engine().dropPrefixes(Optional.empty()) : dropOwn(model, caller.tenant(), request.cacheSalt());
        } catch (EngineException e) {
            throw ApiErrors.of(e);
        }
        Log.infof("prefix cache: %s dropped %d states and %d blocks of %s", caller.tenant().name(), dropped.states(), dropped.blocks(),
                everything ? "all tenants" : request.cacheSalt().isPresent() ? "one cache_salt of its own" : "its own");
        var answer = JsonNodeFactory.instance.objectNode().put("object", "cache.reset").put("dropped_states", dropped.states())
                .put("dropped_blocks", dropped.blocks());
        return Response.ok(answer.toString()).type(MediaType.APPLICATION_JSON_TYPE).build();
    }

    private static DroppedPrefixes dropOwn(RunningModel model, Tenant tenant, Optional<String> salt) {
        // a server without partitions keeps nothing that could be dropped one by one
        return model.partitions().map(all -> salt.isPresent() ? model.engine().dropPrefixes(Optional.of(all.of(tenant, salt)))
                : model.engine().dropPrefixes(all.allOf(tenant))).orElse(DroppedPrefixes.NONE);
    }
}
