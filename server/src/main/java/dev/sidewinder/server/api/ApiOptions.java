package dev.sidewinder.server.api;

/// How the surface behaves where an operator may choose.
///
/// @param limits          bounds on requests
/// @param strict          `sidewinder.api.strict`: unknown fields are refused
/// @param reasoningFields `sidewinder.api.reasoning-fields`: under which names reasoning goes out
/// @param thinking        how chats think when the request does not say
public record ApiOptions(ApiLimits limits, boolean strict, ReasoningFields reasoningFields, ThinkingDefaults thinking) {

    public static ApiOptions standard() {
        return new ApiOptions(ApiLimits.standard(), false, ReasoningFields.BOTH, ThinkingDefaults.standard());
    }
}
