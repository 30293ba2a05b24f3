package dev.sidewinder.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.checkpoint.CheckpointException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class TokenizerFileTest {
    @TempDir
    Path folder;

    static Stream<Arguments> brokenFiles() {
        return Stream.of(
                broken("no model", root -> root.remove("model"), "model"),
                broken("another model", root -> model(root).put("type", "Unigram"), "Unigram"),
                broken("no vocabulary", root -> model(root).putObject("vocab"), "model.vocab"),
                broken("id of the wrong type", root -> vocab(root).put("he", "289"), "\"he\""),
                broken("negative id", root -> vocab(root).put("he", -1), "-1"),
                broken("fractional id", root -> vocab(root).put("he", 289.5), "289.5"),
                broken("huge id", root -> vocab(root).put("he", 4_000_000_000L), "4000000000"),
                broken("id past the vocabulary", root -> vocab(root).put("he", 600), "without a gap"),
                broken("gap", root -> vocab(root).put("he", 512), "without a gap"),
                broken("two tokens with one id", root -> vocab(root).put("he", 288), "belongs to"),
                broken("missing byte", root -> {
                    vocab(root).put("xyz", vocab(root).get("a").intValue());
                    vocab(root).remove("a");
                }, "byte 0x61"),
                broken("empty spelling", root -> {
                    vocab(root).put("", vocab(root).get("Ġwould").intValue());
                    vocab(root).remove("Ġwould");
                }, "empty spelling"),
                broken("added token that shadows a byte", root -> added(root, 5).put("content", "a").put("id", 97 - 33 + 65),
                        "\"a\""),
                broken("added token with another id", root -> added(root, 5).put("id", 6), "model.vocab gives it 5"),
                broken("added token twice", root -> root.withArray("added_tokens").add(added(root, 5).deepCopy()),
                        "repeats the content"),
                broken("empty added token", root -> added(root, 5).put("content", ""), "added_tokens[5].content"),
                broken("added token without id", root -> added(root, 5).remove("id"), "added_tokens[5].id"),
                broken("flag of the wrong type", root -> added(root, 5).put("special", "yes"), "added_tokens[5].special"),
                broken("added tokens as object", root -> root.putObject("added_tokens"), "no list"),
                broken("merge of unknown pieces", root -> merges(root).addArray().add("qq").add("zz"), "\"qq\""),
                broken("merge with unknown result", root -> merges(root).addArray().add("q").add("z"), "\"qz\""),
                broken("merge repeated", root -> merges(root).add(merges(root).get(0).deepCopy()), "repeats the merge"),
                broken("merge with an empty piece", root -> merges(root).addArray().add("he").add(""), "two pieces"),
                broken("merge of one piece", root -> merges(root).add("he"), "two pieces"),
                broken("merge of three pieces", root -> merges(root).add("h e r"), "two pieces"),
                broken("merge of numbers", root -> merges(root).addArray().add(1).add(2), "two pieces"),
                broken("merges as object", root -> model(root).putObject("merges"), "must be a list"),
                broken("dropout", root -> model(root).put("dropout", 0.1), "dropout"),
                broken("byte fallback", root -> model(root).put("byte_fallback", true), "byte_fallback"),
                broken("prefix", root -> model(root).put("continuing_subword_prefix", "##"), "##"),
                broken("decoder that is not byte-level", root -> root.putObject("decoder").put("type", "WordPiece"),
                        "decoder"),
                broken("no decoder", root -> root.putNull("decoder"), "decoder"),
                broken("pre-tokenizer that is not byte-level",
                        root -> root.putObject("pre_tokenizer").put("type", "Metaspace"), "pre_tokenizer"),
                broken("pre-tokenizer that drops text", root -> ((ArrayNode) root.at("/pre_tokenizer/pretokenizers"))
                        .insertObject(0).put("type", "Whitespace"), "Whitespace"),
                broken("normalizer that rewrites", root -> root.putObject("normalizer").put("type", "Lowercase"),
                        "Lowercase"),
                broken("expression outside the dialect", root -> ((ObjectNode) root.at("/pre_tokenizer/pretokenizers/0"))
                        .putObject("pattern").put("Regex", "(unclosed["), "library refuses"),
                broken("model field the library cannot read", root -> model(root).put("fuse_unk", "maybe"),
                        "library refuses"));
    }

    private static Arguments broken(String what, Consumer<ObjectNode> change, String message) {
        return Arguments.of(what, change, message);
    }

    private static ObjectNode model(ObjectNode root) {
        return (ObjectNode) root.get("model");
    }

    private static ObjectNode vocab(ObjectNode root) {
        return TokenizerFiles.vocabulary(root);
    }

    private static ArrayNode merges(ObjectNode root) {
        return (ArrayNode) root.at("/model/merges");
    }

    private static ObjectNode added(ObjectNode root, int index) {
        return (ObjectNode) root.at("/added_tokens/" + index);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("brokenFiles")
    void refusesABrokenFileAndSaysWhatIsWrong(String what, Consumer<ObjectNode> change, String message) {
        Path file = TokenizerFiles.changed(folder, change);

        assertThatThrownBy(() -> Tokenizer.open(file)).isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("tokenizer.json: ").hasMessageContaining(message);
    }

    @Test
    void refusesWhatIsNotStrictJson() {
        String good = TokenizerFiles.demo().toString();
        String[] bad = {"", "   ", "[]", "\"text\"", "null", good.substring(0, good.length() / 2), good + "{}",
            good.replaceFirst("\"he\":289", "\"he\":289,\"he\":289"), "{\"model\":{},\"model\":{}}",
            "{" + "\"a\":{".repeat(100_000)};

        for (String text : bad) {
            Path file = TokenizerFiles.text(folder, text);
            assertThatThrownBy(() -> Tokenizer.open(file)).as(text.substring(0, Math.min(40, text.length())))
                    .isInstanceOf(CheckpointException.class).hasMessageStartingWith("tokenizer.json: is not");
        }
    }

    @Test
    void refusesWhatIsNotAFile() throws IOException {
        assertThatThrownBy(() -> Tokenizer.open(folder.resolve("absent.json")))
                .isInstanceOf(CheckpointException.class).hasMessageContaining("absent.json");
        Files.createDirectory(folder.resolve("tokenizer.json"));
        assertThatThrownBy(() -> Tokenizer.open(folder.resolve("tokenizer.json")))
                .isInstanceOf(CheckpointException.class).hasMessageContaining("not a regular file");
    }

    @Test
    void refusesBytesThatAreNoUtf8() throws IOException {
        Path file = Files.write(folder.resolve("tokenizer.json"), new byte[] {'{', '"', (byte) 0xFF, '"', '}'});
        assertThatThrownBy(() -> Tokenizer.open(file)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("is not UTF-8");
    }

    @Test
    void refusesAddedIdsThatTheLibraryDoesNotAgreeWith() {
        // given two new tokens whose ids are in another order than the library gives them out
        Path file = TokenizerFiles.changed(folder, root -> {
            TokenizerFiles.add(root, "<one>").put("id", 513);
            TokenizerFiles.add(root, "<two>").put("id", 512);
        });

        // then this is either understood or refused, never silently exchanged
        try (Tokenizer tokenizer = Tokenizer.open(file)) {
            assertThat(tokenizer.encode("<one>", false)).containsExactly(513);
            assertThat(tokenizer.encode("<two>", false)).containsExactly(512);
        } catch (CheckpointException e) {
            assertThat(e).hasMessageContaining("<one>");
        }
    }

    @Test
    void readsMergesInBothSpellings() {
        Path file = TokenizerFiles.changed(folder, root -> {
            ArrayNode merges = merges(root);
            for (int i = 0; i < merges.size(); i++) {
                merges.set(i, merges.get(i).get(0).asText() + " " + merges.get(i).get(1).asText());
            }
        });

        try (Tokenizer spelled = Tokenizer.open(file); Tokenizer paired = TokenizerFiles.openDemo(folder)) {
            String text = "The weather in Paris is what I would like to know.";
            assertThat(spelled.encode(text, false)).isEqualTo(paired.encode(text, false));
        }
    }
}
