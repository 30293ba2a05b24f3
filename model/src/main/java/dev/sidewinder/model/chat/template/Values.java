package dev.sidewinder.model.chat.template;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/// What all values can be asked: truth, elements, length, a whole number.
final class Values {
    private Values() {}

    /// Python's `bool(value)`.
    static boolean truth(Value value) {
        return switch (value) {
            case Value.None _, Value.Undefined _ -> false;
            case Value.Bool bool -> bool.value();
            case Value.Int number -> number.value().signum() != 0;
            case Value.Real number -> number.value() != 0;
            case Value.Str text -> !text.text().isEmpty();
            case Value.Seq sequence -> !sequence.items().isEmpty();
            case Value.Range range -> range.length() > 0;
            case Dict dict -> dict.size() > 0;
            case Value.View view -> view.dict().size() > 0;
            case LoopState loop -> loop.length() > 0;
            case Value.Stream _, Value.Function _, Namespace _ -> true;
        };
    }

    /// The elements, charged one step each. A stream is used up by this.
    static List<Value> elements(Render render, Value value) {
        List<Value> elements = elementsOrNull(render, value);
        if (elements == null) {
            throw new RenderException("'" + value.typeName() + "' object is not iterable");
        }
        return elements;
    }

    static boolean iterable(Value value) {
        return switch (value) {
            case Value.Undefined _, Value.Str _, Value.Seq _, Value.Range _, Dict _, Value.View _, Value.Stream _,
                    LoopState _ -> true;
            case Value.None _, Value.Bool _, Value.Int _, Value.Real _, Value.Function _, Namespace _ -> false;
        };
    }

    private static List<Value> elementsOrNull(Render render, Value value) {
        return switch (value) {
            case Value.Undefined _ -> List.of();
            case Value.Seq sequence -> {
                render.budget().steps(sequence.items().size());
                yield sequence.items();
            }
            case Value.Str text -> characters(render, text.text());
            case Value.Range range -> {
                render.budget().steps(range.length());
                List<Value> numbers = new ArrayList<>(range.length());
                for (int i = 0; i < range.length(); i++) {
                    numbers.add(Value.of(range.start() + i * range.step()));
                }
                yield numbers;
            }
            case Dict dict -> entries(render, dict, Value.View.Part.KEYS);
            case Value.View view -> entries(render, view.dict(), view.part());
            case Value.Stream stream -> drain(render, stream.elements());
            case LoopState _ -> throw new RenderException("the elements of 'loop' cannot be walked");
            case Value.None _, Value.Bool _, Value.Int _, Value.Real _, Value.Function _, Namespace _ -> null;
        };
    }

    private static List<Value> drain(Render render, Iterator<Value> elements) {
        List<Value> drained = new ArrayList<>();
        while (elements.hasNext()) {
            render.budget().step();
            drained.add(elements.next());
        }
        return drained;
    }

    private static List<Value> entries(Render render, Dict dict, Value.View.Part part) {
        render.budget().steps(dict.size());
        List<Value> entries = new ArrayList<>(dict.size());
        for (Dict.Entry entry : dict.entries()) {
            entries.add(switch (part) {
                case KEYS -> entry.key();
                case VALUES -> entry.value();
                case ITEMS -> Value.tuple(entry.key(), entry.value());
            });
        }
        return entries;
    }

    private static List<Value> characters(Render render, Text text) {
        String characters = render.read(text);
        render.budget().steps(characters.length());
        List<Value> split = new ArrayList<>(characters.length());
        for (int i = 0; i < characters.length(); ) {
            int next = i + Character.charCount(characters.codePointAt(i));
            split.add(Value.of(text.substring(i, next)));
            i = next;
        }
        return split;
    }

    /// Python's `len(value)`; -1 for values that have no length.
    private static long lengthOrNone(Render render, Value value) {
        return switch (value) {
            case Value.Undefined _ -> 0;
            case Value.Str text -> PythonText.length(render.read(text.text()));
            case Value.Seq sequence -> sequence.items().size();
            case Value.Range range -> range.length();
            case Dict dict -> dict.size();
            case Value.View view -> view.dict().size();
            case LoopState loop -> loop.length();
            case Value.Stream _, Value.None _, Value.Bool _, Value.Int _, Value.Real _, Value.Function _, Namespace _ -> -1;
        };
    }

    static long length(Render render, Value value) {
        long length = lengthOrNone(render, value);
        if (length < 0) {
            throw new RenderException("object of type '" + value.typeName() + "' has no len()");
        }
        return length;
    }

    /// The integer that a bool or int is; null for others.
    static BigInteger integer(Value value) {
        return switch (value) {
            case Value.Bool bool -> bool.value() ? BigInteger.ONE : BigInteger.ZERO;
            case Value.Int number -> number.value();
            default -> null;
        };
    }

    /// An int argument of a function, cut to the range of Java's `int`.
    static int index(Value value, String what) {
        BigInteger number = integer(value);
        if (number == null) {
            throw new RenderException(what + " must be an integer, not '" + value.typeName() + "'");
        }
        return number.bitLength() < 32 ? number.intValue() : number.signum() < 0 ? Integer.MIN_VALUE : Integer.MAX_VALUE;
    }

    /// A text argument of a function.
    static Text text(Value value, String what) {
        if (value instanceof Value.Str text) {
            return text.text();
        }
        throw new RenderException(what + " must be a string, not '" + value.typeName() + "'");
    }

    static Value stream(List<Value> elements) {
        return new Value.Stream(elements.iterator());
    }
}
