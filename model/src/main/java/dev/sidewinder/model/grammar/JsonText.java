package dev.sidewinder.model.grammar;

import com.fasterxml.jackson.core.io.JsonStringEncoder;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;

/// The pieces of JSON as expressions. White space is what models write: none or one space, or a newline with up to 16 spaces,
/// behind `{`, `[`, `,` and `:` and in front of `}` and `]`.
///
/// Numbers have bounds that keep them within what clients can hold: 18 digits, exponents of two.
///
/// Source: RFC 8259.
public final class JsonText {
    private static final int MOST_INDENT = 16;
    private static final int MORE_DIGITS = 17;
    private static final int DEEPEST_ANY = 12;

    private final Expressions make;
    private final Expression space;
    private final Expression string;
    private final Expression integer;
    private final Expression number;
    private final Expression any;

    public JsonText(Expressions make) {
        this.make = make;
        space = make.anyOf(make.empty(), make.text(" "),
                make.sequence(make.text("\n"), make.upTo(MOST_INDENT, make.text(" "))));
        string = makeString();
        Expression digit = make.oneOf(ByteSet.range('0', '9'));
        Expression moreDigits = make.upTo(MORE_DIGITS, digit);
        Expression whole = make.sequence(make.oneOf(ByteSet.range('1', '9')), moreDigits);
        integer = make.anyOf(make.text("0"), make.sequence(make.optional(make.text("-")), whole));
        Expression fraction = make.sequence(make.text("."), digit, moreDigits);
        Expression exponent = make.sequence(make.oneOf(ByteSet.of("eE")), make.optional(make.oneOf(ByteSet.of("+-"))), digit,
                make.optional(digit));
        number = make.sequence(make.optional(make.text("-")), make.anyOf(make.text("0"), whole), make.optional(fraction),
                make.optional(exponent));
        Expression value = scalars();
        for (int depth = 0; depth < DEEPEST_ANY; depth++) {
            value = make.anyOf(scalars(), map(value), array(value, 0, Integer.MAX_VALUE));
        }
        any = value;
    }

    private Expression scalars() {
        return make.anyOf(string, number, bool(), none());
    }

    private Expression makeString() {
        ByteSet plain = ByteSet.range(' ', 127).without(ByteSet.of("\"\\"));
        ByteSet hexDigits = ByteSet.of("0123456789abcdefABCDEF");
        Expression hex = make.oneOf(hexDigits);
        Expression surrogate = make.oneOf(ByteSet.of("dD"));
        Expression unicode = make.anyOf(
                make.sequence(make.oneOf(hexDigits.without(ByteSet.of("dD"))), hex, hex, hex),
                make.sequence(surrogate, make.oneOf(ByteSet.range('0', '7')), hex, hex),
                make.sequence(surrogate, make.oneOf(ByteSet.of("89abAB")), hex, hex, make.text("\\u"), surrogate,
                        make.oneOf(ByteSet.of("cdefCDEF")), hex, hex));
        Expression escape = make.sequence(make.text("\\"),
                make.anyOf(make.oneOf(ByteSet.of("\"\\/bfnrt")), make.sequence(make.text("u"), unicode)));
        Expression character = make.anyOf(Utf8.character(make, plain), escape);
        return make.sequence(make.text("\""), make.repeat(character), make.text("\""));
    }

    public Expression string() {
        return string;
    }

    public Expression integer() {
        return integer;
    }

    public Expression number() {
        return number;
    }

    public Expression bool() {
        return make.anyOf(make.text("true"), make.text("false"));
    }

    public Expression none() {
        return make.text("null");
    }

    /// Any value, nested 12 deep at most.
    public Expression any() {
        return any;
    }

    /// An object with any names.
    public Expression map(Expression value) {
        Expression member = make.sequence(string, make.text(":"), space, value);
        return make.anyOf(emptyObject(), list("{", member, "}"));
    }

    /// An object with these members, in their order.
    ///
    /// @param names    of the members
    /// @param values   of the members, as many
    /// @param required whether each must be there
    public Expression object(List<String> names, List<Expression> values, List<Boolean> required) {
        Expression first = make.nothing();
        Expression more = make.empty();
        boolean mayBeEmpty = true;
        // from the last one on: what may follow where none has come yet, and where one has
        for (int i = names.size() - 1; i >= 0; i--) {
            Expression member = make.sequence(make.text(quoted(names.get(i)) + ":"), space, values.get(i));
            Expression begun = make.sequence(member, more);
            first = required.get(i) ? begun : make.anyOf(begun, first);
            Expression next = make.sequence(make.text(","), space, begun);
            more = required.get(i) ? next : make.anyOf(next, more);
            mayBeEmpty &= !required.get(i);
        }
        Expression members = make.sequence(make.text("{"), space, first, space, make.text("}"));
        return mayBeEmpty ? make.anyOf(emptyObject(), members) : members;
    }

    private Expression emptyObject() {
        return make.sequence(make.text("{"), space, make.text("}"));
    }

    /// @param least items
    /// @param most  items; beyond a few hundred it is taken for no bound
    public Expression array(Expression item, int least, int most) {
        Expression next = make.sequence(make.text(","), space, item);
        Expression more = most == Integer.MAX_VALUE ? make.repeat(next) : make.upTo(most - Math.max(least, 1), next);
        for (int i = 1; i < least; i++) {
            more = make.sequence(next, more);
        }
        Expression some = most == 0 ? make.nothing()
                : make.sequence(make.text("["), space, item, more, space, make.text("]"));
        return least > 0 ? some : make.anyOf(make.sequence(make.text("["), space, make.text("]")), some);
    }

    private Expression list(String open, Expression item, String close) {
        Expression more = make.repeat(make.sequence(make.text(","), space, item));
        return make.sequence(make.text(open), space, item, more, space, make.text(close));
    }

    /// One value, spelled as it is but for white space.
    public Expression literal(JsonNode value) {
        if (value.isObject()) {
            List<String> names = new ArrayList<>();
            List<Expression> values = new ArrayList<>();
            value.properties().forEach(property -> {
                names.add(property.getKey());
                values.add(literal(property.getValue()));
            });
            return object(names, values, names.stream().map(_ -> true).toList());
        }
        if (value.isArray()) {
            Expression items = make.empty();
            for (int i = value.size() - 1; i >= 0; i--) {
                Expression item = literal(value.get(i));
                items = i == 0 ? make.sequence(item, items) : make.sequence(make.text(","), space, item, items);
            }
            return value.isEmpty() ? make.sequence(make.text("["), space, make.text("]"))
                    : make.sequence(make.text("["), space, items, space, make.text("]"));
        }
        return make.text(value.isTextual() ? quoted(value.textValue()) : value.toString());
    }

    private static String quoted(String text) {
        var quoted = new StringBuilder("\"");
        JsonStringEncoder.getInstance().quoteAsString(text, quoted);
        return quoted.append('"').toString();
    }
}
