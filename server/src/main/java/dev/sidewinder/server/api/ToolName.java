package dev.sidewinder.server.api;

/// Names of tools: they stand inside the tags of the chat format, so only plain characters may be in them.
final class ToolName {

    static final String RULE = "1 to 128 of the characters A-Z a-z 0-9 _ . -";
    private static final int MAX_CHARS = 128;

    private ToolName() {}

    static boolean isValid(String name) {
        return !name.isEmpty() && name.length() <= MAX_CHARS && name.chars().allMatch(ToolName::isPlain);
    }

    private static boolean isPlain(int c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
    }
}
