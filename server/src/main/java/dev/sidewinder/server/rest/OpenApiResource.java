package dev.sidewinder.server.rest;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import io.smallrye.common.annotation.RunOnVirtualThread;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import org.eclipse.microprofile.openapi.annotations.Operation;

/// The description of this surface.
@Path("/")
public class OpenApiResource {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final ObjectMapper YAML = new ObjectMapper(
            new YAMLFactory().disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER));

    private final OpenApiDocument document;

    public OpenApiResource(OpenApiDocument document) {
        this.document = document;
    }

    @GET
    @Path("/openapi.json")
    @RunOnVirtualThread
    @Operation(operationId = "openapiJson", summary = "This description as JSON")
    public Response json() throws JsonProcessingException {
        ObjectNode description = document.describe();
        return Response.ok(JSON.writerWithDefaultPrettyPrinter().writeValueAsString(description))
                .type(MediaType.APPLICATION_JSON_TYPE).build();
    }

    @GET
    @Path("/openapi.yaml")
    @RunOnVirtualThread
    @Operation(operationId = "openapiYaml", summary = "This description as YAML")
    public Response yaml() throws JsonProcessingException {
        return Response.ok(YAML.writeValueAsString(document.describe())).header("content-type", "application/yaml").build();
    }
}
