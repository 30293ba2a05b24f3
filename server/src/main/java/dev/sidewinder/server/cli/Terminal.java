package dev.sidewinder.server.cli;

import java.io.Console;

/// Whether a person sits in front of this process.
///
/// @param interactive whether standard input and output are a terminal
/// @param colours     whether escape sequences are welcome there
record Terminal(boolean interactive, boolean colours) {

    static Terminal detect() {
        Console console = System.console();
        boolean interactive = console != null && console.isTerminal();
        boolean colours = interactive && System.getenv("NO_COLOR") == null && !"dumb".equals(System.getenv("TERM"));
        return new Terminal(interactive, colours);
    }

    /// Grey, where that is possible.
    String dim(String text) {
        return colours ? "\033[2m" + text + "\033[0m" : text;
    }

    /// Text from outside, harmless for a terminal: its control characters are shown and not obeyed.
    String safe(String text) {
        if (!interactive) {
            return text;
        }
        var safe = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < ' ' && c != '\n' && c != '\t') {
                safe.append((char) (0x2400 + c));  // the picture of the control character
            } else if (c >= 0x7f && c < 0xa0) {
                safe.append('\ufffd');
            } else {
                safe.append(c);
            }
        }
        return safe.toString();
    }
}
