package dev.sidewinder.server.rest;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import dev.sidewinder.engine.DroppedPrefixes;
import dev.sidewinder.engine.EngineException;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.server.api.ApiErrors;
import dev.sidewinder.server.api.CacheResetRequest;
import dev.sidewinder.server.api.Partitions;
import dev.sidewinder.server.api.Tenant;
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

/// Drops what the prefix cache holds, for operators. What running requests stand on stays until they have ended.
@Path("/v1/cache/reset")
public class CacheResetResource {

    private final Serving serving;

    public CacheResetResource(Serving serving) {
        this.serving = serving;
    }

    @POST
    @RunOnVirtualThread
    @Operation(operationId = "cache-reset", summary = "Drops the prefix cache, or the part of it that one cache_salt divides off")
    public Response reset(@Context RoutingContext context) {
        RunningModel model = serving.model();
        byte[] body = Exchange.of(context).body();
        CacheResetRequest request = body.length == 0 ? CacheResetRequest.ALL : model.reader().cacheReset(body);
        // a server without partitions keeps nothing that could be dropped one by one
        Optional<Partition> partition = request.cacheSalt().flatMap(salt ->
                model.partitions().map(all -> all.of(Tenant.ANONYMOUS, Optional.of(salt))));
        DroppedPrefixes dropped;
        try {
            dropped = request.cacheSalt().isPresent() && partition.isEmpty() ? DroppedPrefixes.NONE
                    : model.engine().dropPrefixes(partition);
        } catch (EngineException e) {
            throw ApiErrors.of(e);
        }
        Log.infof("prefix cache: an operator dropped %d states and %d blocks of %s", dropped.states(), dropped.blocks(),
                request.cacheSalt().isPresent() ? "one cache_salt" : "all tenants");
        var answer = JsonNodeFactory.instance.objectNode().put("object", "cache.reset").put("dropped_states", dropped.states())
                .put("dropped_blocks", dropped.blocks());
        return Response.ok(answer.toString()).type(MediaType.APPLICATION_JSON_TYPE).build();
    }
}
