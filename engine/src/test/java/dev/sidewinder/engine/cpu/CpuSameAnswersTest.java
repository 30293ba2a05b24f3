package dev.sidewinder.engine.cpu;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.Happening;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.SameAnswers;
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

/// The table of docs/same-answers.md on the CPU backend.
@Timeout(300)
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class CpuSameAnswersTest implements SameAnswers.Opener {

    /// As small as a model with states, keys and experts can be: what is large is tested by [CpuReuseTest] and [BitwiseTest].
    private static final String SMALLEST = "synthetic:tiny,layers=M*E,hidden=32,vocab=64,mamba-heads=2,mamba-head-dim=16,groups=1,"
            + "state=64,query-heads=2,kv-heads=1,head-dim=64,dense=32,experts=4,active=2,intermediate=32,shared=32";
    private static final int[] LENGTHS = {64, 122, 127, 128, 129, 250, 255, 256, 257};

    private Model model;
    private SameAnswers same;

    @BeforeAll
    void askForEachAlone(@TempDir Path folder) {
        model = Model.open(SMALLEST);
        same = new SameAnswers(this, _ -> LENGTHS, folder);
    }

    @AfterAll
    void close() {
        model.close();
    }

    @Override
    public Backend open(BackendMemory memory) {
        return new CpuBackend(model.config(), model.weights(), memory,
                new CpuOptions(Arithmetic.BF16, 2, SameAnswers.MOST_BATCH_TOKENS, CpuOptions.Products.VECTOR), LoadProgress.SILENT);
    }

    @Override
    public FrameShape frames(int states, int blocks) {
        return CpuCacheLayout.of(model.config(), Arithmetic.BF16).frames(states, blocks);
    }

    @ParameterizedTest
    @EnumSource
    void theAnswerIsTheSame(Happening happening) {
        same.check(happening);
    }
}
