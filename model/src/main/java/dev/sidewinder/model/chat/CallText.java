package dev.sidewinder.model.chat;

import dev.sidewinder.model.grammar.ByteSet;
import dev.sidewinder.model.grammar.Expression;
import dev.sidewinder.model.grammar.Expressions;
import dev.sidewinder.model.grammar.Utf8;

/// The pieces of a tool call as [ToolCallReader] reads them, chosen so that whatever they allow is read back as it stands.
final class CallText {
    static final String PARAMETER = "<parameter=";
    static final String PARAMETER_END = "</parameter>";

    private static final ByteSet ASCII = ByteSet.range(0, 127);
    private static final ByteSet KEY_CHARACTERS = ByteSet.range(' ', '~').without(ByteSet.of("<>"));

    private final Expressions make;
    private final Expression value;

    CallText(Expressions make) {
        this.make = make;
        Expression anything = make.anything();
        value = make.allOf(
                make.repeat(Utf8.character(make, ASCII)),
                make.not(make.sequence(anything, make.text(PARAMETER_END), anything)),
                make.not(make.sequence(anything, make.text("\n" + PARAMETER), anything)),
                make.not(make.sequence(make.text(PARAMETER), anything)));
    }

    /// Any text that a value can be: whole characters, no closing tag, and no line that begins another parameter.
    Expression value() {
        return value;
    }

    /// Whether a text can be a value.
    static boolean isValue(String text) {
        return !text.contains(PARAMETER_END) && !text.contains("\n" + PARAMETER) && !text.startsWith(PARAMETER);
    }

    /// Any name of a parameter.
    Expression key() {
        Expression character = Utf8.character(make, KEY_CHARACTERS);
        return make.sequence(character, make.repeat(character));
    }

    /// A parameter from behind its name to its end.
    Expression fromKeyEnd(Expression value) {
        return make.sequence(make.text(">\n"), value, make.text("\n" + PARAMETER_END + "\n"));
    }
}
