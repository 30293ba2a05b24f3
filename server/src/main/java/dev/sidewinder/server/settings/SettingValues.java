package dev.sidewinder.server.settings;

import java.util.List;
import java.util.Map;

/// The texts that were found for the settings, before they are read as values.
///
/// @param found  by name of the setting; what is missing has its default
/// @param notes  things the operator should know: flags that change nothing here
record SettingValues(Map<String, Found> found, List<String> notes) {

    /// @param source where it was written, for messages
    record Found(String text, String source) {}

    SettingValues {
        found = Map.copyOf(found);
        notes = List.copyOf(notes);
    }

    <T> T get(Setting<T> setting) {
        Found value = found.get(setting.name());
        return value == null
                ? setting.parse(setting.fallback(), "default")
                : setting.parse(value.text(), value.source());
    }

    /// Whether somebody wrote a value.
    boolean has(Setting<?> setting) {
        return found.containsKey(setting.name());
    }
}
