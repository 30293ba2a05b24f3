package dev.sidewinder.engine.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/// The CPU backend against the PyTorch model that `models/tiny` was trained as.
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class TinyGoldenTest {

    private static final Path FOLDER = Path.of("..", "models", "tiny").toAbsolutePath().normalize();

    private GoldenCheck check;

    @BeforeAll
    void open() {
        check = GoldenCheck.open(FOLDER, FOLDER.resolve("golden/golden.safetensors"));
    }

    @AfterAll
    void close() {
        if (check != null) {
            check.close();
        }
    }

    @Test
    void theRecordingHasTwentyPromptsOfThirtyTwoTokens() {
        assertThat(check.prompts()).hasSize(20).allSatisfy(prompt -> {
            assertThat(prompt.logits()).hasSize(check.vocabSize());
            assertThat(prompt.continuation()).hasSize(32);
        });
        assertThat(check.prompts()).extracting(prompt -> prompt.tokens().length)
                .contains(1, 2, 3, 4, 127, 128, 129, 300, 1000, 2000);
    }

    List<GoldenRecording.Prompt> prompts() {
        return check.prompts();
    }

    @ParameterizedTest
    @MethodSource("prompts")
    void agreesWhenThePromptComesInLargePieces(GoldenRecording.Prompt prompt) {
        check.agrees(prompt, 512);
    }

    @ParameterizedTest
    @MethodSource("prompts")
    void agreesWhenThePromptComesInPiecesOfOneBlock(GoldenRecording.Prompt prompt) {
        check.agrees(prompt, 128);
    }

    @ParameterizedTest
    @MethodSource("prompts")
    void agreesWhenThePromptComesTokenByToken(GoldenRecording.Prompt prompt) {
        check.agrees(prompt, 1);
    }
}
