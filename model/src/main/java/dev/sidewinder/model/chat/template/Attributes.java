package dev.sidewinder.model.chat.template;

import java.math.BigInteger;
import java.util.List;
import java.util.Set;

/// `value.name` and `value[key]`. As in Jinja the dot tries attributes first and the brackets try elements first. What a
/// type offers is listed here; there is no way to anything else.
final class Attributes {
    /// Methods that exist in Python and that the sandbox keeps from templates, because they change the value.
    private static final Set<String> DICT_CHANGES = Set.of("clear", "pop", "popitem", "setdefault", "update");
    private static final Set<String> LIST_CHANGES = Set.of("append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort");

    private Attributes() {}

    static Value attribute(Render render, Value target, String name) {
        Comparisons.failUndefined(target);
        Value attribute = ownAttribute(target, name);
        if (attribute == null) {
            attribute = element(render, target, Value.of(name));
        }
        return attribute != null ? attribute : absent(target, name);
    }

    static Value item(Render render, Value target, Value key) {
        Comparisons.failUndefined(target);
        Value element = element(render, target, key);
        if (element == null && key instanceof Value.Str name) {
            element = ownAttribute(target, name.text().string());
        }
        return element != null ? element : absent(target, PythonPrint.repr(render, key).string());
    }

    private static Value absent(Value target, String name) {
        return new Value.Undefined("'" + target.typeName() + "' object has no attribute " + shortened(name));
    }

    private static String shortened(String name) {
        int limit = 64;
        return name.length() <= limit ? name : name.substring(0, limit) + "…";
    }

    /// The filter `attr`: attributes, never elements.
    static Value attributeOnly(Value target, String name) {
        Value attribute = ownAttribute(target, name);
        return attribute != null ? attribute : absent(target, name);
    }

    /// null when the type has no such attribute.
    private static Value ownAttribute(Value target, String name) {
        return switch (target) {
            case Value.Str text -> StringMethods.method(text, name);
            case Dict dict -> DICT_CHANGES.contains(name) ? unsafe(dict, name) : dictMethod(dict, name);
            case Value.Seq sequence -> !sequence.tuple() && LIST_CHANGES.contains(name)
                    ? unsafe(sequence, name) : sequenceMethod(sequence, name);
            case Namespace namespace -> namespace.get(name);
            case LoopState loop -> loop.attribute(name);
            case Value.None _, Value.Undefined _, Value.Bool _, Value.Int _, Value.Real _, Value.Range _, Value.View _,
                    Value.Stream _, Value.Function _ -> null;
        };
    }

    private static Value unsafe(Value target, String name) {
        return new Value.Undefined("'" + name + "' of '" + target.typeName() + "' would change it, which templates cannot do");
    }

    private static Value dictMethod(Dict dict, String name) {
        return switch (name) {
            case "items" -> view(name, dict, Value.View.Part.ITEMS);
            case "keys" -> view(name, dict, Value.View.Part.KEYS);
            case "values" -> view(name, dict, Value.View.Part.VALUES);
            case "get" -> new Value.Function(name, (_, arguments) -> {
                Value[] bound = arguments.bindRequired("get", 1, "key", "default");
                Value found = dict.get(bound[0]);
                return found != null ? found : bound[1] != null ? bound[1] : Value.NONE;
            });
            case "copy" -> new Value.Function(name, (_, arguments) -> {
                arguments.bind("copy");
                return dict;
            });
            default -> null;
        };
    }

    private static Value view(String name, Dict dict, Value.View.Part part) {
        return new Value.Function(name, (_, arguments) -> {
            arguments.bind(name);
            return new Value.View(dict, part);
        });
    }

    private static Value sequenceMethod(Value.Seq sequence, String name) {
        return switch (name) {
            case "count" -> new Value.Function(name, (render, arguments) -> {
                Value wanted = arguments.bindRequired("count", 1, "value")[0];
                long count = sequence.items().stream().filter(item -> Comparisons.equal(render, item, wanted)).count();
                return Value.of(count);
            });
            case "index" -> new Value.Function(name, (render, arguments) -> {
                Value wanted = arguments.bindRequired("index", 1, "value")[0];
                for (int i = 0; i < sequence.items().size(); i++) {
                    if (Comparisons.equal(render, sequence.items().get(i), wanted)) {
                        return Value.of(i);
                    }
                }
                throw new RenderException("the value is not in the list");
            });
            case "grouper" -> sequence.form() == Value.Seq.Form.GROUP ? sequence.items().get(0) : null;
            case "list" -> sequence.form() == Value.Seq.Form.GROUP ? sequence.items().get(1) : null;
            case "copy" -> sequence.tuple() ? null : new Value.Function(name, (_, arguments) -> {
                arguments.bind("copy");
                return sequence;
            });
            default -> null;
        };
    }

    /// Python's `target[key]`; null where it would raise.
    private static Value element(Render render, Value target, Value key) {
        return switch (target) {
            case Dict dict -> hashable(key) ? dict.get(key) : null;
            case Value.Seq sequence -> {
                List<Value> items = sequence.items();
                int index = position(key, items.size());
                yield index < 0 ? null : items.get(index);
            }
            case Value.Range range -> {
                int index = position(key, range.length());
                yield index < 0 ? null : Value.of(range.start() + index * range.step());
            }
            case Value.Str text -> character(render, text, key);
            case Value.None _, Value.Undefined _, Value.Bool _, Value.Int _, Value.Real _, Value.View _, Value.Stream _,
                    Value.Function _, Namespace _, LoopState _ -> null;
        };
    }

    private static boolean hashable(Value key) {
        return !(key instanceof Dict || key instanceof Value.View || key instanceof Value.Seq sequence && !sequence.tuple());
    }

    private static Value character(Render render, Value.Str text, Value key) {
        if (Values.integer(key) == null) {
            return null;
        }
        String characters = render.read(text.text());
        int index = position(key, PythonText.length(characters));
        if (index < 0) {
            return null;
        }
        int from = PythonText.offset(characters, index);
        int to = from + Character.charCount(characters.codePointAt(from));
        return new Value.Str(text.text().substring(from, to), text.markup());
    }

    /// Where the element with this index is, counted from the end when negative; -1 when it is out of range or no integer.
    private static int position(Value key, int length) {
        BigInteger index = Values.integer(key);
        if (index == null || index.bitLength() > 31) {
            return -1;
        }
        int position = index.intValue() < 0 ? index.intValue() + length : index.intValue();
        return position < length ? Math.max(position, -1) : -1;
    }
}
