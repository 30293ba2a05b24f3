package dev.sidewinder.model.chat.template;

import java.util.List;

/// The variable `loop`.
final class LoopState implements Value {
    private final List<Value> elements;
    private final int depth;

    /// runs the same loop over other elements; null when the loop is not recursive
    private final Function.Body recursion;
    private int index = -1;
    private List<Value> lastChanged;

    LoopState(List<Value> elements, int depth, Function.Body recursion) {
        this.elements = elements;
        this.depth = depth;
        this.recursion = recursion;
    }

    void advance() {
        index++;
    }

    /// null when loops have no such attribute.
    Value attribute(String name) {
        int length = elements.size();
        return switch (name) {
            case "index" -> Value.of(index + 1);
            case "index0" -> Value.of(index);
            case "revindex" -> Value.of(length - index);
            case "revindex0" -> Value.of(length - index - 1);
            case "first" -> Value.of(index == 0);
            case "last" -> Value.of(index == length - 1);
            case "length" -> Value.of(length);
            case "depth" -> Value.of(depth);
            case "depth0" -> Value.of(depth - 1);
            case "previtem" -> index > 0 ? elements.get(index - 1) : new Undefined("there is no previous item");
            case "nextitem" -> index + 1 < length ? elements.get(index + 1) : new Undefined("there is no next item");
            case "cycle" -> new Function("cycle", (_, arguments) -> cycle(arguments));
            case "changed" -> new Function("changed", this::changed);
            default -> null;
        };
    }

    private Value cycle(Arguments arguments) {
        List<Value> choices = arguments.positional();
        if (choices.isEmpty()) {
            throw new RenderException("no items for cycling given");
        }
        return choices.get(index % choices.size());
    }

    private Value changed(Render render, Arguments arguments) {
        boolean same = lastChanged != null
                && Comparisons.equal(render, Value.tuple(lastChanged), Value.tuple(arguments.positional()));
        lastChanged = arguments.positional();
        return Value.of(!same);
    }

    Value call(Render render, Arguments arguments) {
        if (recursion == null) {
            throw new RenderException("the loop needs the word 'recursive' to be called");
        }
        return recursion.call(render, arguments);
    }

    int length() {
        return elements.size();
    }

    int index() {
        return index;
    }

    @Override
    public String typeName() {
        return "LoopContext";
    }
}
