package dev.sidewinder.server.api;

/// Takes `<think>…</think>` off the front of a replayed answer, for clients that keep reasoning inside the content.
///
/// @param reasoning what stood between the tags; null when there were none or nothing stood there
/// @param content   the rest
record ReasoningTags(String reasoning, String content) {

    private static final String OPEN = "<think>";
    private static final String CLOSE = "</think>";

    static ReasoningTags split(String content) {
        String text = content.stripLeading();
        int close = text.startsWith(OPEN) ? text.indexOf(CLOSE) : -1;
        if (close < 0) {
            return new ReasoningTags(null, content);
        }
        String reasoning = text.substring(OPEN.length(), close).strip();
        String rest = text.substring(close + CLOSE.length());
        return new ReasoningTags(reasoning.isEmpty() ? null : reasoning, withoutLeadingNewlines(rest));
    }

    /// The newline run after `</think>` belongs to the tag, as in a generated answer.
    private static String withoutLeadingNewlines(String text) {
        int start = 0;
        while (start < text.length() && text.charAt(start) == '\n') {
            start++;
        }
        return text.substring(start);
    }
}
