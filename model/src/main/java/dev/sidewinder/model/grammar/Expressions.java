package dev.sidewinder.model.grammar;

import dev.sidewinder.model.grammar.Expression.Kind;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;

/// Makes expressions, and what is left of one behind a byte.
///
/// Two expressions that are equal by the rules applied here are one object. That keeps the number of different rests of an
/// expression finite and small, so that they can serve as the states of an automaton.
///
/// Source: Brzozowski 1964 (JACM 11:4), derivatives and their similarity rules; Owens, Reppy and Turon 2009 (JFP 19:2),
/// complement and intersection the same way. For one thread.
public final class Expressions {

    private record Key(Kind kind, ByteSet bytes, List<Integer> parts, Object name) {}

    private int maxSize;
    private int size;
    private final Map<Key, Expression> made = new HashMap<>();
    private int nextId;

    private final Expression nothing;
    private final Expression empty;
    private final Expression anything;

    /// @param maxSize expressions and their parts that may be made before a grammar takes over; bounds time and memory of
    ///                what clients write
    public Expressions(int maxSize) {
        this.maxSize = maxSize;
        nothing = make(Kind.NOTHING, List.of(), ByteSet.NONE, false);
        empty = make(Kind.EMPTY, List.of(), ByteSet.NONE, true);
        anything = make(Kind.NOT, List.of(nothing), ByteSet.NONE, true);
    }

    /// No string.
    public Expression nothing() {
        return nothing;
    }

    /// The empty string.
    public Expression empty() {
        return empty;
    }

    /// Every string.
    public Expression anything() {
        return anything;
    }

    /// One byte of the set.
    public Expression oneOf(ByteSet bytes) {
        return bytes.isEmpty() ? nothing : make(Kind.BYTE, List.of(), bytes, false);
    }

    /// The bytes of a text.
    public Expression text(String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        Expression expression = empty;
        for (int i = bytes.length - 1; i >= 0; i--) {
            expression = sequence(oneOf(ByteSet.of(bytes[i] & 0xFF)), expression);
        }
        return expression;
    }

    /// One after the other.
    public Expression sequence(Expression... parts) {
        Expression expression = parts[parts.length - 1];
        for (int i = parts.length - 2; i >= 0; i--) {
            expression = sequence(parts[i], expression);
        }
        return expression;
    }

    private Expression sequence(Expression first, Expression rest) {
        if (first == nothing || rest == nothing) {
            return nothing;
        }
        if (first == empty) {
            return rest;
        }
        if (rest == empty) {
            return first;
        }
        // to the right, so that what comes first stands in front; a long text must not be a deep recursion
        List<Expression> heads = new ArrayList<>();
        Expression head = first;
        while (head.kind == Kind.SEQUENCE) {
            heads.add(head.parts.get(0));
            head = head.parts.get(1);
        }
        heads.add(head);
        Expression expression = rest;
        for (int i = heads.size() - 1; i >= 0; i--) {
            Expression each = heads.get(i);
            expression = make(Kind.SEQUENCE, List.of(each, expression), ByteSet.NONE, each.takesEmpty && expression.takesEmpty);
        }
        return expression;
    }

    /// What at least one part holds.
    public Expression anyOf(Expression... parts) {
        return anyOf(List.of(parts));
    }

    /// What at least one part holds.
    public Expression anyOf(List<Expression> parts) {
        var kept = new TreeMap<Integer, Expression>();
        ByteSet bytes = ByteSet.NONE;
        for (Expression part : parts) {
            for (Expression each : part.kind == Kind.ANY_OF ? part.parts : List.of(part)) {
                if (each == anything) {
                    return anything;
                } else if (each.kind == Kind.BYTE) {
                    bytes = bytes.or(each.bytes);
                } else if (each != nothing) {
                    kept.put(each.id, each);
                }
            }
        }
        if (!bytes.isEmpty()) {
            Expression oneByte = oneOf(bytes);
            kept.put(oneByte.id, oneByte);
        }
        return combined(Kind.ANY_OF, nothing, kept);
    }

    /// What every part holds.
    public Expression allOf(Expression... parts) {
        return allOf(List.of(parts));
    }

    private Expression allOf(List<Expression> parts) {
        var kept = new TreeMap<Integer, Expression>();
        for (Expression part : parts) {
            for (Expression each : part.kind == Kind.ALL_OF ? part.parts : List.of(part)) {
                if (each == nothing) {
                    return nothing;
                } else if (each != anything) {
                    kept.put(each.id, each);
                }
            }
        }
        return combined(Kind.ALL_OF, anything, kept);
    }

    private Expression combined(Kind kind, Expression ofNone, TreeMap<Integer, Expression> parts) {
        if (parts.isEmpty()) {
            return ofNone;
        }
        if (parts.size() == 1) {
            return parts.firstEntry().getValue();
        }
        List<Expression> list = List.copyOf(parts.values());
        boolean takesEmpty = kind == Kind.ALL_OF;
        for (Expression part : list) {
            takesEmpty = kind == Kind.ALL_OF ? takesEmpty && part.takesEmpty : takesEmpty || part.takesEmpty;
        }
        return make(kind, list, ByteSet.NONE, takesEmpty);
    }

    /// What the part does not hold.
    public Expression not(Expression part) {
        if (part.kind == Kind.NOT) {
            return part.parts.getFirst();
        }
        return make(Kind.NOT, List.of(part), ByteSet.NONE, !part.takesEmpty);
    }

    /// The part any number of times, also never.
    public Expression repeat(Expression part) {
        if (part == nothing || part == empty) {
            return empty;
        }
        return part.kind == Kind.REPEAT ? part : make(Kind.REPEAT, List.of(part), ByteSet.NONE, true);
    }

    /// The part or nothing of it.
    public Expression optional(Expression part) {
        return anyOf(empty, part);
    }

    /// The part, at most so many times.
    public Expression upTo(int times, Expression part) {
        Expression expression = empty;
        for (int i = 0; i < times; i++) {
            expression = optional(sequence(part, expression));
        }
        return expression;
    }

    /// An expression that is made when it is reached: for sets that are small on every path and large altogether.
    ///
    /// @param name  equal names stand for equal expressions
    /// @param later makes it; it must not hold the empty string
    public Expression deferred(Object name, Supplier<Expression> later) {
        var key = new Key(Kind.DEFERRED, ByteSet.NONE, List.of(), name);
        Expression found = made.get(key);
        return found != null ? found : add(key, new Expression(nextId, Kind.DEFERRED, List.of(), ByteSet.NONE, false, later));
    }

    /// What may follow behind one byte.
    Expression after(Expression expression, int value) {
        return switch (expression.kind) {
            case NOTHING, EMPTY -> nothing;
            case BYTE -> expression.bytes.contains(value) ? empty : nothing;
            case SEQUENCE -> {
                Expression first = expression.parts.get(0);
                Expression rest = expression.parts.get(1);
                Expression begun = sequence(after(first, value), rest);
                yield first.takesEmpty ? anyOf(begun, after(rest, value)) : begun;
            }
            case ANY_OF -> anyOf(eachAfter(expression, value));
            case ALL_OF -> allOf(eachAfter(expression, value));
            case NOT -> not(after(expression.parts.getFirst(), value));
            case REPEAT -> sequence(after(expression.parts.getFirst(), value), expression);
            case DEFERRED -> after(expression.known(), value);
        };
    }

    private List<Expression> eachAfter(Expression expression, int value) {
        List<Expression> rests = new ArrayList<>(expression.parts.size());
        for (Expression part : expression.parts) {
            Expression rest = after(part, value);
            if (rest != nothing || expression.kind == Kind.ALL_OF) {
                rests.add(rest);
            }
        }
        return rests;
    }

    private Expression make(Kind kind, List<Expression> parts, ByteSet bytes, boolean takesEmpty) {
        List<Integer> ids = new ArrayList<>(parts.size());
        for (Expression part : parts) {
            ids.add(part.id);
        }
        var key = new Key(kind, bytes, ids, null);
        Expression found = made.get(key);
        return found != null ? found : add(key, new Expression(nextId, kind, parts, bytes, takesEmpty, null));
    }

    private Expression add(Key key, Expression expression) {
        size += 1 + expression.parts.size();
        if (size > maxSize) {
            throw new GrammarException(GrammarException.Kind.TOO_COMPLEX, "it is too large to be enforced");
        }
        nextId++;
        made.put(key, expression);
        return expression;
    }

    /// From here on an automaton makes them, which has bounds of its own.
    void unbounded() {
        maxSize = Integer.MAX_VALUE;
    }

    /// How many there are, parts counted too.
    int size() {
        return size;
    }

    /// Lets go of everything but the three constants. What others still hold stays right; it is only made once more when
    /// it comes up again.
    void forget() {
        size = 0;
        made.values().removeIf(expression -> expression != nothing && expression != empty && expression != anything);
    }

}
