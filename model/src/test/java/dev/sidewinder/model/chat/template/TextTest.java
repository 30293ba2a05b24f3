package dev.sidewinder.model.chat.template;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.model.tokenizer.TextRun;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TextTest {
    /// What a text should be: each character with its origin.
    private record Expected(String characters, String origins) {
        static Expected of(Text text) {
            StringBuilder characters = new StringBuilder();
            StringBuilder origins = new StringBuilder();
            for (TextRun run : text.runs()) {
                characters.append(run.text());
                origins.append((run.fromTemplate() ? "T" : "C").repeat(run.text().length()));
            }
            return new Expected(characters.toString(), origins.toString());
        }

        Expected plus(Expected other) {
            return new Expected(characters + other.characters, origins + other.origins);
        }

        Expected part(int from, int to) {
            return new Expected(characters.substring(from, to), origins.substring(from, to));
        }
    }

    private record Pair(Text text, Expected expected) {}

    @Test
    void randomOperationsKeepCharactersAndOrigins() {
        for (long seed = 0; seed < 100; seed++) {
            Random random = new Random(seed);
            List<Pair> pairs = new ArrayList<>();
            pairs.add(new Pair(Text.ofTemplate("<|x|>"), new Expected("<|x|>", "TTTTT")));
            pairs.add(new Pair(Text.ofConversation("user"), new Expected("user", "CCCC")));
            pairs.add(new Pair(Text.EMPTY, new Expected("", "")));
            for (int i = 0; i < 100; i++) {
                Pair made = next(random, pairs);
                assertThat(made.text().length()).isEqualTo(made.expected().characters().length());
                if (random.nextBoolean()) {
                    check(seed, made);
                }
                pairs.add(made);
            }
            for (Pair pair : pairs) {
                check(seed, pair);
            }
        }
    }

    private static Pair next(Random random, List<Pair> pairs) {
        Pair a = pairs.get(random.nextInt(pairs.size()));
        Pair b = pairs.get(random.nextInt(pairs.size()));
        if (random.nextInt(3) > 0 && a.text().length() + b.text().length() < 2_000) {
            return new Pair(a.text().plus(b.text()), a.expected().plus(b.expected()));
        }
        int from = random.nextInt(a.text().length() + 1);
        int to = from + random.nextInt(a.text().length() - from + 1);
        return new Pair(a.text().substring(from, to), a.expected().part(from, to));
    }

    private static void check(long seed, Pair pair) {
        Text text = pair.text();
        assertThat(Expected.of(text)).as("seed %d", seed).isEqualTo(pair.expected());
        for (int i = 0; i < text.length(); i++) {
            if (text.fromTemplate(i) != (pair.expected().origins().charAt(i) == 'T')) {
                throw new AssertionError("seed " + seed + ": origin of character " + i + " of " + pair.expected());
            }
        }
        List<TextRun> runs = text.runs();
        for (int i = 1; i < runs.size(); i++) {
            assertThat(runs.get(i).fromTemplate()).isNotEqualTo(runs.get(i - 1).fromTemplate());
        }
    }

    @Test
    void joinsDeepConcatenationsOfEitherSide() {
        Text left = Text.EMPTY;
        Text right = Text.EMPTY;
        for (int i = 0; i < 200_000; i++) {
            left = left.plus(i % 2 == 0 ? Text.ofTemplate("t") : Text.ofConversation("c"));
            right = (i % 2 == 0 ? Text.ofTemplate("t") : Text.ofConversation("c")).plus(right);
        }

        assertThat(left.string()).isEqualTo("tc".repeat(100_000));
        assertThat(right.string()).isEqualTo("ct".repeat(100_000));
        assertThat(left.runs()).hasSize(200_000);
    }

    @Test
    void changesCaseAcrossBordersAsIfThereWereNone() {
        // given letters whose form depends on what follows, and one that becomes two
        Text text = Text.ofTemplate("ΑΣ").plus(Text.ofConversation("ΑΣ")).plus(Text.ofTemplate("ß"));

        assertThat(text.changeCase(PythonText::lower).string()).isEqualTo("ΑΣΑΣß".toLowerCase(Locale.ROOT));
        assertThat(text.changeCase(PythonText::upper).runs()).containsExactly(new TextRun("ΑΣ", true),
                new TextRun("ΑΣ", false), new TextRun("SS", true));
    }
}
