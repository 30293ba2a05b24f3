package dev.sidewinder.model.chat.template;

import java.util.Map;

/// What every template can call without being given it.
final class Globals {
    /// As the sandbox of Jinja has it.
    static final int MAX_RANGE = 100_000;

    static final Map<String, Value> ALL = Map.of(
            "range", function("range", Globals::range),
            "namespace", function("namespace", Globals::namespace),
            "dict", function("dict", Globals::dict),
            "joiner", function("joiner", Globals::joiner),
            "cycler", function("cycler", Globals::cycler),
            "raise_exception", function("raise_exception", Globals::raise),
            "strftime_now", function("strftime_now", (render, arguments) -> {
                Text format = Values.text(arguments.bindRequired("strftime_now", 1, "format")[0], "the format");
                return Value.of(Strftime.format(render, format));
            }));

    private Globals() {}

    private static Value function(String name, Value.Function.Body body) {
        return new Value.Function(name, body);
    }

    private static Value range(Render render, Arguments arguments) {
        Value[] bound = arguments.bindRequired("range", 1, "start", "stop", "step");
        long start = bound[1] == null ? 0 : whole(bound[0]);
        long stop = bound[1] == null ? whole(bound[0]) : whole(bound[1]);
        long step = bound[2] == null ? 1 : whole(bound[2]);
        if (step == 0) {
            throw new RenderException("the step of a range is zero");
        }
        long distance = step > 0 ? stop - start : start - stop;
        long length = distance <= 0 ? 0 : (distance - 1) / Math.abs(step) + 1;
        if (length > MAX_RANGE) {
            throw new RenderException("a range of " + length + " numbers; at most " + MAX_RANGE + " are allowed");
        }
        return new Value.Range(start, step, stop, (int) length);
    }

    /// Bounds far enough to be any that make sense, near enough to calculate with.
    private static long whole(Value value) {
        if (Values.integer(value) == null) {
            throw new RenderException("a bound of a range must be an integer, not '" + value.typeName() + "'");
        }
        if (Values.integer(value).bitLength() > 60) {
            throw new RenderException("a bound of a range is too large");
        }
        return Values.integer(value).longValue();
    }

    private static Value namespace(Render render, Arguments arguments) {
        Namespace namespace = new Namespace();
        fill(render, arguments, "namespace", (key, value) -> namespace.set(Values.text(key, "a name").string(), value));
        return namespace;
    }

    private static Value dict(Render render, Arguments arguments) {
        Dict dict = new Dict();
        fill(render, arguments, "dict", dict::put);
        return dict;
    }

    /// A dict or pairs, then named arguments.
    private static void fill(Render render, Arguments arguments, String callee, java.util.function.BiConsumer<Value, Value> put) {
        if (arguments.positional().size() > 1) {
            throw new RenderException(callee + " takes one dict and named arguments");
        }
        for (Value given : arguments.positional()) {
            Value pairs = given instanceof Dict from ? new Value.View(from, Value.View.Part.ITEMS) : given;
            for (Value pair : Values.elements(render, pairs)) {
                if (!(pair instanceof Value.Seq sequence) || sequence.items().size() != 2) {
                    throw new RenderException(callee + " needs a dict or pairs");
                }
                put.accept(sequence.items().get(0), sequence.items().get(1));
            }
        }
        arguments.named().forEach((name, value) -> put.accept(Value.of(name), value));
    }

    /// A function that gives nothing at first and the separator from then on.
    private static Value joiner(Render render, Arguments arguments) {
        Value given = arguments.bind("joiner", "sep")[0];
        Value separator = given == null ? Value.of(", ") : given;
        boolean[] used = {false};
        return new Value.Function("joiner", (_, _) -> {
            boolean first = !used[0];
            used[0] = true;
            return first ? Value.EMPTY : separator;
        });
    }

    /// An object that gives its items in turn.
    private static Value cycler(Render render, Arguments arguments) {
        if (arguments.positional().isEmpty()) {
            throw new RenderException("cycler needs at least one item");
        }
        Namespace cycler = new Namespace();
        int[] position = {0};
        cycler.set("current", arguments.positional().getFirst());
        cycler.set("next", new Value.Function("next", (_, _) -> {
            Value current = cycler.get("current");
            position[0] = (position[0] + 1) % arguments.positional().size();
            cycler.set("current", arguments.positional().get(position[0]));
            return current;
        }));
        cycler.set("reset", new Value.Function("reset", (_, _) -> {
            position[0] = 0;
            cycler.set("current", arguments.positional().getFirst());
            return Value.NONE;
        }));
        return cycler;
    }

    private static Value raise(Render render, Arguments arguments) {
        Value message = arguments.bindRequired("raise_exception", 1, "message")[0];
        throw new RenderException(PythonPrint.str(render, message).string());
    }
}
