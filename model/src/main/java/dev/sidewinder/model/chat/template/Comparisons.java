package dev.sidewinder.model.chat.template;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/// Equality, order and membership as Python has them.
final class Comparisons {
    private Comparisons() {}

    static boolean equal(Render render, Value a, Value b) {
        return equal(render, a, b, 0);
    }

    private static boolean equal(Render render, Value a, Value b, int depth) {
        Budget.checkValueDepth(depth);
        render.budget().step();
        if (a == b) {
            return !Numbers.isNaN(a);
        }
        if (Numbers.isNumber(a) && Numbers.isNumber(b)) {
            return !Numbers.isNaN(a) && !Numbers.isNaN(b) && Numbers.compare(a, b) == 0;
        }
        return switch (a) {
            case Value.Str x when b instanceof Value.Str y -> {
                boolean sameLength = x.text().length() == y.text().length();
                yield sameLength && render.read(x.text()).equals(y.text().string());
            }
            case Value.Seq x when b instanceof Value.Seq y ->
                x.tuple() == y.tuple() && equalItems(render, x.items(), y.items(), depth);
            case Value.Range x when b instanceof Value.Range y -> x.length() == y.length()
                    && (x.length() == 0 || x.start() == y.start() && (x.length() == 1 || x.step() == y.step()));
            case Dict x when b instanceof Dict y -> equalEntries(render, x, y, depth);
            case Value.None _ -> b instanceof Value.None;
            case Value.Undefined _ -> b instanceof Value.Undefined;
            case Value.Str _, Value.Seq _, Value.Range _, Dict _, Value.Bool _, Value.Int _, Value.Real _, Value.View _,
                    Value.Stream _, Value.Function _, Namespace _, LoopState _ -> false;
        };
    }

    private static boolean equalItems(Render render, List<Value> a, List<Value> b, int depth) {
        if (a.size() != b.size()) {
            return false;
        }
        for (int i = 0; i < a.size(); i++) {
            if (!equal(render, a.get(i), b.get(i), depth + 1)) {
                return false;
            }
        }
        return true;
    }

    private static boolean equalEntries(Render render, Dict a, Dict b, int depth) {
        if (a.size() != b.size()) {
            return false;
        }
        for (Dict.Entry entry : a.entries()) {
            Value other = b.get(entry.key());
            if (other == null || !equal(render, entry.value(), other, depth + 1)) {
                return false;
            }
        }
        return true;
    }

    static boolean less(Render render, Value a, Value b, String operator) {
        return less(render, a, b, operator, 0);
    }

    /// Python's `a < b`. `operator` is for the message.
    private static boolean less(Render render, Value a, Value b, String operator, int depth) {
        Budget.checkValueDepth(depth);
        render.budget().step();
        if (Numbers.isNumber(a) && Numbers.isNumber(b)) {
            return !Numbers.isNaN(a) && !Numbers.isNaN(b) && Numbers.compare(a, b) < 0;
        }
        if (a instanceof Value.Str x && b instanceof Value.Str y) {
            render.budget().work(Math.min(x.text().length(), y.text().length()));
            return PythonText.compare(x.text().string(), y.text().string()) < 0;
        }
        if (a instanceof Value.Seq x && b instanceof Value.Seq y && x.tuple() == y.tuple()) {
            int shorter = Math.min(x.items().size(), y.items().size());
            for (int i = 0; i < shorter; i++) {
                if (!equal(render, x.items().get(i), y.items().get(i), depth + 1)) {
                    return less(render, x.items().get(i), y.items().get(i), operator, depth + 1);
                }
            }
            return x.items().size() < y.items().size();
        }
        failUndefined(a);
        failUndefined(b);
        throw new RenderException("'" + operator + "' is not supported between '" + a.typeName() + "' and '"
                + b.typeName() + "'");
    }

    /// `a <= b`, which for NaN is not the opposite of `b < a`.
    static boolean lessOrEqual(Render render, Value a, Value b, String operator) {
        return less(render, a, b, operator) || equal(render, a, b);
    }

    static void failUndefined(Value value) {
        if (value instanceof Value.Undefined undefined) {
            throw new RenderException(undefined.reason());
        }
    }

    /// Python's `item in container`.
    static boolean contains(Render render, Value container, Value item) {
        return switch (container) {
            case Value.Str text -> {
                Text wanted = Values.text(item, "what is looked for in a string");
                yield render.read(text.text()).contains(render.read(wanted));
            }
            case Dict dict -> dict.get(item) != null;
            case Value.View view when view.part() == Value.View.Part.KEYS -> view.dict().get(item) != null;
            case Value.Undefined _, Value.Seq _, Value.Range _, Value.View _, Value.Stream _, LoopState _, Value.None _,
                    Value.Bool _, Value.Int _, Value.Real _, Value.Function _, Namespace _ -> {
                for (Value element : Values.elements(render, container)) {
                    if (element == item || equal(render, element, item)) {
                        yield true;
                    }
                }
                yield false;
            }
        };
    }

    /// Sorts stably, as Python does: a merge sort, because the order of NaN and friends is none, which Java's own sort
    /// refuses.
    static List<Value> sorted(Render render, List<Value> items, Function<Value, Value> key, boolean descending) {
        List<Keyed> keyed = new ArrayList<>(items.size());
        for (Value item : items) {
            keyed.add(new Keyed(key.apply(item), item));
        }
        List<Value> sorted = new ArrayList<>(items.size());
        for (Keyed item : mergeSorted(render, keyed, descending)) {
            sorted.add(item.item());
        }
        return sorted;
    }

    private record Keyed(Value key, Value item) {}

    private static List<Keyed> mergeSorted(Render render, List<Keyed> items, boolean descending) {
        if (items.size() < 2) {
            return items;
        }
        int middle = items.size() / 2;
        List<Keyed> left = mergeSorted(render, items.subList(0, middle), descending);
        List<Keyed> right = mergeSorted(render, items.subList(middle, items.size()), descending);
        List<Keyed> merged = new ArrayList<>(items.size());
        int l = 0;
        int r = 0;
        while (l < left.size() && r < right.size()) {
            Value a = left.get(l).key();
            Value b = right.get(r).key();
            boolean rightFirst = descending ? less(render, a, b, "<") : less(render, b, a, "<");
            merged.add(rightFirst ? right.get(r++) : left.get(l++));
        }
        merged.addAll(left.subList(l, left.size()));
        merged.addAll(right.subList(r, right.size()));
        return merged;
    }
}
