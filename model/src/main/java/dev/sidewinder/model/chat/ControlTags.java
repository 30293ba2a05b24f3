package dev.sidewinder.model.chat;

import dev.sidewinder.model.tokenizer.ControlTokens;
import java.util.OptionalInt;

/// Tells by its id whether a token is a tag that the output parser acts on.
final class ControlTags {
    private static final int ABSENT = -1;

    enum Tag {
        THINK_START(ControlTokens.THINK_START),
        THINK_END(ControlTokens.THINK_END),
        TOOL_CALL_START(ControlTokens.TOOL_CALL_START),
        TOOL_CALL_END(ControlTokens.TOOL_CALL_END),
        NONE("");

        private final String literal;

        Tag(String literal) {
            this.literal = literal;
        }

        String literal() {
            return literal;
        }
    }

    private final int thinkStart;
    private final int thinkEnd;
    private final int toolCallStart;
    private final int toolCallEnd;

    /// @param withCalls whether the tags of tool calls count; without them they are text
    ControlTags(ControlTokens tokens, boolean withCalls) {
        thinkStart = id(tokens.thinkStart());
        thinkEnd = id(tokens.thinkEnd());
        toolCallStart = withCalls ? id(tokens.toolCallStart()) : ABSENT;
        toolCallEnd = withCalls ? id(tokens.toolCallEnd()) : ABSENT;
    }

    private static int id(OptionalInt token) {
        return token.orElse(ABSENT);
    }

    Tag of(int token) {
        if (token < 0) {
            throw new IllegalArgumentException("token id " + token + " is negative");
        }
        if (token == thinkStart) {
            return Tag.THINK_START;
        }
        if (token == thinkEnd) {
            return Tag.THINK_END;
        }
        if (token == toolCallStart) {
            return Tag.TOOL_CALL_START;
        }
        return token == toolCallEnd ? Tag.TOOL_CALL_END : Tag.NONE;
    }
}
