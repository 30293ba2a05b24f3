package dev.sidewinder.server.api;

/// Client text made fit for messages and logs: cut to 128 characters, control characters escaped.
public final class Printable {

    private static final int MAX_CHARS = 128;

    private Printable() {}

    public static String cut(String text) {
        if (text == null) {
            return "";
        }
        var out = new StringBuilder(Math.min(text.length(), MAX_CHARS) + 1);
        int i = 0;
        while (i < text.length() && i < MAX_CHARS) {
            int c = text.codePointAt(i);
            i += Character.charCount(c);
            if (isPlain(c)) {
                out.appendCodePoint(c);
            } else {
                out.append(String.format("\\u%04X", c));
            }
        }
        return i < text.length() ? out.append('…').toString() : out.toString();
    }

    /// Control and format characters (line ends, ANSI escapes, direction marks) are not: they could forge a log line.
    private static boolean isPlain(int c) {
        int type = Character.getType(c);
        return type != Character.CONTROL && type != Character.FORMAT && type != Character.LINE_SEPARATOR
                && type != Character.PARAGRAPH_SEPARATOR && type != Character.SURROGATE;
    }
}
