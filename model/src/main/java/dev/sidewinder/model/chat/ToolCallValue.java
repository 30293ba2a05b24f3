package dev.sidewinder.model.chat;

import com.fasterxml.jackson.core.io.JsonStringEncoder;

/// One value of a tool call on its way to JSON. Text goes out as it comes; every other type when it is complete.
final class ToolCallValue {
    private final int call;
    private final ArgumentType type;
    private final DeltaBuffer out;
    /// What was not sent yet.
    private final StringBuilder text = new StringBuilder();
    private boolean quoteOpen;

    ToolCallValue(int call, ArgumentType type, DeltaBuffer out) {
        this.call = call;
        this.type = type;
        this.out = out;
    }

    void append(char next) {
        text.append(next);
    }

    void append(CharSequence more) {
        text.append(more);
    }

    /// Sends what can be sent.
    void flush() {
        if (type.isText() && !text.isEmpty() && !(type.nullable() && !quoteOpen && mayBeNull())) {
            sendText();
        }
    }

    /// `null` is not text where the type allows null, so its beginnings wait.
    private boolean mayBeNull() {
        String soFar = text.toString();
        return "null".startsWith(soFar) || "None".startsWith(soFar);
    }

    private void sendText() {
        if (!quoteOpen) {
            quoteOpen = true;
            out.arguments(call, "\"");
        }
        var quoted = new StringBuilder();
        JsonStringEncoder.getInstance().quoteAsString(text, quoted);
        out.arguments(call, quoted);
        text.setLength(0);
    }

    /// Completes the value. Tells whether it did not fit its type and was kept as a string.
    boolean end() {
        if (type.isText() && (quoteOpen || !(type.nullable() && ArgumentConverter.isNull(text.toString())))) {
            sendText();
            out.arguments(call, "\"");
            return false;
        }
        String raw = text.toString();
        var json = ArgumentConverter.convert(raw, type);
        out.arguments(call, json.orElseGet(() -> ArgumentConverter.quoted(raw)));
        return json.isEmpty();
    }

    /// Sends the rest as it is, unfinished.
    void cut() {
        if (type.isText()) {
            sendText();
        } else {
            out.arguments(call, text);
        }
    }
}
