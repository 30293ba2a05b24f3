package dev.sidewinder.bench.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.engine.cuda.EmulatedDevices;
import dev.sidewinder.engine.cuda.KvFormat;
import dev.sidewinder.model.Model;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class LongRecallTest {

    private static final String TINY = Path.of("..", "models", "tiny").toAbsolutePath().normalize().toString();

    private final List<GpuRow> rows = new ArrayList<>();

    @Test
    void remembersThePassPhraseOnTheEmulator() {
        LongRecall.Result result = recall().run(new LongRecall.Settings(TINY, KvFormat.BF16, List.of(300), 2, 256,
                Duration.ofMinutes(5)));

        assertThat(result.answers()).containsExactly(new LongRecall.Answers(300, 2, 2, ""));
        assertThat(result.notReached()).isEmpty();
        assertThat(rows).singleElement().satisfies(row -> {
            assertThat(row.name()).isEqualTo("recall bf16");
            assertThat(row.shape()).isEqualTo("300 tokens");
            assertThat(row.note()).isEqualTo("2 of 2 right");
        });
        assertThat(Emulator.liveAllocations()).isZero();
    }

    @Test
    void saysWhichLengthsItDidNotReach() {
        LongRecall.Result result = recall().run(new LongRecall.Settings(TINY, KvFormat.BF16, List.of(300, 4000), 1, 256,
                Duration.ZERO));

        assertThat(result.answers()).isEmpty();
        assertThat(result.notReached()).containsExactly(300, 4000);
        assertThat(rows).isEmpty();
    }

    @Test
    void putsThePhraseEarlyIntoPromptsOfAnyLength() {
        try (Model model = Model.openUnmade(TINY)) {
            var prompts = new PassPhrasePrompts(model);
            for (int length : new int[] {60, 127, 128, 129, 1024, 20_000}) {
                PassPhrasePrompts.Prompt prompt = prompts.make(length, length);
                assertThat(prompt.tokens().length).isBetween(length - 30, length);
                String text = model.tokenizer().orElseThrow().decode(prompt.tokens(), false);
                assertThat(text).containsOnlyOnce("The pass phrase is " + prompt.phrase() + ".");
                assertThat(text.indexOf(prompt.phrase())).isLessThan(300);
                assertThat(text).endsWith("What is the pass phrase?<|im_end|>\n<|im_start|>assistant\n<think></think>");
            }
            assertThat(prompts.make(200, 1).phrase()).isEqualTo(prompts.make(300, 1).phrase())
                    .isNotEqualTo(prompts.make(200, 2).phrase());
            assertThatThrownBy(() -> prompts.make(20, 1)).hasMessageContaining("no room for a pass phrase");
        }
    }

    private LongRecall recall() {
        return new LongRecall(() -> EmulatedDevices.open(6), rows::add, new PrintStream(PrintStream.nullOutputStream()));
    }
}
