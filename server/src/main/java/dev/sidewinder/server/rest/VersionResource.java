package dev.sidewinder.server.rest;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.server.ops.BuildInfo;
import dev.sidewinder.server.ops.Serving;
import io.smallrye.common.annotation.NonBlocking;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import org.eclipse.microprofile.openapi.annotations.Operation;

/// Which build answers, and which weights.
@Path("/version")
@NonBlocking
public class VersionResource {

    /// The state of the HTTP surface that clients are promised.
    private static final String API_DATE = "2026-11-22";

    private final BuildInfo build;
    private final Serving serving;

    public VersionResource(BuildInfo build, Serving serving) {
        this.build = build;
        this.serving = serving;
    }

    @GET
    @Operation(summary = "Version of the server, its commit, and the revision of the model")
    public Response version() {
        ObjectNode version = JsonNodeFactory.instance.objectNode()
                .put("version", build.version())
                .put("commit", build.commit());
        version.put("model_revision", serving.isStarted() ? serving.model().served().fingerprint() : null);
        version.put("api_date", API_DATE);
        return Response.ok(version.toString()).type(MediaType.APPLICATION_JSON_TYPE).build();
    }
}
