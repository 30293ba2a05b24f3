package dev.sidewinder.model.chat;

/// The content of an answer on its way out: drops the newlines after reasoning, finds stop strings, and holds back white
/// space that may turn out to stand between tool calls and nothing else.
final class ContentStream {
    private final StopMatcher stops;
    private final DeltaBuffer out;
    private final StringBuilder space = new StringBuilder();
    private boolean dropNewlines;
    /// Nothing but white space since the start or the last tool call.
    private boolean blank = true;

    ContentStream(StopMatcher stops, DeltaBuffer out) {
        this.stops = stops;
        this.out = out;
    }

    /// Content follows that begins behind `</think>`.
    void afterReasoning() {
        dropNewlines = true;
    }

    /// @param searched whether stop strings are looked for in this text
    void accept(String text, boolean searched) {
        String kept = dropNewlines ? withoutLeadingNewlines(text) : text;
        if (kept.isEmpty() || stops.matched()) {
            return;
        }
        dropNewlines = false;
        if (searched) {
            emit(stops.accept(kept));
        } else {
            emit(stops.flush());
            emit(kept);
        }
    }

    private static String withoutLeadingNewlines(String text) {
        int from = 0;
        while (from < text.length() && text.charAt(from) == '\n') {
            from++;
        }
        return text.substring(from);
    }

    /// Sends what may have begun a stop string: it cannot go on here.
    void flush() {
        if (!stops.matched()) {
            emit(stops.flush());
        }
    }

    /// A tool call begins: white space between it and the call before is part of the frame.
    void beforeToolCall() {
        flush();
        space.setLength(0);
        blank = true;
        dropNewlines = false;
    }

    /// The answer ends. White space behind the last tool call is part of the frame.
    void end(boolean afterToolCall) {
        flush();
        if (!afterToolCall) {
            emitSpace();
        }
    }

    private void emit(String text) {
        if (!blank) {
            out.content(text);
            return;
        }
        int from = 0;
        while (from < text.length() && isSpace(text.charAt(from))) {
            from++;
        }
        space.append(text, 0, from);
        if (from < text.length()) {
            blank = false;
            emitSpace();
            out.content(text.substring(from));
        }
    }

    private void emitSpace() {
        out.content(space.toString());
        space.setLength(0);
    }

    private static boolean isSpace(char character) {
        return character == ' ' || character == '\n' || character == '\t' || character == '\r';
    }
}
