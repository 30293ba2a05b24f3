package dev.sidewinder.model.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.model.Model;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// That the answers come out as written is shown with the engine (`ScriptedAnswerTest`).
class ScriptedCheckpointTest {
    @TempDir
    Path folder;

    @Test
    void writesACheckpointLikeAnyOther() {
        Path written = new ScriptedCheckpoint().thinking("So.\n").answer("Hello é 😀!").when("weather", "Sun.")
                .write(folder.resolve("model"));

        try (Model model = Model.open(written.toString())) {
            assertThat(model.config().pattern()).isEqualTo("ME*-");
            assertThat(model.chatTemplate()).isPresent();
            assertThat(model.generationConfig().stopTokenIds()).containsExactlyInAnyOrder(2, 11);
            Tokenizer tokenizer = model.tokenizer().orElseThrow();
            assertThat(model.config().vocabSize()).isEqualTo(tokenizer.vocabSize());
            // the selecting word is one token, with a space in front or without
            assertThat(tokenizer.encode("weather", false)).hasSize(1);
            assertThat(tokenizer.encode(" weather", false)).hasSize(1);
            // a piece of an answer is none that text encodes to
            int piece = tokenizer.idOf("HelloĠ").orElseThrow();
            assertThat(tokenizer.encode("Hello é", false)).doesNotContain(piece);
            assertThat(tokenizer.decode(new int[] {piece}, false)).isEqualTo("Hello ");
        }
    }

    @Test
    void refusesScriptsThatCannotBeToldApart() {
        assertThatThrownBy(() -> new ScriptedCheckpoint().answer("One.").when("again", "One."))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("One.");
        assertThatThrownBy(() -> new ScriptedCheckpoint().answer("<tool_call><tool_call>a b"))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("<tool_call>");
        assertThatThrownBy(() -> new ScriptedCheckpoint().when("weather", "a").when("weather", "b"))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new ScriptedCheckpoint().when("two words", "a"))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("two words");
    }
}
