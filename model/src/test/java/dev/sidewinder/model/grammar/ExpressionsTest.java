package dev.sidewinder.model.grammar;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Expressions against sets of short strings, on which every operation is what its definition says.
class ExpressionsTest {
    private static final int LONGEST = 4;
    private static final List<String> STRINGS = strings();

    private final Expressions make = new Expressions(1_000_000);

    private static List<String> strings() {
        List<String> strings = new ArrayList<>(List.of(""));
        for (int from = 0, length = 1; length <= LONGEST; length++) {
            int to = strings.size();
            for (; from < to; from++) {
                for (String letter : List.of("a", "b", "c")) {
                    strings.add(strings.get(from) + letter);
                }
            }
        }
        return List.copyOf(strings);
    }

    private record Case(Expression expression, Set<String> strings) {}

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5})
    void meanWhatTheOperationsOnSetsMean(long seed) {
        System.out.println("ExpressionsTest seed " + seed);
        Random random = new Random(seed);
        for (int i = 0; i < 300; i++) {
            Case drawn = draw(random, 4);
            for (String string : STRINGS) {
                assertThat(holds(drawn.expression(), string)).as("case %d of seed %d, string \"%s\"", i, seed, string)
                        .isEqualTo(drawn.strings().contains(string));
            }
        }
    }

    private boolean holds(Expression expression, String string) {
        Expression rest = expression;
        for (byte value : string.getBytes(StandardCharsets.UTF_8)) {
            rest = make.after(rest, value & 0xFF);
        }
        return rest.takesEmpty;
    }

    /// Sets hold the strings up to a length: the operations are exact on those.
    private Case draw(Random random, int depth) {
        if (depth == 0) {
            String text = STRINGS.get(random.nextInt(14));
            return new Case(make.text(text), Set.of(text));
        }
        Case one = draw(random, depth - 1);
        Case two = draw(random, depth - 1);
        return switch (random.nextInt(8)) {
            case 0, 1 -> new Case(make.sequence(one.expression(), two.expression()), joined(one.strings(), two.strings()));
            case 2, 3 -> {
                Set<String> either = new HashSet<>(one.strings());
                either.addAll(two.strings());
                yield new Case(make.anyOf(one.expression(), two.expression()), either);
            }
            case 4 -> {
                Set<String> both = new HashSet<>(one.strings());
                both.retainAll(two.strings());
                yield new Case(make.allOf(one.expression(), two.expression()), both);
            }
            case 5 -> {
                Set<String> others = new HashSet<>(STRINGS);
                others.removeAll(one.strings());
                yield new Case(make.not(one.expression()), others);
            }
            case 6 -> {
                Set<String> repeated = new HashSet<>(Set.of(""));
                for (int i = 0; i < LONGEST; i++) {
                    repeated.addAll(joined(repeated, one.strings()));
                }
                yield new Case(make.repeat(one.expression()), repeated);
            }
            default -> {
                Set<String> upTo = new HashSet<>(Set.of(""));
                upTo.addAll(one.strings());
                upTo.addAll(joined(one.strings(), one.strings()));
                yield new Case(make.upTo(2, one.expression()), upTo);
            }
        };
    }

    private static Set<String> joined(Set<String> first, Set<String> second) {
        Set<String> joined = new HashSet<>();
        for (String one : first) {
            for (String two : second) {
                if (one.length() + two.length() <= LONGEST) {
                    joined.add(one + two);
                }
            }
        }
        return joined;
    }

    @Test
    void knowWhenNothingCanFollow() {
        // given everything without "ab" in it
        Expression without = make.not(make.sequence(make.anything(), make.text("ab"), make.anything()));

        assertThat(make.after(make.after(without, 'a'), 'b')).isSameAs(make.nothing());
        assertThat(make.after(make.after(without, 'a'), 'c')).isSameAs(without);
        assertThat(make.after(without, 'c')).as("text that changes nothing comes back to the same state").isSameAs(without);
    }

    @Test
    void makeWhatIsDeferredOnceAndWhenItIsReached() {
        List<String> made = new ArrayList<>();
        Expression deferred = make.deferred("one", () -> {
            made.add("one");
            return make.text("xy");
        });
        assertThat(make.deferred("one", () -> make.text("never"))).isSameAs(deferred);
        Expression sequence = make.sequence(make.text("a"), deferred);

        assertThat(made).isEmpty();
        assertThat(holds(sequence, "axy")).isTrue();
        assertThat(holds(sequence, "ax")).isFalse();
        assertThat(made).containsExactly("one");
    }

    @Test
    void holdTextsOfAnyLength() {
        String text = "long ".repeat(20_000);
        Expression expression = make.sequence(make.text(text), make.text("end"));
        assertThat(make.sequence(expression, make.text("!"))).isSameAs(make.text(text + "end!"));
        assertThat(holds(expression, text + "end")).isTrue();
    }

    @Test
    void refuseToBecomeTooMany() {
        Expressions few = new Expressions(50);
        assertThatThrownBy(() -> few.upTo(100, few.text("ab"))).isInstanceOfSatisfying(GrammarException.class,
                refusal -> assertThat(refusal.kind()).isEqualTo(GrammarException.Kind.TOO_COMPLEX));
    }

    @Test
    void charactersAreThoseOfUtf8() {
        Expression character = Utf8.character(make, ByteSet.range(0, 127));
        for (int point = 0; point <= Character.MAX_CODE_POINT; point += point < 0x1000 ? 1 : 61) {
            if (point < Character.MIN_SURROGATE || point > Character.MAX_SURROGATE) {
                assertThat(holds(character, Character.toString(point))).as("U+%x", point).isTrue();
            }
        }
        for (int[] wrong : new int[][] {{0x80}, {0xC0, 0x80}, {0xC1, 0xBF}, {0xE0, 0x9F, 0x80}, {0xED, 0xA0, 0x80},
                {0xF0, 0x8F, 0x80, 0x80}, {0xF4, 0x90, 0x80, 0x80}, {0xF5, 0x80, 0x80, 0x80}, {0xE2, 0x82}}) {
            Expression rest = character;
            for (int value : wrong) {
                rest = make.after(rest, value);
            }
            assertThat(rest.takesEmpty).as("%x …", wrong[0]).isFalse();
        }
    }
}
