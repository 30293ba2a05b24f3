package dev.sidewinder.model.chat.template;

import java.math.BigInteger;
import java.util.Iterator;
import java.util.List;

/// A value of a running template: Python's, as far as templates see them.
sealed interface Value permits Value.None, Value.Undefined, Value.Bool, Value.Int, Value.Real, Value.Str, Value.Seq,
        Value.Range, Value.View, Value.Stream, Value.Function, Dict, Namespace, LoopState {
    None NONE = new None();
    Bool TRUE = new Bool(true);
    Bool FALSE = new Bool(false);
    Str EMPTY = new Str(Text.EMPTY);

    /// How Python calls the type in its messages.
    String typeName();

    record None() implements Value {
        @Override
        public String typeName() {
            return "None";
        }
    }

    /// The absent: prints as nothing, is false, has no elements; anything else one does to it fails with `reason`.
    record Undefined(String reason) implements Value {
        @Override
        public String typeName() {
            return "Undefined";
        }
    }

    record Bool(boolean value) implements Value {
        @Override
        public String typeName() {
            return "bool";
        }
    }

    record Int(BigInteger value) implements Value {
        @Override
        public String typeName() {
            return "int";
        }
    }

    record Real(double value) implements Value {
        @Override
        public String typeName() {
            return "float";
        }
    }

    /// @param markup marked by `safe` or made by `escape`: what is added to it with `+` gets escaped
    record Str(Text text, boolean markup) implements Value {
        Str(Text text) {
            this(text, false);
        }

        @Override
        public String typeName() {
            return markup ? "Markup" : "str";
        }
    }

    /// A list or a tuple.
    record Seq(List<Value> items, Form form) implements Value {
        enum Form {
            LIST, TUPLE,
            /// the tuple of key and elements that `groupby` makes; its parts have names
            GROUP
        }

        Seq(List<Value> items, boolean tuple) {
            this(items, tuple ? Form.TUPLE : Form.LIST);
        }

        boolean tuple() {
            return form != Form.LIST;
        }

        @Override
        public String typeName() {
            return tuple() ? "tuple" : "list";
        }
    }

    /// The numbers `start + i * step` for `i` in `[0, length)`.
    record Range(long start, long step, long stop, int length) implements Value {
        @Override
        public String typeName() {
            return "range";
        }
    }

    /// What `items()`, `keys()` and `values()` of a dict give.
    record View(Dict dict, Part part) implements Value {
        enum Part {
            ITEMS, KEYS, VALUES
        }

        @Override
        public String typeName() {
            return "dict_" + part.name().toLowerCase(java.util.Locale.ROOT);
        }
    }

    /// What generators give: elements that can be walked once.
    record Stream(Iterator<Value> elements) implements Value {
        @Override
        public String typeName() {
            return "generator";
        }
    }

    /// A function, a bound method or a macro.
    record Function(String name, Body body) implements Value {
        interface Body {
            Value call(Render render, Arguments arguments);
        }

        @Override
        public String typeName() {
            return "function";
        }
    }

    static Value of(boolean value) {
        return value ? TRUE : FALSE;
    }

    static Int of(long value) {
        return new Int(BigInteger.valueOf(value));
    }

    static Str of(Text text) {
        return new Str(text);
    }

    /// Text that nobody wrote: a name, a number.
    static Str of(String text) {
        return new Str(Text.ofConversation(text));
    }

    static Seq list(List<Value> items) {
        return new Seq(items, false);
    }

    static Seq tuple(List<Value> items) {
        return new Seq(items, true);
    }

    static Seq tuple(Value... items) {
        return new Seq(List.of(items), true);
    }
}
