package dev.sidewinder.server.rest;

import dev.sidewinder.engine.session.SessionKey;
import dev.sidewinder.engine.session.SessionTurn;
import dev.sidewinder.server.api.ApiErrors;
import dev.sidewinder.server.api.ChatCompletionRequest;
import dev.sidewinder.server.api.CompletionRequest;
import dev.sidewinder.server.api.GenerateRequest;
import dev.sidewinder.server.api.GenerationCall;
import dev.sidewinder.server.api.GenerationOptions;
import dev.sidewinder.server.api.RequestIds;
import dev.sidewinder.server.api.Tenant;
import dev.sidewinder.server.ops.RunningModel;
import java.util.Optional;

/// Which session a request to the model goes on with, if any.
final class SessionUse {

    /// Names the session for clients that can set headers only.
    private static final String HEADER = "x-session-token";

    private SessionUse() {}

    /// What the header names; empty where the server has no sessions, for then it is a hint like others.
    static Optional<String> named(Exchange exchange, RunningModel model) {
        return Optional.ofNullable(exchange.request().getHeader(HEADER)).filter(name -> !name.isEmpty() && model.sessions().isPresent());
    }

    /// Takes the session of a request, which has it alone until the turn is closed.
    ///
    /// @param header as [#named] says
    static Optional<SessionTurn> begin(RunningModel model, GenerationCall call, Optional<String> header, Tenant tenant) {
        Optional<String> body = call.options().hints().sessionId();
        if (body.isPresent() && header.isPresent() && !body.equals(header)) {
            throw ApiErrors.invalid("invalid_value", "session_id", "'session_id' and the header " + HEADER + " name different sessions.");
        }
        Optional<String> name = body.or(() -> header);
        if (name.isEmpty() || model.sessions().isEmpty()) {
            return Optional.empty();
        }
        check(call);
        // a name that no session can have is one that is not there
        if (!RequestIds.isValid(name.get())) {
            throw ApiErrors.sessionNotFound();
        }
        return Optional.of(model.sessions().get().begin(new SessionKey(tenant.name(), name.get())));
    }

    /// One history has one end, and what is in it has been computed before.
    private static void check(GenerationCall call) {
        GenerationOptions options = call.options();
        if (options.length().choices() != 1) {
            throw refused("n", "has one choice");
        }
        if (options.output().promptLogprobs() >= 0) {
            throw refused("prompt_logprobs", "does not have its prompt scored");
        }
        switch (call) {
            case ChatCompletionRequest chat -> {
                if (chat.conversation().continueFinalMessage()) {
                    throw refused("continue_final_message", "begins a turn of its own");
                }
            }
            case CompletionRequest text -> {
                if (text.prompts().size() != 1) {
                    throw refused("prompt", "has one prompt");
                }
                if (options.output().echo()) {
                    throw refused("echo", "does not repeat what was said before");
                }
                if (text.truncatePromptTokens().isPresent()) {
                    throw refused("truncate_prompt_tokens", "goes on with all that was said before");
                }
            }
            case GenerateRequest _ -> { }
        }
    }

    private static RuntimeException refused(String param, String rule) {
        return ApiErrors.invalid("invalid_value", param, "A request of a session " + rule + ".");
    }
}
