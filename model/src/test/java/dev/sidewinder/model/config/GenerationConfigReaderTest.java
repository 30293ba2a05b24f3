package dev.sidewinder.model.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.checkpoint.TestCheckpoints;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class GenerationConfigReaderTest {

    private final ModelConfig config = TestCheckpoints.config();

    @Test
    void prefersItsStopTokensToThoseOfTheModel() {
        GenerationConfig read = read("{\"bos_token_id\": 1, \"do_sample\": true, \"eos_token_id\": [2, 11], "
                + "\"temperature\": 0.6, \"top_p\": 0.95, \"top_k\": 50}");

        assertThat(read.stopTokenIds()).containsExactlyInAnyOrder(2, 11);
        assertThat(read.temperature()).isEqualTo(0.6);
        assertThat(read.topP()).isEqualTo(0.95);
        assertThat(read.topK()).isEqualTo(50);
    }

    @Test
    void fallsBackToTheModel() {
        for (Optional<byte[]> content : List.of(Optional.<byte[]>empty(), bytes("{}"))) {
            GenerationConfig read = GenerationConfigReader.read("generation_config.json", content, config);
            assertThat(read.stopTokenIds()).containsExactly(2);
            assertThat(read.temperature()).isEqualTo(1);
            assertThat(read.topP()).isEqualTo(1);
            assertThat(read.topK()).isZero();
        }
        assertThat(read("{\"eos_token_id\": 7, \"top_k\": -1}")).isEqualTo(
                new GenerationConfig(Set.of(7), 1, 1, 0));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
            "{\"eos_token_id\": 80} | \"eos_token_id\" is 80; expected an integer in [0, 79]",
            "{\"eos_token_id\": [2, -1]} | \"eos_token_id[1]\" is -1",
            "{\"eos_token_id\": [2, null]} | \"eos_token_id[1]\" is null",
            "{\"temperature\": -1} | \"temperature\" is -1",
            "{\"temperature\": NaN} | \"temperature\" is",
            "{\"temperature\": \"hot\"} | \"temperature\" is \"hot\"",
            "{\"top_p\": 0} | \"top_p\" is 0",
            "{\"top_p\": 1.1} | \"top_p\" is 1.1",
            "{\"top_k\": -2} | \"top_k\" is -2",
            "[] | expected a JSON object",
            "{\"a\": 1, \"a\": 2} | Duplicate field 'a'"})
    void refusesValuesThatCannotBe(String json, String expected) {
        assertThatThrownBy(() -> read(json)).isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("generation_config.json: ").hasMessageContaining(expected);
    }

    private GenerationConfig read(String json) {
        return GenerationConfigReader.read("generation_config.json", bytes(json), config);
    }

    private static Optional<byte[]> bytes(String json) {
        return Optional.of(json.getBytes(StandardCharsets.UTF_8));
    }
}
