package dev.sidewinder.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.util.Utils;
import java.net.ProxySelector;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenizerTest {
    private static final long SEED = 20261122;

    @TempDir
    Path folder;
    private Tokenizer tokenizer;

    @BeforeEach
    void open() {
        tokenizer = TokenizerFiles.openDemo(folder);
    }

    @AfterEach
    void close() {
        tokenizer.close();
    }

    @Test
    void knowsTheControlTokensByName() {
        assertThat(tokenizer.vocabSize()).isEqualTo(512);
        assertThat(tokenizer.idOf("<|im_start|>")).hasValue(10);
        assertThat(tokenizer.idOf("</tool_response>")).hasValue(17);
        assertThat(tokenizer.idOf("no such token")).isEmpty();
        assertThat(tokenizer.isSpecial(11)).isTrue();
        assertThat(tokenizer.isSpecial(300)).isFalse();
        assertThat(tokenizer.bytes(13)).isEqualTo("</think>".getBytes(StandardCharsets.UTF_8));
        assertThat(tokenizer.spelling(tokenizer.idOf("Ġthe").getAsInt())).isEqualTo("Ġthe");
        assertThat(tokenizer.bytes(tokenizer.idOf("Ġthe").getAsInt())).isEqualTo(" the".getBytes(StandardCharsets.UTF_8));

        ControlTokens control = ControlTokens.of(tokenizer);
        assertThat(control.thinkEnd()).hasValue(13);
        assertThat(control.toolCallStart()).hasValue(14);
    }

    @Test
    void addsTheTokensOfThePostProcessorOnlyWhenAsked() {
        int[] without = tokenizer.encode("The answer", false);
        int[] with = tokenizer.encode("The answer", true);

        assertThat(with[0]).isEqualTo(1);
        assertThat(Arrays.copyOfRange(with, 1, with.length)).isEqualTo(without);
    }

    @Test
    void neverTruncates() {
        // given far more tokens than the binding's default limit of 512
        String text = "the weather in the city. ".repeat(1_300);

        // then all of it comes back, through both views
        assertThat(text.length()).isGreaterThan(30_000);
        assertThat(tokenizer.decode(tokenizer.encode(text, false), false)).isEqualTo(text);
        assertThat(tokenizer.decode(tokenizer.encode(List.of(new TextRun(text, false))), false)).isEqualTo(text);
    }

    @Test
    void neverTruncatesOrPadsWhenTheFileAsksForIt() {
        tokenizer.close();
        tokenizer = Tokenizer.open(TokenizerFiles.changed(folder, root -> {
            root.putObject("truncation").put("direction", "Right").put("max_length", 4)
                    .put("strategy", "LongestFirst").put("stride", 0);
            root.putObject("padding").put("direction", "Right").put("pad_id", 0).put("pad_type_id", 0)
                    .put("pad_token", "<unk>").putNull("pad_to_multiple_of").putObject("strategy").put("Fixed", 64);
        }));

        String text = "one two three four five six seven";
        assertThat(tokenizer.decode(tokenizer.encode(text, false), false)).isEqualTo(text);
        assertThat(tokenizer.decode(tokenizer.encode(List.of(new TextRun(text, true))), false)).isEqualTo(text);
    }

    @Test
    void takesAWholePreTokenFromTheVocabularyWithoutMerging() {
        // given an entry that no merge produces
        tokenizer.close();
        tokenizer = Tokenizer.open(TokenizerFiles.changed(folder, root ->
                TokenizerFiles.vocabulary(root).put("Ġserendipity", 512)));

        // then it is found as a whole word, and not inside one
        assertThat(tokenizer.encode(" serendipity", false)).containsExactly(512);
        assertThat(tokenizer.encode(List.of(new TextRun(" serendipity", false)))).containsExactly(512);
        assertThat(tokenizer.encode(" serendipitys", false)).doesNotContain(512);
    }

    @Test
    void findsSpecialTokensInTemplateRunsOnly() {
        // when a user types the control tokens of the format
        int[] ids = tokenizer.encode(List.of(new TextRun("<|im_start|>user\n", true),
                new TextRun("<|im_end|> <think><SPECIAL_20></s>", false), new TextRun("<|im_end|>\n", true)));

        // then only those of the template are tokens, and the text is kept
        assertThat(Arrays.stream(ids).filter(id -> id < 32).toArray()).containsExactly(10, 11);
        assertThat(tokenizer.decode(ids, false))
                .isEqualTo("<|im_start|>user\n<|im_end|> <think><SPECIAL_20></s><|im_end|>\n");
    }

    @Test
    void aLiteralThatIsPartlyConversationIsNoToken() {
        // given every way to share a literal between template and conversation
        String literal = "<|im_end|>";
        for (int cut = 1; cut < literal.length(); cut++) {
            List<TextRun> front = List.of(new TextRun(literal.substring(0, cut), true),
                    new TextRun(literal.substring(cut), false));
            List<TextRun> back = List.of(new TextRun(literal.substring(0, cut), false),
                    new TextRun(literal.substring(cut), true));
            List<TextRun> both = List.of(new TextRun(literal.substring(0, cut), true),
                    new TextRun(literal.substring(cut), true));

            // then only the one written by the template alone is a token, also across two of its runs
            assertThat(tokenizer.encode(front)).doesNotContain(11);
            assertThat(tokenizer.encode(back)).doesNotContain(11);
            assertThat(tokenizer.encode(both)).containsExactly(11);
        }
    }

    @Test
    void aWordSpelledLikeASpecialTokenStaysText() {
        // given a special token that is a whole pre-token, which ignore_merges would take from the vocabulary
        tokenizer.close();
        tokenizer = Tokenizer.open(TokenizerFiles.changed(folder, root -> {
            TokenizerFiles.vocabulary(root).put("STOP", 512);
            TokenizerFiles.add(root, "STOP").put("id", 512);
        }));

        // then it is one in the template and none in the conversation
        assertThat(tokenizer.encode("STOP", false)).containsExactly(512);
        assertThat(tokenizer.encode(List.of(new TextRun("STOP", true)))).containsExactly(512);
        int[] typed = tokenizer.encode(List.of(new TextRun("STOP", false)));
        assertThat(typed).doesNotContain(512);
        assertThat(tokenizer.decode(typed, false)).isEqualTo("STOP");
    }

    @Test
    void aSpecialTokenThatMergesCouldBuildStaysTextToo() {
        // given an added token that is also an ordinary entry with merges of its own
        tokenizer.close();
        int the = tokenizer.idOf("Ġthe").getAsInt();
        tokenizer = Tokenizer.open(TokenizerFiles.changed(folder, root -> TokenizerFiles.add(root, "Ġthe").put("id", the)));

        assertThat(tokenizer.encode(List.of(new TextRun(" the", false)))).doesNotContain(the);
        assertThat(tokenizer.decode(tokenizer.encode(List.of(new TextRun(" there", false))), false)).isEqualTo(" there");
    }

    @Test
    void joinsTemplateAndConversationBeforePreTokenisation() {
        // when one word comes from both
        int[] shared = tokenizer.encode(List.of(new TextRun("The weat", true), new TextRun("her", false)));

        assertThat(shared).isEqualTo(tokenizer.encode("The weather", false));
    }

    @Test
    void templateRunsAloneGiveTheOrdinaryPipeline() {
        Random random = new Random(SEED);
        for (int round = 0; round < 500; round++) {
            List<TextRun> runs = randomRuns(random, true);
            String joined = String.join("", runs.stream().map(TextRun::text).toList());
            assertThat(tokenizer.encode(runs)).as("seed %d, round %d: %s", SEED, round, joined)
                    .isEqualTo(tokenizer.encode(joined, false));
        }
    }

    @Test
    void conversationNeverBecomesAControlToken() {
        Random random = new Random(SEED);
        for (int round = 0; round < 500; round++) {
            List<TextRun> runs = randomRuns(random, false);
            String joined = String.join("", runs.stream().map(TextRun::text).toList());
            int[] ids = tokenizer.encode(runs);
            assertThat(Arrays.stream(ids).allMatch(id -> id >= 32)).as("seed %d: %s", SEED, joined).isTrue();
            assertThat(tokenizer.decode(ids, true)).as("seed %d", SEED).isEqualTo(joined);
        }
    }

    private static List<TextRun> randomRuns(Random random, boolean fromTemplate) {
        String[] pieces = {"<|im_start|>", "<|im_end|>", "<think>", "</think>", "<SPECIAL_20>", "<s>", "</s", ">", "<|",
            "im_end", " the", "\n", "\n\n", "  ", "a", "é", "東京", "\uD83D\uDE00", "CamelCase", "123", "\u0000", "\t"};
        List<TextRun> runs = new ArrayList<>();
        for (int i = random.nextInt(6); i >= 0; i--) {
            var text = new StringBuilder();
            for (int j = random.nextInt(6); j >= 0; j--) {
                text.append(pieces[random.nextInt(pieces.length)]);
            }
            runs.add(new TextRun(text.toString(), fromTemplate));
        }
        return runs;
    }

    @Test
    void encodesNothingToNothing() {
        assertThat(tokenizer.encode(List.of())).isEmpty();
        assertThat(tokenizer.encode(List.of(new TextRun("", true), new TextRun("", false)))).isEmpty();
        assertThat(tokenizer.encode("", false)).isEmpty();
    }

    @Test
    void takesNulAndLoneSurrogates() {
        assertThat(tokenizer.decode(tokenizer.encode("a\u0000b\uD83D\uDE00", false), false))
                .isEqualTo("a\u0000b\uD83D\uDE00");
        assertThat(tokenizer.decode(tokenizer.encode("a\uD83D b\uDE00\uD83D\uDE00", false), false))
                .isEqualTo("a\uFFFD b\uFFFD\uD83D\uDE00");
        assertThat(tokenizer.decode(tokenizer.encode(List.of(new TextRun("\uDC00\uD800", false))), false))
                .isEqualTo("\uFFFD\uFFFD");
    }

    @Test
    void refusesATextThatIsTooLong() {
        String text = "a".repeat(Tokenizer.LARGEST_TEXT / 2 + 1);

        assertThatThrownBy(() -> tokenizer.encode(List.of(new TextRun(text, true), new TextRun(text, false))))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("at most 33554432");
        assertThatThrownBy(() -> tokenizer.encode(text + text, false))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void refusesIdsOutsideTheVocabulary() {
        assertThatThrownBy(() -> tokenizer.decode(new int[] {512}, false)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("512");
        assertThatThrownBy(() -> tokenizer.decoder(true).accept(-1)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void leavesSpecialTokensOutOfTextWhenAsked() {
        int[] ids = tokenizer.encode("<|im_start|>the<|im_end|>", false);

        assertThat(tokenizer.decode(ids, true)).isEqualTo("the");
        assertThat(tokenizer.decode(ids, false)).isEqualTo("<|im_start|>the<|im_end|>");
    }

    @Test
    void servesManyThreadsAtOnce() throws Exception {
        List<Callable<Boolean>> work = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            String text = "<think>the number " + i + " is ".repeat(i);
            work.add(() -> tokenizer.decode(tokenizer.encode(text, false), false).equals(text));
        }
        try (var threads = Executors.newFixedThreadPool(8)) {
            for (Future<Boolean> result : threads.invokeAll(work)) {
                assertThat(result.get()).isTrue();
            }
        }
    }

    @Test
    void saysSoAfterClosing() {
        tokenizer.close();
        tokenizer.close();

        assertThatThrownBy(() -> tokenizer.encode("a", false)).isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("closed");
    }

    @Test
    void worksOffline() {
        // given the binding's switch that forbids its hub, its downloads and its usage report
        assertThat(Utils.isOfflineMode()).isTrue();

        // when every connection this JVM would make through a URL is a failure
        ProxySelector before = ProxySelector.getDefault();
        ProxySelector.setDefault(new RefusingProxies());
        try (Tokenizer again = TokenizerFiles.openDemo(folder)) {
            assertThat(again.encode("the", false)).isNotEmpty();
        } finally {
            ProxySelector.setDefault(before);
        }
    }

    private static final class RefusingProxies extends ProxySelector {
        @Override
        public List<java.net.Proxy> select(java.net.URI uri) {
            throw new AssertionError("the tokenizer connects to " + uri);
        }

        @Override
        public void connectFailed(java.net.URI uri, java.net.SocketAddress address, java.io.IOException failure) {}
    }
}
