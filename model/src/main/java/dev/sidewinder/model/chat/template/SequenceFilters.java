package dev.sidewinder.model.chat.template;

import dev.sidewinder.model.chat.template.Filters.Filter;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/// Filters that walk, order and group elements.
final class SequenceFilters {
    private SequenceFilters() {}

    static void addTo(Map<String, Filter> filters) {
        filters.put("length", SequenceFilters::length);
        filters.put("count", SequenceFilters::length);
        filters.put("first", SequenceFilters::first);
        filters.put("last", SequenceFilters::last);
        filters.put("list", (render, input, _) -> Value.list(new ArrayList<>(Values.elements(render, input))));
        filters.put("items", SequenceFilters::items);
        filters.put("join", SequenceFilters::join);
        filters.put("reverse", SequenceFilters::reverse);
        filters.put("sort", SequenceFilters::sort);
        filters.put("dictsort", SequenceFilters::dictSort);
        filters.put("unique", SequenceFilters::unique);
        filters.put("min", (render, input, arguments) -> extreme(render, input, arguments, false));
        filters.put("max", (render, input, arguments) -> extreme(render, input, arguments, true));
        filters.put("sum", SequenceFilters::sum);
        filters.put("batch", SequenceFilters::batch);
        filters.put("slice", SequenceFilters::slice);
        filters.put("groupby", SequenceFilters::groupBy);
    }

    private static Value length(Render render, Value input, Arguments arguments) {
        arguments.bind("length");
        return Value.of(Values.length(render, input));
    }

    private static Value first(Render render, Value input, Arguments arguments) {
        arguments.bind("first");
        if (input instanceof Value.Seq sequence && !sequence.items().isEmpty()) {
            return sequence.items().getFirst();
        }
        if (input instanceof Value.Stream stream && stream.elements().hasNext()) {
            return stream.elements().next();
        }
        List<Value> elements = Values.elements(render, input);
        return elements.isEmpty() ? new Value.Undefined("no first item, the sequence was empty") : elements.getFirst();
    }

    private static Value last(Render render, Value input, Arguments arguments) {
        arguments.bind("last");
        if (input instanceof Value.Stream) {
            throw new RenderException("'generator' object is not reversible");
        }
        if (input instanceof Value.Seq sequence && !sequence.items().isEmpty()) {
            return sequence.items().getLast();
        }
        List<Value> elements = Values.elements(render, input);
        return elements.isEmpty() ? new Value.Undefined("no last item, the sequence was empty") : elements.getLast();
    }

    private static Value items(Render render, Value input, Arguments arguments) {
        arguments.bind("items");
        return switch (input) {
            case Value.Undefined _ -> Values.stream(List.of());
            case Dict dict -> Values.stream(Values.elements(render, new Value.View(dict, Value.View.Part.ITEMS)));
            default -> throw new RenderException("items needs a dict, not '" + input.typeName() + "'");
        };
    }

    private static Value join(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bind("join", "d", "attribute");
        Text separator = bound[0] == null ? Text.EMPTY : PythonPrint.str(render, bound[0]);
        Function<Value, Value> attribute = AttributePath.of(render, bound[1]);
        List<Text> parts = new ArrayList<>();
        for (Value element : Values.elements(render, input)) {
            parts.add(PythonPrint.str(render, attribute.apply(element)));
        }
        return Value.of(PythonPrint.join(render, separator, parts));
    }

    private static Value reverse(Render render, Value input, Arguments arguments) {
        arguments.bind("reverse");
        if (input instanceof Value.Str) {
            return Slices.slice(render, input, Value.NONE, Value.NONE, Value.of(-1));
        }
        List<Value> reversed = List.copyOf(Values.elements(render, input)).reversed();
        // like Python: what can be walked backwards gives an iterator, the rest a list
        return input instanceof Value.Stream || input instanceof Value.Undefined
                ? Value.list(reversed) : Values.stream(reversed);
    }

    private static Value sort(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bind("sort", "reverse", "case_sensitive", "attribute");
        Function<Value, Value> key = AttributePath.several(render, bound[2], caseKey(bound[1]));
        return Value.list(Comparisons.sorted(render, Values.elements(render, input), key, isTrue(bound[0])));
    }

    private static boolean isTrue(Value value) {
        return value != null && Values.truth(value);
    }

    /// Texts compare without case unless asked otherwise.
    private static Function<Value, Value> caseKey(Value caseSensitive) {
        return isTrue(caseSensitive) ? Function.identity() : SequenceFilters::lowered;
    }

    private static Value lowered(Value value) {
        return value instanceof Value.Str text ? Value.of(PythonText.lower(text.text().string())) : value;
    }

    private static Value dictSort(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bind("dictsort", "case_sensitive", "by", "reverse");
        String by = bound[1] == null ? "key" : Values.text(bound[1], "by").string();
        if (!by.equals("key") && !by.equals("value")) {
            throw new RenderException("dictsort sorts by key or by value");
        }
        if (!(input instanceof Dict dict)) {
            throw new RenderException("dictsort needs a dict, not '" + input.typeName() + "'");
        }
        int position = by.equals("key") ? 0 : 1;
        Function<Value, Value> key = caseKey(bound[0]);
        List<Value> items = Values.elements(render, new Value.View(dict, Value.View.Part.ITEMS));
        return Value.list(Comparisons.sorted(render, items,
                item -> key.apply(((Value.Seq) item).items().get(position)), isTrue(bound[2])));
    }

    private static Value unique(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bind("unique", "case_sensitive", "attribute");
        Function<Value, Value> attribute = AttributePath.of(render, bound[1]);
        Function<Value, Value> key = caseKey(bound[0]);
        Set<Object> seen = new HashSet<>();
        List<Value> unique = new ArrayList<>();
        for (Value element : Values.elements(render, input)) {
            if (seen.add(Dict.hashKey(key.apply(attribute.apply(element)), 0))) {
                unique.add(element);
            }
        }
        return Values.stream(unique);
    }

    private static Value extreme(Render render, Value input, Arguments arguments, boolean greatest) {
        Value[] bound = arguments.bind(greatest ? "max" : "min", "case_sensitive", "attribute");
        Function<Value, Value> key = AttributePath.of(render, bound[1]).andThen(caseKey(bound[0]));
        List<Value> elements = Values.elements(render, input);
        if (elements.isEmpty()) {
            return new Value.Undefined("no item to choose from, the sequence was empty");
        }
        Value best = elements.getFirst();
        for (Value element : elements.subList(1, elements.size())) {
            Value a = key.apply(element);
            Value b = key.apply(best);
            if (greatest ? Comparisons.less(render, b, a, ">") : Comparisons.less(render, a, b, "<")) {
                best = element;
            }
        }
        return best;
    }

    private static Value sum(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bind("sum", "attribute", "start");
        Function<Value, Value> attribute = AttributePath.of(render, bound[0]);
        Value sum = bound[1] == null ? Value.of(0) : bound[1];
        if (sum instanceof Value.Str) {
            throw new RenderException("sum does not add strings, join does");
        }
        for (Value element : Values.elements(render, input)) {
            sum = Operators.apply(render, Expression.BinaryOperator.ADD, sum, attribute.apply(element));
        }
        return sum;
    }

    private static Value batch(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bindRequired("batch", 1, "linecount", "fill_with");
        int size = Values.index(bound[0], "the size of a batch");
        List<Value> elements = Values.elements(render, input);
        if (size < 1) {
            throw new RenderException("a batch needs at least one element");
        }
        List<Value> batches = new ArrayList<>();
        for (int from = 0; from < elements.size(); from += size) {
            List<Value> batch = new ArrayList<>(elements.subList(from, Math.min(elements.size(), from + size)));
            boolean fills = bound[1] != null && !(bound[1] instanceof Value.None);
            if (fills) {
                render.budget().steps(size - batch.size());
            }
            while (fills && batch.size() < size) {
                batch.add(bound[1]);
            }
            batches.add(Value.list(batch));
            if (size > elements.size()) {
                break;
            }
        }
        return Values.stream(batches);
    }

    private static Value slice(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bindRequired("slice", 1, "slices", "fill_with");
        int count = Values.index(bound[0], "the number of slices");
        if (count < 1) {
            throw new RenderException("slice needs at least one slice");
        }
        List<Value> elements = Values.elements(render, input);
        render.budget().steps(count);
        int each = elements.size() / count;
        int withExtra = elements.size() % count;
        List<Value> slices = new ArrayList<>();
        int from = 0;
        for (int i = 0; i < count; i++) {
            int to = from + each + (i < withExtra ? 1 : 0);
            List<Value> slice = new ArrayList<>(elements.subList(from, to));
            if (bound[1] != null && !(bound[1] instanceof Value.None) && i >= withExtra) {
                slice.add(bound[1]);
            }
            slices.add(Value.list(slice));
            from = to;
        }
        return Values.stream(slices);
    }

    private static Value groupBy(Render render, Value input, Arguments arguments) {
        Value[] bound = arguments.bindRequired("groupby", 1, "attribute", "default", "case_sensitive");
        Function<Value, Value> attribute = AttributePath.withDefault(render, bound[0], bound[1]);
        Function<Value, Value> key = attribute.andThen(caseKey(bound[2]));
        List<Value> groups = new ArrayList<>();
        Value groupKey = null;
        List<Value> group = null;
        for (Value element : Comparisons.sorted(render, Values.elements(render, input), key, false)) {
            Value elementKey = key.apply(element);
            if (group == null || !Comparisons.equal(render, groupKey, elementKey)) {
                group = new ArrayList<>();
                groups.add(new Value.Seq(List.of(attribute.apply(element), Value.list(group)), Value.Seq.Form.GROUP));
                groupKey = elementKey;
            }
            group.add(element);
        }
        return Value.list(groups);
    }
}
