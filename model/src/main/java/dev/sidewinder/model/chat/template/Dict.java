package dev.sidewinder.model.chat.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;

/// A dict in the order of insertion. It is filled by whoever makes it and not changed afterwards.
final class Dict implements Value {

    /// @param key as it was written, with its origin
    record Entry(Value key, Value value) {}

    private final LinkedHashMap<Object, Entry> entries = new LinkedHashMap<>();

    void put(Value key, Value value) {
        Object hashed = hashKey(key, 0);
        Entry before = entries.get(hashed);
        // like Python, the first spelling of an equal key stays
        entries.put(hashed, new Entry(before == null ? key : before.key(), value));
    }

    void put(String key, Value value) {
        put(Value.of(key), value);
    }

    /// null when there is none.
    Value get(Value key) {
        Entry entry = entries.get(hashKey(key, 0));
        return entry == null ? null : entry.value();
    }

    Value get(String key) {
        Entry entry = entries.get(key);
        return entry == null ? null : entry.value();
    }

    Collection<Entry> entries() {
        return entries.values();
    }

    int size() {
        return entries.size();
    }

    @Override
    public String typeName() {
        return "dict";
    }

    /// A Java object that is equal for values that Python takes for the same key (`1`, `1.0` and `True` are one).
    static Object hashKey(Value value, int depth) {
        Budget.checkValueDepth(depth);
        return switch (value) {
            case None none -> none;
            case Undefined _ -> Undefined.class;
            case Bool bool -> bool.value() ? BigInteger.ONE : BigInteger.ZERO;
            case Int number -> number.value();
            case Real number -> realKey(number.value());
            case Str text -> text.text().string();
            case Range range -> range;
            case Function function -> function;
            case Namespace namespace -> namespace;
            case LoopState loop -> loop;
            case Stream stream -> stream;
            case Seq sequence -> {
                if (!sequence.tuple()) {
                    throw new RenderException("unhashable type: 'list'");
                }
                List<Object> keys = new ArrayList<>(sequence.items().size());
                for (Value item : sequence.items()) {
                    keys.add(hashKey(item, depth + 1));
                }
                yield keys;
            }
            case Dict dict -> throw new RenderException("unhashable type: '" + dict.typeName() + "'");
            case View view -> throw new RenderException("unhashable type: '" + view.typeName() + "'");
        };
    }

    private static Object realKey(double value) {
        boolean whole = value == Math.rint(value) && !Double.isInfinite(value);
        return whole ? new BigDecimal(value).toBigInteger() : (Object) value;
    }
}
