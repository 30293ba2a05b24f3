package dev.sidewinder.server.settings;

import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.server.api.ThinkingDefaults;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;

/// How the text of a setting becomes a value, and what one may write.
///
/// @param allowed what is accepted, for the documentation and for error messages
/// @param reader  throws `IllegalArgumentException` for anything else; its message is not shown
/// @param flag    whether the bare flag, without a value, means `true`
/// @param spaced  whether white space around the text belongs to it
record ValueKind<T>(String allowed, Function<String, T> reader, boolean flag, boolean spaced) {

    private static final List<String> SIZE_UNITS = List.of("KiB", "MiB", "GiB");

    private ValueKind(String allowed, Function<String, T> reader, boolean flag) {
        this(allowed, reader, flag, false);
    }

    T parse(String text) {
        return reader.apply(spaced ? text : text.strip());
    }

    /// What closes reasoning: any text that ends with the tag, with `\n` for a newline.
    static ValueKind<String> closingText() {
        String tag = ControlTokens.THINK_END;
        return new ValueKind<>("text that ends with `" + tag + "`, `\\n` for a newline", text -> {
            String closing = text.replace("\\n", "\n");
            if (!closing.endsWith(tag) || closing.indexOf(tag) != closing.length() - tag.length()) {
                throw new IllegalArgumentException(text);
            }
            return closing;
        }, false, true);
    }

    /// Budgets of the efforts that stand for one, `minimal,low,medium`.
    static ValueKind<ThinkingDefaults.EffortBudgets> effortBudgets() {
        return new ValueKind<>("three integers 0..1048576, comma-separated", text -> {
            int[] budgets = Arrays.stream(text.split(",", -1)).mapToInt(each -> (int) within(Long.parseLong(each.strip()), 0, 1 << 20))
                    .toArray();
            if (budgets.length != 3) {
                throw new IllegalArgumentException(text);
            }
            return new ThinkingDefaults.EffortBudgets(budgets[0], budgets[1], budgets[2]);
        }, false);
    }

    static ValueKind<String> text() {
        return new ValueKind<>("text", ValueKind::notEmpty, false);
    }

    /// A file or folder; empty text is none.
    static ValueKind<Optional<Path>> path() {
        return new ValueKind<>("path", text -> text.isEmpty() ? Optional.empty() : Optional.of(Path.of(text)), false);
    }

    /// Comma-separated; empty text is the empty list.
    static ValueKind<List<String>> list() {
        return new ValueKind<>("comma-separated list", text -> text.isEmpty() ? List.of()
                : Arrays.stream(text.split(",", -1)).map(String::strip).map(ValueKind::notEmpty).toList(), false);
    }

    static ValueKind<Boolean> bool() {
        return new ValueKind<>("`true` or `false`", text -> switch (text) {
            case "true" -> true;
            case "false" -> false;
            default -> throw new IllegalArgumentException(text);
        }, true);
    }

    static ValueKind<Integer> integer(int min, int max) {
        return new ValueKind<>("integer " + min + ".." + max,
                text -> (int) within(Long.parseLong(text), min, max), false);
    }

    static ValueKind<Long> longInteger(long min, long max) {
        return new ValueKind<>("integer " + min + ".." + max, text -> within(Long.parseLong(text), min, max), false);
    }

    /// An enum constant, written in lower case with dashes.
    static <E extends Enum<E>> ValueKind<E> oneOf(Class<E> type) {
        List<String> names = Arrays.stream(type.getEnumConstants()).map(ValueKind::spelling).toList();
        return new ValueKind<>("one of " + String.join(", ", names.stream().map(name -> "`" + name + "`").toList()),
                text -> {
                    int index = names.indexOf(text.toLowerCase(Locale.ROOT));
                    if (index < 0) {
                        throw new IllegalArgumentException(text);
                    }
                    return type.getEnumConstants()[index];
                }, false);
    }

    /// A number of bytes, plain or with KiB, MiB, GiB.
    static ValueKind<Long> size(String min, String max) {
        return new ValueKind<>("size " + min + ".." + max,
                text -> within(bytes(text), bytes(min), bytes(max)), false);
    }

    /// A time, in seconds or with ms, s, m, h.
    static ValueKind<Duration> duration(String min, String max) {
        return new ValueKind<>("time " + min + ".." + max, text -> {
            Duration value = time(text);
            if (value.compareTo(time(min)) < 0 || value.compareTo(time(max)) > 0) {
                throw new IllegalArgumentException(text);
            }
            return value;
        }, false);
    }

    static String spelling(Enum<?> value) {
        return value.name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    private static String notEmpty(String text) {
        if (text.isEmpty()) {
            throw new IllegalArgumentException("empty");
        }
        return text;
    }

    private static long within(long value, long min, long max) {
        if (value < min || value > max) {
            throw new IllegalArgumentException(Long.toString(value));
        }
        return value;
    }

    private static long bytes(String text) {
        for (int i = 0; i < SIZE_UNITS.size(); i++) {
            String unit = SIZE_UNITS.get(i);
            if (text.endsWith(unit)) {
                String number = text.substring(0, text.length() - unit.length()).strip();
                return Math.multiplyExact(Long.parseLong(number), 1L << (10 * (i + 1)));
            }
        }
        return Long.parseLong(text);
    }

    private static Duration time(String text) {
        if (text.endsWith("ms")) {
            return Duration.ofMillis(number(text, 2));
        } else if (text.endsWith("s")) {
            return Duration.ofSeconds(number(text, 1));
        } else if (text.endsWith("m")) {
            return Duration.ofMinutes(number(text, 1));
        } else if (text.endsWith("h")) {
            return Duration.ofHours(number(text, 1));
        }
        return Duration.ofSeconds(Long.parseLong(text));
    }

    private static long number(String text, int unitLength) {
        return Long.parseLong(text.substring(0, text.length() - unitLength).strip());
    }
}
