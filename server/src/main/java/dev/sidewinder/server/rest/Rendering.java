package dev.sidewinder.server.rest;

import dev.sidewinder.server.api.GenerationCall;
import dev.sidewinder.server.api.RequestPlanner;
import dev.sidewinder.server.api.RequestReader;
import dev.sidewinder.server.api.UnknownFields;
import dev.sidewinder.server.ops.RunningModel;
import dev.sidewinder.server.ops.Serving;
import io.vertx.ext.web.RoutingContext;
import jakarta.inject.Singleton;
import jakarta.ws.rs.core.MediaType;
import jakarta.ws.rs.core.Response;
import java.util.List;
import java.util.function.BiFunction;

/// Answers with the prompt that a request would give the model. Needs no place in the queue.
@Singleton
public final class Rendering {

    private final Serving serving;

    public Rendering(Serving serving) {
        this.serving = serving;
    }

    <T extends GenerationCall> Response answer(RoutingContext context, BiFunction<RequestReader, byte[], T> read,
            BiFunction<RequestPlanner, T, byte[]> render) {
        RunningModel model = serving.model();
        T call = read.apply(model.reader(), Exchange.of(context).body());
        Response.ResponseBuilder answer = Response.ok(render.apply(model.planner(), call)).type(MediaType.APPLICATION_JSON_TYPE);
        List<String> ignored = call.options().hints().ignored();
        if (!ignored.isEmpty()) {
            answer.header("x-sidewinder-ignored", UnknownFields.header(ignored));
        }
        return answer.build();
    }
}
