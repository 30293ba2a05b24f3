package dev.sidewinder.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.model.chat.ChatPrompt;
import dev.sidewinder.model.chat.Message;
import dev.sidewinder.model.synthetic.SyntheticFolder;
import dev.sidewinder.model.synthetic.SyntheticModel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The small model with a tokenizer and a chat template: one can talk to it, and it answers with random words.
class DemoModelTest {

    @TempDir
    Path folder;

    @Test
    void hasATokenizerAndAChatTemplateInMemoryAndOnDisk() {
        SyntheticFolder.write(SyntheticModel.parse("synthetic:demo"), folder, 1 << 30, done -> {});

        for (String location : List.of("synthetic:demo", folder.toString())) {
            try (Model model = Model.open(location)) {
                assertThat(model.generationConfig().stopTokenIds()).containsExactlyInAnyOrder(2, 11);
                int[] prompt = model.tokenizer().orElseThrow().encode(model.chatTemplate().orElseThrow().render(
                        new ChatPrompt(List.of(Message.user("Hello")), List.of(), Map.of(), true, false)));
                assertThat(Arrays.stream(prompt).boxed()).isNotEmpty().allMatch(id -> id >= 0 && id < 512);
                assertThat(model.tokenizer().orElseThrow().decode(prompt, true)).contains("Hello");
            }
        }
    }

    @Test
    void servesTokenIdsOnlyWithAChangedShape() {
        try (Model model = Model.open("synthetic:demo,vocab=600")) {
            assertThat(model.tokenizer()).isEmpty();
            assertThat(model.chatTemplate()).isEmpty();
            assertThat(model.generationConfig().stopTokenIds()).containsExactly(2);
        }
    }
}
