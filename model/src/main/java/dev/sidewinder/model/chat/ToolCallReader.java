package dev.sidewinder.model.chat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/// Reads the inside of one `<tool_call>` block as it comes:
/// `<function=NAME>\n(<parameter=K>\nVALUE\n</parameter>\n)*</function>\n`.
///
/// Until `<function=NAME>` is complete the block may turn out to be no call. From then on it is one, whatever follows:
/// text that belongs to no parameter goes out as content, so that nothing is lost. Every character is looked at a
/// constant number of times.
final class ToolCallReader {
    private static final String FUNCTION = "<function=";
    private static final String FUNCTION_END = "</function>";
    private static final String PARAMETER = "<parameter=";
    private static final String PARAMETER_END = "</parameter>";
    private static final int LONGEST_NAME = 128;
    static final int LONGEST_KEY = 1024;

    private enum State {
        /// only white space so far, or a part of `<function=`
        BEFORE,
        NAME,
        /// after the name or a parameter
        BETWEEN,
        KEY,
        VALUE,
        /// `</function>` inside a value: its end if the block ends here, else text of it
        VALUE_OR_END,
        /// after `</function>`
        AFTER,
        NO_CALL
    }

    private final int index;
    private final Map<String, JsonNode> tools;
    private final DeltaBuffer out = new DeltaBuffer();
    /// A tag, name or key that is not complete.
    private final StringBuilder pending = new StringBuilder();
    /// White space behind a `</function>` that may end a value.
    private final StringBuilder trailing = new StringBuilder();
    private final Set<String> keys = new HashSet<>();

    private State state = State.BEFORE;
    private JsonNode parameters = MissingNode.getInstance();
    private ToolCallValue value;
    /// Nothing of the value has come, so one newline is dropped.
    private boolean valueStart;
    /// The next character, or the tag in `pending`, stands at the start of a line.
    private boolean lineStart;
    /// Text out of place has begun since the last tag.
    private boolean stray;
    private boolean deviant;
    private boolean coerced;

    /// @param index of the call, should it become one
    /// @param tools schema of the parameters by name of the tool
    ToolCallReader(int index, Map<String, JsonNode> tools) {
        this.index = index;
        this.tools = tools;
    }

    /// Whether the name is known: the block is a call.
    boolean started() {
        return state.compareTo(State.NAME) > 0 && state != State.NO_CALL;
    }

    boolean isNoCall() {
        return state == State.NO_CALL;
    }

    /// Whether `</function>` is known to have ended the call.
    boolean functionCloseSeen() {
        return state == State.AFTER;
    }

    /// Whether the block could end here without anything missing.
    boolean functionClosed() {
        return state == State.AFTER || state == State.VALUE_OR_END;
    }

    /// Whether a value did not fit its schema.
    boolean coerced() {
        return coerced;
    }

    /// Whether something was missing or out of place.
    boolean deviant() {
        return deviant;
    }

    /// What became known since the last call.
    DeltaBuffer deltas() {
        return out;
    }

    void accept(String text) {
        for (int i = 0; i < text.length() && state != State.NO_CALL; i++) {
            accept(text.charAt(i));
        }
        if (value != null) {
            value.flush();
        }
    }

    private void accept(char next) {
        switch (state) {
            case BEFORE -> before(next);
            case NAME -> name(next);
            case BETWEEN -> between(next);
            case KEY -> key(next);
            case VALUE -> value(next);
            case VALUE_OR_END -> valueOrEnd(next);
            case AFTER -> after(next);
            case NO_CALL -> throw new IllegalStateException("text after the block was found to be no call");
        }
    }

    private void before(char next) {
        if (pending.isEmpty() && isSpace(next)) {
            return;
        }
        pending.append(next);
        if (!isPrefix(pending, 0, FUNCTION)) {
            state = State.NO_CALL;
        } else if (pending.length() == FUNCTION.length()) {
            pending.setLength(0);
            state = State.NAME;
        }
    }

    private void name(char next) {
        if (next == '>' && !pending.isEmpty()) {
            String name = take(pending);
            parameters = tools.getOrDefault(name, MissingNode.getInstance());
            out.started(index, name);
            state = State.BETWEEN;
        } else if (isNameCharacter(next) && pending.length() < LONGEST_NAME) {
            pending.append(next);
        } else {
            state = State.NO_CALL;
        }
    }

    private static boolean isNameCharacter(char next) {
        return next < 128 && Character.isLetterOrDigit(next) || next == '_' || next == '.' || next == '-';
    }

    private void between(char next) {
        if (pending.isEmpty() && next != '<') {
            strayText(next);
            return;
        }
        pending.append(next);
        if (matches(pending, 0, PARAMETER)) {
            pending.setLength(0);
            state = State.KEY;
        } else if (matches(pending, 0, FUNCTION_END)) {
            pending.setLength(0);
            stray = false;
            state = State.AFTER;
        } else if (!isPrefix(pending, 0, PARAMETER) && !isPrefix(pending, 0, FUNCTION_END)) {
            pending.setLength(pending.length() - 1);
            strayText(take(pending));
            accept(next);
        }
    }

    private void key(char next) {
        if (next == '>' && !pending.isEmpty() && keys.add(pending.toString())) {
            beginValue(take(pending));
        } else if (next == '>' || next == '\n' || pending.length() == LONGEST_KEY) {
            // no key, or one that the object already has: it cannot be part of the arguments
            strayText(PARAMETER + take(pending));
            state = State.BETWEEN;
            strayText(next);
        } else {
            pending.append(next);
        }
    }

    private void beginValue(String key) {
        out.arguments(index, keys.size() == 1 ? "{" : ",");
        out.arguments(index, ArgumentConverter.quoted(key) + ":");
        value = new ToolCallValue(index, ArgumentType.of(parameters, key), out);
        valueStart = true;
        lineStart = false;
        stray = false;
        state = State.VALUE;
    }

    /// `pending` holds a newline, a part of a tag, or a newline and a part of a tag: what may not be text of the value.
    private void value(char next) {
        if (valueStart) {
            valueStart = false;
            lineStart = next == '\n';
            if (lineStart) {
                return;
            }
        }
        if (pending.isEmpty()) {
            if (next == '\n' || next == '<') {
                lineStart &= next == '<';
                pending.append(next);
            } else {
                lineStart = false;
                value.append(next);
            }
            return;
        }
        boolean onlyNewline = pending.length() == 1 && pending.charAt(0) == '\n';
        if (onlyNewline && next != '<') {
            pending.setLength(0);
            value.append('\n');
            value(next);
            return;
        }
        lineStart |= onlyNewline;
        pending.append(next);
        tagInValue(next);
    }

    private void tagInValue(char last) {
        int tag = pending.charAt(0) == '\n' ? 1 : 0;
        if (matches(pending, tag, PARAMETER_END)) {
            endValue();
            state = State.BETWEEN;
        } else if (matches(pending, tag, FUNCTION_END)) {
            state = State.VALUE_OR_END;
        } else if (lineStart && pending.length() - tag > PARAMETER.length() && pending.indexOf(PARAMETER) == tag) {
            keyInValue(tag, last);
        } else if (!isPrefix(pending, tag, PARAMETER_END) && !isPrefix(pending, tag, FUNCTION_END)
                && !(lineStart && isPrefix(pending, tag, PARAMETER))) {
            pendingIsText(last);
        }
    }

    /// A line of the value begins with `<parameter=`: it ends the value if that is the whole tag of another parameter.
    private void keyInValue(int tag, char last) {
        int keyStart = tag + PARAMETER.length();
        int length = pending.length() - 1 - keyStart;
        if (last == '>' && length > 0 && !keys.contains(pending.substring(keyStart, keyStart + length))) {
            String key = pending.substring(keyStart, keyStart + length);
            endValue();
            keys.add(key);
            beginValue(key);
        } else if (last == '>' || last == '\n' || last == '<' || length == LONGEST_KEY) {
            pendingIsText(last);
        }
    }

    private void pendingIsText(char last) {
        pending.setLength(pending.length() - 1);
        value.append(take(pending));
        lineStart = false;
        value(last);
    }

    private void valueOrEnd(char next) {
        if (isSpace(next)) {
            trailing.append(next);
            return;
        }
        value.append(take(pending));
        lineStart = false;
        state = State.VALUE;
        String space = take(trailing);
        for (int i = 0; i < space.length(); i++) {
            value(space.charAt(i));
        }
        value(next);
    }

    private void after(char next) {
        strayText(next);
    }

    private void endValue() {
        pending.setLength(0);
        coerced |= value.end();
        value = null;
    }

    private void strayText(char next) {
        if (stray || !isSpace(next)) {
            strayText(String.valueOf(next));
        }
    }

    private void strayText(String text) {
        stray = true;
        deviant = true;
        out.content(text);
    }

    /// Ends the call where the block or the answer ends: the arguments become one JSON object.
    void close() {
        switch (state) {
            case VALUE -> {
                deviant = true;
                boolean onlyNewline = pending.length() == 1 && pending.charAt(0) == '\n';
                value.append(onlyNewline ? "" : pending);
                endValue();
            }
            case VALUE_OR_END -> endValue();
            case KEY -> strayText(PARAMETER + take(pending));
            case BETWEEN -> {
                deviant = true;
                if (!pending.isEmpty()) {
                    strayText(take(pending));
                }
            }
            case AFTER -> { }
            case BEFORE, NAME, NO_CALL -> throw new IllegalStateException("closing a block that is no call");
        }
        state = State.AFTER;
        out.arguments(index, keys.isEmpty() ? "{}" : "}");
        out.ended(index);
    }

    /// Ends where the token limit cut: what there is of a value goes out as it is. A tag that is not complete is frame
    /// and not text, and goes with the call's end.
    void cut() {
        if (state == State.VALUE || state == State.VALUE_OR_END) {
            value.append(take(pending));
            value.append(take(trailing));
            value.cut();
        }
    }

    private static boolean isSpace(char character) {
        return character == ' ' || character == '\n' || character == '\t' || character == '\r';
    }

    private static boolean matches(StringBuilder text, int from, String tag) {
        return text.length() - from == tag.length() && isPrefix(text, from, tag);
    }

    /// Whether the rest of the text begins the tag.
    private static boolean isPrefix(StringBuilder text, int from, String tag) {
        int length = text.length() - from;
        if (length > tag.length()) {
            return false;
        }
        for (int i = 0; i < length; i++) {
            if (text.charAt(from + i) != tag.charAt(i)) {
                return false;
            }
        }
        return true;
    }

    private static String take(StringBuilder text) {
        String taken = text.toString();
        text.setLength(0);
        return taken;
    }
}
