package dev.sidewinder.model.tokenizer;

import java.util.List;
import java.util.OptionalInt;

/// Ids of the chat format's control tokens, read by name: the numbers differ between checkpoints, and a tokenizer may
/// have none of them.
public record ControlTokens(OptionalInt turnStart, OptionalInt turnEnd, OptionalInt thinkStart, OptionalInt thinkEnd,
        OptionalInt toolCallStart, OptionalInt toolCallEnd, OptionalInt toolResponseStart, OptionalInt toolResponseEnd) {
    public static final String TURN_START = "<|im_start|>";
    public static final String TURN_END = "<|im_end|>";
    public static final String THINK_START = "<think>";
    public static final String THINK_END = "</think>";
    public static final String TOOL_CALL_START = "<tool_call>";
    public static final String TOOL_CALL_END = "</tool_call>";
    public static final String TOOL_RESPONSE_START = "<tool_response>";
    public static final String TOOL_RESPONSE_END = "</tool_response>";

    static final List<String> NAMES = List.of(TURN_START, TURN_END, THINK_START, THINK_END, TOOL_CALL_START,
            TOOL_CALL_END, TOOL_RESPONSE_START, TOOL_RESPONSE_END);

    public static ControlTokens of(Tokenizer tokenizer) {
        return new ControlTokens(added(tokenizer, TURN_START), added(tokenizer, TURN_END),
                added(tokenizer, THINK_START), added(tokenizer, THINK_END), added(tokenizer, TOOL_CALL_START),
                added(tokenizer, TOOL_CALL_END), added(tokenizer, TOOL_RESPONSE_START),
                added(tokenizer, TOOL_RESPONSE_END));
    }

    /// Only added tokens count: an ordinary entry of that spelling could come out of text.
    private static OptionalInt added(Tokenizer tokenizer, String name) {
        OptionalInt id = tokenizer.idOf(name);
        return id.isPresent() && tokenizer.isSpecial(id.getAsInt()) ? id : OptionalInt.empty();
    }

    /// None of them, for a tokenizer without chat format.
    public static ControlTokens none() {
        OptionalInt none = OptionalInt.empty();
        return new ControlTokens(none, none, none, none, none, none, none, none);
    }
}
