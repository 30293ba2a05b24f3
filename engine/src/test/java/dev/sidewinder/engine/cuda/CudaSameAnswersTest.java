package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.engine.Asking;
import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.Happening;
import dev.sidewinder.engine.SameAnswers;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.model.Model;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// The table of docs/same-answers.md on the emulated device, in batch-invariant mode, with tokens chosen by the device and steps
/// launched ahead.
///
/// Each way of asking has one length; all of them with `-Dsidewinder.long=true`, which takes the emulator minutes.
@Timeout(900)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class CudaSameAnswersTest implements SameAnswers.Opener {

    private static final int[] ALL = {63, 64, 65, 122, 127, 128, 129, 192, 250, 255, 256, 257};

    private Model model;
    private SameAnswers same;

    @BeforeAll
    void askForEachAlone(@TempDir Path folder) {
        model = Model.open(EmulatedBackend.SMALLEST);
        same = new SameAnswers(this, Boolean.getBoolean("sidewinder.long") ? _ -> ALL : CudaSameAnswersTest::oneLength, folder);
    }

    private static int[] oneLength(Asking asking) {
        return switch (asking) {
            case GREEDY -> new int[] {129};
            case SEEDED -> new int[] {255};
            case PENALISED -> new int[] {127};
            case STOPPED -> new int[] {128};
            case FORMED -> new int[] {129};
        };
    }

    @AfterAll
    void close() {
        model.close();
    }

    @Override
    public Backend open(BackendMemory memory) {
        CudaOptions options = EmulatedBackend.options(SameAnswers.MOST_BATCH_TOKENS,
                new CacheShape(memory.frames().blocks(), SameAnswers.MOST_SEQUENCES));
        return EmulatedBackend.open(model, memory, options, EmulatorSettings.withSeed(7).lazily());
    }

    @Override
    public FrameShape frames(int states, int blocks) {
        return CacheLayout.of(model.config(), KvFormat.BF16).frames(states, blocks);
    }

    @ParameterizedTest
    @EnumSource
    void theAnswerIsTheSame(Happening happening) {
        same.check(happening);
    }
}
