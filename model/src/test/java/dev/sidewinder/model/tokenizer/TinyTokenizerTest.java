package dev.sidewinder.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.List;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// The tokenizer of `models/tiny` against ids that the encoder of its trainer recorded
/// (`models/tiny/train/record_tokens.py`): training and serving see the same tokens.
class TinyTokenizerTest {
    private static final Path FILE = Path.of("../models/tiny/tokenizer.json");
    private static final int VOCABULARY = 2560;

    private static Tokenizer tokenizer;
    private static JsonNode recorded;

    @BeforeAll
    static void open() throws IOException {
        tokenizer = Tokenizer.open(FILE);
        try (InputStream file = TinyTokenizerTest.class.getResourceAsStream("/tiny/tokens.json")) {
            recorded = new ObjectMapper().readTree(file);
        }
    }

    @AfterAll
    static void close() {
        tokenizer.close();
    }

    @Test
    void hasTheControlTokensOfTheFamilyAtTheirIds() {
        List<String> names = List.of("<unk>", "<s>", "</s>", "<SPECIAL_3>", "<SPECIAL_4>", "<SPECIAL_5>", "<SPECIAL_6>",
                "<SPECIAL_7>", "<SPECIAL_8>", "<SPECIAL_9>", "<|im_start|>", "<|im_end|>", "<think>", "</think>",
                "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>");

        assertThat(tokenizer.vocabSize()).isEqualTo(VOCABULARY);
        for (int id = 0; id < names.size(); id++) {
            assertThat(tokenizer.idOf(names.get(id))).hasValue(id);
            assertThat(tokenizer.isSpecial(id)).isTrue();
        }
        assertThat(tokenizer.isSpecial(names.size())).isFalse();
    }

    @Test
    void encodesTextsAsTheTrainerDid() {
        var softly = new SoftAssertions();
        for (JsonNode one : recorded.get("plain")) {
            String text = one.get("text").textValue();
            int[] ids = tokenizer.encode(List.of(new TextRun(text, false)));
            softly.assertThat(ids).as("ids of %s", one.get("text")).isEqualTo(ids(one));
        }
        softly.assertAll();
        assertThat(recorded.get("plain").size()).isGreaterThan(200);
    }

    @Test
    void encodesRenderedTemplatesAsTheTrainerDid() {
        var softly = new SoftAssertions();
        for (JsonNode one : recorded.get("control")) {
            String text = one.get("text").textValue();
            softly.assertThat(tokenizer.encode(List.of(new TextRun(text, true)))).as("template %s", one.get("text"))
                    .isEqualTo(ids(one));
            softly.assertThat(tokenizer.encode(text, true)).as("raw %s", one.get("text")).isEqualTo(ids(one));
        }
        softly.assertAll();
        assertThat(recorded.get("control").size()).isGreaterThan(20);
    }

    @Test
    void decodesWhatItEncoded() {
        for (JsonNode one : recorded.get("plain")) {
            assertThat(tokenizer.decode(ids(one), false)).isEqualTo(one.get("text").textValue());
        }
    }

    private static int[] ids(JsonNode one) {
        int[] ids = new int[one.get("ids").size()];
        for (int at = 0; at < ids.length; at++) {
            ids[at] = one.get("ids").get(at).intValue();
        }
        return ids;
    }
}
