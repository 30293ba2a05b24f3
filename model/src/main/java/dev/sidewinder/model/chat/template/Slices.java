package dev.sidewinder.model.chat.template;

import java.util.ArrayList;
import java.util.List;

/// `value[start:stop:step]` with Python's rules.
final class Slices {
    /// The elements `start + i * step` for `i` in `[0, count)`, which lie before `stop`.
    private record Span(int start, int stop, int step, int count) {}

    private Slices() {}

    static Value slice(Render render, Value target, Value start, Value stop, Value step) {
        Comparisons.failUndefined(target);
        return switch (target) {
            case Value.Seq sequence -> {
                Span span = span(sequence.items().size(), start, stop, step);
                render.budget().steps(span.count());
                List<Value> items = new ArrayList<>(span.count());
                for (int i = 0; i < span.count(); i++) {
                    items.add(sequence.items().get(span.start() + i * span.step()));
                }
                yield new Value.Seq(items, sequence.tuple());
            }
            case Value.Str text -> new Value.Str(text(render, text.text(), start, stop, step), text.markup());
            case Value.Range range -> {
                Span span = span(range.length(), start, stop, step);
                yield range(range, span);
            }
            case Value.None _, Value.Undefined _, Value.Bool _, Value.Int _, Value.Real _, Dict _, Value.View _,
                    Value.Stream _, Value.Function _, Namespace _, LoopState _ ->
                throw new RenderException("'" + target.typeName() + "' object has no slices");
        };
    }

    private static Value.Range range(Value.Range range, Span span) {
        try {
            long step = Math.multiplyExact(range.step(), (long) span.step());
            long start = Math.addExact(range.start(), Math.multiplyExact(range.step(), (long) span.start()));
            long stop = Math.addExact(range.start(), Math.multiplyExact(range.step(), (long) span.stop()));
            return new Value.Range(start, step, stop, span.count());
        } catch (ArithmeticException overflow) {
            throw new RenderException("a slice of a range has bounds that are too large");
        }
    }

    private static Text text(Render render, Text text, Value start, Value stop, Value step) {
        String characters = render.read(text);
        Span span = span(PythonText.length(characters), start, stop, step);
        if (span.count() == 0) {
            return Text.EMPTY;
        }
        if (span.step() == 1) {
            int from = PythonText.offset(characters, span.start());
            return text.substring(from, PythonText.offset(characters, span.start() + span.count()));
        }
        render.budget().steps(span.count() / 16);
        int[] offsets = characters.codePoints().toArray();
        int at = 0;
        for (int i = 0; i < offsets.length; i++) {
            int width = Character.charCount(offsets[i]);
            offsets[i] = at;
            at += width;
        }
        TextBuilder picked = new TextBuilder(span.count());
        for (int i = 0; i < span.count(); i++) {
            int from = offsets[span.start() + i * span.step()];
            int to = from + Character.charCount(characters.codePointAt(from));
            picked.append(characters, from, to, text.fromTemplate(from));
        }
        return picked.text();
    }

    private static Span span(int length, Value startValue, Value stopValue, Value stepValue) {
        int step = stepValue instanceof Value.None ? 1 : Values.index(stepValue, "a slice index");
        if (step == 0) {
            throw new RenderException("the step of a slice is zero");
        }
        int lowest = step > 0 ? 0 : -1;
        int highest = step > 0 ? length : length - 1;
        int start = bound(startValue, step > 0 ? lowest : highest, length, lowest, highest);
        int stop = bound(stopValue, step > 0 ? highest : lowest, length, lowest, highest);
        long distance = step > 0 ? (long) stop - start : (long) start - stop;
        long stride = Math.abs((long) step);
        int count = distance <= 0 ? 0 : (int) ((distance + stride - 1) / stride);
        return new Span(start, stop, step, count);
    }

    private static int bound(Value value, int absent, int length, int lowest, int highest) {
        if (value instanceof Value.None) {
            return absent;
        }
        long index = Values.index(value, "a slice index");
        return Math.clamp(index < 0 ? index + length : index, lowest, highest);
    }
}
