package dev.sidewinder.server.api;

import java.util.List;
import java.util.Optional;

/// What a request says about itself and not about its answer.
///
/// @param requestId wanted by the client; the header of that name wins
/// @param sessionId for logs and placement
/// @param cacheSalt divides the prefix cache
/// @param priority  lower first
/// @param ignored   fields that had no effect, for the header `x-sidewinder-ignored`
public record RequestHints(Optional<String> requestId, Optional<String> sessionId, Optional<String> cacheSalt,
        int priority, List<String> ignored) {
    public RequestHints {
        ignored = List.copyOf(ignored);
    }
}
