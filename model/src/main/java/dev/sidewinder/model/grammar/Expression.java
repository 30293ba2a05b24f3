package dev.sidewinder.model.grammar;

import java.util.List;
import java.util.function.Supplier;

/// A set of byte strings. Made by [Expressions], which makes equal ones the same object; immutable.
public final class Expression {

    enum Kind {
        /// no string at all
        NOTHING,
        /// the empty string
        EMPTY,
        /// one byte of a set
        BYTE,
        /// the first part, then the second
        SEQUENCE,
        /// what one part holds
        ANY_OF,
        /// what every part holds
        ALL_OF,
        /// what the part does not hold
        NOT,
        /// the part any number of times
        REPEAT,
        /// known only when it is reached; never the empty string
        DEFERRED
    }

    final int id;
    final Kind kind;
    final List<Expression> parts;
    final ByteSet bytes;
    final boolean takesEmpty;
    private Supplier<Expression> later;
    private Expression known;

    Expression(int id, Kind kind, List<Expression> parts, ByteSet bytes, boolean takesEmpty, Supplier<Expression> later) {
        this.id = id;
        this.kind = kind;
        this.parts = parts;
        this.bytes = bytes;
        this.takesEmpty = takesEmpty;
        this.later = later;
    }

    /// What a deferred expression stands for.
    Expression known() {
        if (known == null) {
            known = later.get();
            later = null;
            if (known.takesEmpty) {
                throw new IllegalStateException("a deferred expression must not hold the empty string");
            }
        }
        return known;
    }
}
