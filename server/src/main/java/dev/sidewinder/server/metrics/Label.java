package dev.sidewinder.server.metrics;

/// A name and a value that tell the samples of one family apart.
public record Label(String name, String value) {

    /// As it stands between the braces.
    String text() {
        var text = new StringBuilder(name).append("=\"");
        for (int i = 0; i < value.length(); i++) {
            char c = value.charAt(i);
            switch (c) {
                case '\\' -> text.append("\\\\");
                case '"' -> text.append("\\\"");
                case '\n' -> text.append("\\n");
                default -> text.append(c);
            }
        }
        return text.append('"').toString();
    }
}
