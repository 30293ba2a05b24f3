package dev.sidewinder.server.api;

import java.util.List;
import java.util.Optional;

/// A checked body of `/v1/cache/reset`.
///
/// @param cacheSalt what divides off the part to drop; empty = all of the cache
/// @param ignored   fields that had no effect, for the header `x-sidewinder-ignored`
public record CacheResetRequest(Optional<String> cacheSalt, List<String> ignored) {

    /// Of a request without a body.
    public static final CacheResetRequest ALL = new CacheResetRequest(Optional.empty(), List.of());

    public CacheResetRequest {
        ignored = List.copyOf(ignored);
    }
}
