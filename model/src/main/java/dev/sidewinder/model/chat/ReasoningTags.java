package dev.sidewinder.model.chat;

import java.util.Optional;

/// Reasoning that a client replays inside the content of an assistant message, between tags.
public final class ReasoningTags {
    private static final String OPEN = "<think>";
    private static final String CLOSE = "</think>";

    /// @param reasoning the text between the tags, without the newlines that the format puts around it; null when the
    ///                  content does not begin with a closed pair of tags, or holds nothing between them
    /// @param content   what follows them
    public record Parts(String reasoning, String content) {}

    private ReasoningTags() {}

    /// Takes leading `<think>…</think>` out of assistant content. White space may precede it; a pair that is not closed
    /// is text.
    public static Parts split(String content) {
        return between(content.stripLeading()).orElse(new Parts(null, content));
    }

    private static Optional<Parts> between(String text) {
        int close = text.startsWith(OPEN) ? text.indexOf(CLOSE) : -1;
        if (close < 0) {
            return Optional.empty();
        }
        String reasoning = withoutOuterNewlines(text.substring(OPEN.length(), close));
        String rest = text.substring(close + CLOSE.length());
        int start = 0;
        while (start < rest.length() && rest.charAt(start) == '\n') {
            start++;
        }
        return Optional.of(new Parts(reasoning.isBlank() ? null : reasoning, rest.substring(start)));
    }

    /// The template writes one newline behind the opening tag and one in front of the closing tag.
    private static String withoutOuterNewlines(String text) {
        int from = text.startsWith("\n") ? 1 : 0;
        int to = text.length() > from && text.endsWith("\n") ? text.length() - 1 : text.length();
        return text.substring(from, to);
    }
}
