package dev.sidewinder.model.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.model.checkpoint.CheckpointException;
import java.nio.charset.StandardCharsets;
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

    private static Optional<String> read(String json) {
        return TokenizerConfigReader.chatTemplate("tokenizer_config.json", json.getBytes(StandardCharsets.UTF_8));
    }
}
