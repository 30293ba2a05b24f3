package dev.sidewinder.server.settings;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// One line of the table of settings.
///
/// @param name     `sidewinder.x.y`; the flag `--x-y` and the variable `SIDEWINDER_X_Y` follow from it
/// @param aliases  further flags, shorter or known from other servers
/// @param fallback the default, as one would write it; empty for none
/// @param meaning  one line of documentation
record Setting<T>(String name, List<String> aliases, ValueKind<T> kind, String fallback, String meaning) {

    static final String PREFIX = "sidewinder.";

    Setting {
        aliases = List.copyOf(aliases);
        if (!name.matches("sidewinder(\\.[a-z0-9]+(-[a-z0-9]+)*)+")) {
            throw new IllegalArgumentException("not a name for a setting: " + name);
        }
    }

    /// All flags, the short ones first.
    List<String> flags() {
        List<String> flags = new ArrayList<>(aliases);
        String own = "--" + name.substring(PREFIX.length()).replace('.', '-');
        if (!flags.contains(own)) {
            flags.add(own);
        }
        return flags;
    }

    String variable() {
        return name.toUpperCase(Locale.ROOT).replace('.', '_').replace('-', '_');
    }

    /// @param source where the text was written, for the message
    T parse(String text, String source) {
        try {
            return kind.parse(text);
        } catch (IllegalArgumentException | ArithmeticException e) {
            throw new SettingsException(
                    source + ": \"" + text + "\" is not a value for " + name + ", which takes " + kind.allowed());
        }
    }
}
