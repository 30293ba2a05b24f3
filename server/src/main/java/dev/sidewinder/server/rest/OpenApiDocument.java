package dev.sidewinder.server.rest;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.server.api.ApiLimits;
import dev.sidewinder.server.api.Endpoint;
import dev.sidewinder.server.api.OpenApiSchemas;
import dev.sidewinder.server.ops.BuildInfo;
import dev.sidewinder.server.ops.Serving;
import dev.sidewinder.server.settings.ServerConfig;
import io.quarkus.smallrye.openapi.runtime.OpenApiDocumentService;
import io.smallrye.openapi.runtime.io.Format;
import jakarta.inject.Singleton;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Locale;

/// Joins what Quarkus found at the resources (paths, methods, summaries) with what only the parameter table and the
/// loaded model know: the bodies, with the bounds in force here.
@Singleton
public final class OpenApiDocument {

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final String REQUEST = "#/components/schemas/";
    private static final String ERROR = "Error";
    /// Behind the path of a route whose prompt can be looked at.
    private static final String RENDER = "/render";
    private static final int MOST_MODEL_TOKENS = 1_048_576;

    private final OpenApiDocumentService scanned;
    private final ServerConfig config;
    private final Serving serving;
    private final BuildInfo build;

    public OpenApiDocument(OpenApiDocumentService scanned, ServerConfig config, Serving serving, BuildInfo build) {
        this.scanned = scanned;
        this.config = config;
        this.serving = serving;
        this.build = build;
    }

    ObjectNode describe() {
        ObjectNode document = read();
        document.putObject("info").put("title", "Sidewinder").put("version", build.version())
                .put("description", "OpenAI-compatible inference server for the Nemotron-3 family");
        ObjectNode schemas = document.withObject("/components/schemas");
        schemas.removeAll();
        schemas.set(ERROR, OpenApiSchemas.error());
        schemas().requests().forEach((endpoint, schema) -> {
            schemas.set(name(endpoint), schema);
            describe((ObjectNode) document.path("paths").path(endpoint.path()).path("post"), endpoint, streams(endpoint));
            JsonNode render = document.path("paths").path(endpoint.path() + RENDER).path("post");
            if (render instanceof ObjectNode operation) {
                describe(operation, endpoint, false);
            }
        });
        if (config.http().keys().isPresent()) {
            describeKeys(document);
        }
        return document;
    }

    /// Either header will do; what needs no key says so.
    private static void describeKeys(ObjectNode document) {
        ObjectNode schemes = document.withObject("/components/securitySchemes");
        schemes.removeAll();
        schemes.putObject("bearer").put("type", "http").put("scheme", "bearer");
        schemes.putObject("key").put("type", "apiKey").put("in", "header").put("name", "x-api-key");
        ArrayNode either = document.putArray("security");
        either.addObject().putArray("bearer");
        either.addObject().putArray("key");
        for (Route route : Route.values()) {
            JsonNode operation = document.path("paths").path(route.template()).path(route.method().toLowerCase(Locale.ROOT));
            if (route.roles().isEmpty() && operation instanceof ObjectNode open) {
                open.putArray("security");
            }
        }
    }

    /// Bounds that depend on the model are the widest possible ones until it is loaded.
    private OpenApiSchemas schemas() {
        ApiLimits limits = config.api().limits();
        if (!serving.isStarted() || serving.hasFailed()) {
            return new OpenApiSchemas(limits, MOST_MODEL_TOKENS, Integer.MAX_VALUE);
        }
        var served = serving.model().served();
        return new OpenApiSchemas(limits, served.maxModelTokens(), served.vocabSize());
    }

    private static boolean streams(Endpoint endpoint) {
        return switch (endpoint) {
            case CHAT, COMPLETIONS, GENERATE -> true;
            case TOKENIZE, DETOKENIZE, CACHE_RESET, SESSION, SESSION_FORK -> false;
        };
    }

    private static void describe(ObjectNode operation, Endpoint endpoint, boolean streams) {
        operation.putObject("requestBody").put("required", true).putObject("content").putObject("application/json")
                .putObject("schema").put("$ref", REQUEST + name(endpoint));
        ObjectNode responses = operation.putObject("responses");
        ObjectNode ok = responses.putObject("200").put("description", "The answer").putObject("content");
        ok.putObject("application/json");
        if (streams) {
            ok.putObject("text/event-stream");
        }
        responses.putObject("default").put("description", "An error").putObject("content").putObject("application/json")
                .putObject("schema").put("$ref", REQUEST + ERROR);
    }

    private static String name(Endpoint endpoint) {
        return switch (endpoint) {
            case CHAT -> "ChatCompletionRequest";
            case COMPLETIONS -> "CompletionRequest";
            case GENERATE -> "GenerateRequest";
            case TOKENIZE -> "TokenizeRequest";
            case DETOKENIZE -> "DetokenizeRequest";
            case CACHE_RESET -> "CacheResetRequest";
            case SESSION -> "SessionRequest";
            case SESSION_FORK -> "SessionForkRequest";
        };
    }

    private ObjectNode read() {
        try {
            JsonNode document = MAPPER.readTree(scanned.getDocument("<default>", Format.JSON));
            return (ObjectNode) document;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
