package dev.sidewinder.model.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.model.checkpoint.CheckpointException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TokenizerConfigReaderTest {

    @Test
    void findsTheTemplateInBothForms() {
        assertThat(read("{\"chat_template\": \"{{ x }}\"}")).hasValue("{{ x }}");
        assertThat(read("{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"a\"}, "
                + "{\"name\": \"default\", \"template\": \"b\"}]}")).hasValue("b");
        assertThat(read("{}")).isEmpty();
        assertThat(read("{\"chat_template\": null}")).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"{\"chat_template\": 1}", "{\"chat_template\": [{\"name\": \"a\", \"template\": \"b\"}]}",
            "{\"chat_template\": [\"a\"]}", "{\"chat_template\": [{\"name\": \"default\"}]}", "[]"})
    void refusesOtherForms(String json) {
        assertThatThrownBy(() -> read(json)).isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("tokenizer_config.json: ");
    }

    @Test
    void readsSpecialTokensInBothForms() {
        assertThat(specialTokens("{\"bos_token\": \"<s>\", \"eos_token\": {\"content\": \"<|im_end|>\", \"lstrip\": false}, "
                + "\"pad_token\": null, \"additional_special_tokens\": []}"))
                .isEqualTo(Map.of("bos_token", "<s>", "eos_token", "<|im_end|>"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"{\"bos_token\": 1}", "{\"eos_token\": {}}", "{\"eos_token\": {\"content\": 7}}"})
    void refusesSpecialTokensOfOtherForms(String json) {
        assertThatThrownBy(() -> specialTokens(json)).isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("tokenizer_config.json: ");
    }

    private static Map<String, String> specialTokens(String json) {
        return TokenizerConfigReader.specialTokens("tokenizer_config.json", json.getBytes(StandardCharsets.UTF_8));
    }

    private static Optional<String> read(String json) {
        return TokenizerConfigReader.chatTemplate("tokenizer_config.json", json.getBytes(StandardCharsets.UTF_8));
    }
}
