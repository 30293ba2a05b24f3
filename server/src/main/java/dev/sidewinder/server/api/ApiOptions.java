package dev.sidewinder.server.api;

import dev.sidewinder.scheduler.Claim;

/// How the surface behaves where an operator may choose.
///
/// @param limits          bounds on requests
/// @param strict          `sidewinder.api.strict`: unknown fields are refused
/// @param reasoningFields `sidewinder.api.reasoning-fields`: under which names reasoning goes out
/// @param thinking        how chats think when the request does not say
/// @param priorityFloor   `sidewinder.limits.priority-floor`: no request is more urgent
public record ApiOptions(ApiLimits limits, boolean strict, ReasoningFields reasoningFields, ThinkingDefaults thinking,
        int priorityFloor) {

    /// A request is as urgent as it says.
    public ApiOptions(ApiLimits limits, boolean strict, ReasoningFields reasoningFields, ThinkingDefaults thinking) {
        this(limits, strict, reasoningFields, thinking, Claim.FIRST);
    }

    public static ApiOptions standard() {
        return new ApiOptions(ApiLimits.standard(), false, ReasoningFields.BOTH, ThinkingDefaults.standard());
    }
}
