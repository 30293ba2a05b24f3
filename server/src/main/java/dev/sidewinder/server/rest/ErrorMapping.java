package dev.sidewinder.server.rest;

import dev.sidewinder.server.api.ApiError;
import dev.sidewinder.server.api.ApiErrors;
import dev.sidewinder.server.api.ApiException;
import io.vertx.ext.web.RoutingContext;
import jakarta.ws.rs.WebApplicationException;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.util.concurrent.ThreadLocalRandom;
import org.jboss.resteasy.reactive.server.ServerExceptionMapper;

/// Turns whatever a resource throws into the one error envelope.
public final class ErrorMapping {

    @ServerExceptionMapper
    public Response of(ApiException refusal, RoutingContext context) {
        return answer(refusal, context);
    }

    /// What Quarkus REST itself refuses. The front door refuses the same earlier, so this is a second net.
    @ServerExceptionMapper
    public Response of(WebApplicationException refusal, RoutingContext context) {
        ApiException error = switch (refusal.getResponse().getStatus()) {
            case 404 -> ApiErrors.notFound();
            case 405 -> ApiErrors.methodNotAllowed(context.request().method().name(), "another method");
            case 406 -> ApiErrors.notAcceptable("application/json");
            case 415 -> ApiErrors.unsupportedMediaType();
            default -> Exchange.of(context).internal(refusal);
        };
        return answer(error, context);
    }

    @ServerExceptionMapper
    public Response of(Throwable bug, RoutingContext context) {
        return answer(Exchange.of(context).internal(bug), context);
    }

    private static Response answer(ApiException refusal, RoutingContext context) {
        ApiError error = refusal.error();
        Exchange exchange = Exchange.of(context);
        exchange.note(error);
        Response.ResponseBuilder answer = Response.status(error.status()).type(MediaType.APPLICATION_JSON_TYPE)
                .entity(error.toJson(exchange.requestId()));
        error.headers(ThreadLocalRandom.current()).forEach(answer::header);
        return answer.build();
    }
}
