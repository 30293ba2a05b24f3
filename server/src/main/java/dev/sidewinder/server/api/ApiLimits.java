package dev.sidewinder.server.api;

import java.util.EnumMap;
import java.util.Map;

/// The limits in force.
public final class ApiLimits {

    private final EnumMap<Limit, Integer> values = new EnumMap<>(Limit.class);

    /// @param settings limits that differ from the standard
    /// @throws IllegalArgumentException when one is below 1 or above its hard bound; the message names the setting
    public ApiLimits(Map<Limit, Integer> settings) {
        for (Limit limit : Limit.values()) {
            int value = settings.getOrDefault(limit, limit.standard());
            if (value < 1 || value > limit.hard()) {
                throw new IllegalArgumentException("sidewinder.limits." + limit.settingName() + " is " + value
                        + "; it must be between 1 and " + limit.hard());
            }
            values.put(limit, value);
        }
    }

    public static ApiLimits standard() {
        return new ApiLimits(Map.of());
    }

    public int get(Limit limit) {
        return values.get(limit);
    }

    /// Those that the JSON reader enforces.
    public StrictJson.Limits json() {
        return new StrictJson.Limits(get(Limit.JSON_DEPTH), get(Limit.JSON_STRING_CHARS), get(Limit.JSON_NUMBER_CHARS),
                get(Limit.JSON_NAME_CHARS), get(Limit.JSON_VALUES));
    }
}
