package dev.sidewinder.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The library's own pipeline is the oracle: with every run trusted, both must find the same tokens.
class AddedTokenMatcherTest {
    private static final long SEED = 99;

    @TempDir
    Path folder;

    @Test
    void findsWhatTheLibraryFinds() {
        Random random = new Random(SEED);
        String[] contents = {"<x>", "<x><y>", "x", "<y>", "word", "a b", "<", "<<", "ab", "b<x", "é", "<x>>"};
        String[] texts = {"<x>", "<y>", "word", "words", "_word", " ", "\n", "<", ">", "a", "b", "é", "x", "\u3000", "1",
            "東", "\uD83D\uDE00", "."};
        for (int round = 0; round < 150; round++) {
            // given added tokens with random flags
            long seed = random.nextLong();
            Path file = TokenizerFiles.changed(folder, root -> {
                Random flags = new Random(seed);
                for (String content : contents) {
                    if (flags.nextBoolean() && content.length() > 1) {
                        TokenizerFiles.add(root, content).put("single_word", flags.nextInt(4) == 0)
                                .put("lstrip", flags.nextInt(4) == 0).put("rstrip", flags.nextInt(4) == 0)
                                .put("normalized", flags.nextInt(3) == 0).put("special", flags.nextBoolean());
                    }
                }
            });
            try (Tokenizer tokenizer = Tokenizer.open(file)) {
                for (int i = 0; i < 40; i++) {
                    var text = new StringBuilder();
                    for (int j = random.nextInt(10); j >= 0; j--) {
                        text.append(texts[random.nextInt(texts.length)]);
                    }
                    assertThat(tokenizer.encode(List.of(new TextRun(text.toString(), true))))
                            .as("seed %d, round %d: \"%s\"", SEED, round, text)
                            .isEqualTo(tokenizer.encode(text.toString(), false));
                }
            }
        }
    }
}
