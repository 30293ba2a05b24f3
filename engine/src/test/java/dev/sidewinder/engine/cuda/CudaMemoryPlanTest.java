package dev.sidewinder.engine.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.device.CudaUnavailableException;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.engine.BackendUnavailableException;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.model.Model;
import java.util.Optional;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class CudaMemoryPlanTest {

    private static final long MIB = 1 << 20;
    private static final CacheLayout LAYOUT = new CacheLayout(4 * MIB, MIB / 2, new long[0], new long[0], new long[0]);

    @Test
    void givesTheCachesWhatWeightsWorkspaceAndDriverLeave() {
        CudaMemoryPlan plan = CudaMemoryPlan.of(1600 * MIB, 800 * MIB, 100 * MIB, LAYOUT, wish(0, 8, 1 << 20));

        // a sixteenth is the driver's; frames are of 4 MiB
        assertThat(plan.caches().frames()).isEqualTo(new FrameShape(150, 8));
        assertThat(plan.caches().maxSequences()).isEqualTo(8);
        assertThat(plan.bytes()).isEqualTo(1500 * MIB);
        assertThat(plan).hasToString("800 MiB weights, 100 MiB workspace, 600 MiB cache of 1600 MiB free");
    }

    @Test
    void takesNoMoreCacheThanWasAskedFor() {
        CudaMemoryPlan plan = CudaMemoryPlan.of(1600 * MIB, 800 * MIB, 100 * MIB, LAYOUT, wish(50 * MIB, 4, 1 << 20));
        assertThat(plan.caches().bytes()).isEqualTo(48 * MIB);
    }

    @Test
    void refusesWhatDoesNotFitAndSaysBothNumbers() {
        assertThatThrownBy(() -> CudaMemoryPlan.of(800 * MIB, 790 * MIB, 100 * MIB, LAYOUT, wish(0, 1, 128)))
                .isInstanceOf(CudaUnavailableException.class)
                .hasMessageContaining("800 MiB free").hasMessageContaining("790 MiB for weights");
        assertThatThrownBy(() -> CudaMemoryPlan.of(800 * MIB, 100 * MIB, 100 * MIB, LAYOUT, wish(551 * MIB, 1, 128)))
                .isInstanceOf(CudaUnavailableException.class)
                .hasMessageContaining("800 MiB free").hasMessageContaining("551 MiB were asked for");
        assertThatThrownBy(() -> CudaMemoryPlan.of(800 * MIB, 100 * MIB, 100 * MIB, LAYOUT, wish(0, 200, 128)))
                .isInstanceOf(CudaUnavailableException.class)
                .hasMessageContaining("800 MiB free").hasMessageContaining("200 sequences");
    }

    @Test
    void plansWithoutAllocatingAndWhatItPlansIsEnough() {
        try (Model model = Model.open(EmulatedBackend.SMALLEST);
                CudaDevice device = EmulatedBackend.device(EmulatorSettings.withSeed(1).withTotalBytes(64 * MIB))) {
            long before = device.device().freeBytes();
            var options = new CudaOptions(256, 4, 512, KvFormat.BF16, true, true);
            CudaMemoryPlan plan = device.plan(model.config(), model.weights(), options,
                    new CudaMemoryPlan.Wish(4 * MIB, 0, 4, 4, 512));
            assertThat(device.device().freeBytes()).isEqualTo(before).isEqualTo(plan.freeBytes());

            // when a backend is built by the plan, it takes that much: no more, and hardly less
            var backend = new CudaBackend(device, model.config(), model.weights(), plan.caches().memory(), options, LoadProgress.SILENT);
            long taken = before - device.device().freeBytes();
            assertThat(taken).isBetween(plan.bytes() - 4096, plan.bytes() + 96 * 1024);
            backend.close();
        }
    }

    @Test
    void saysWhyThereIsNoDevice() {
        assertThatThrownBy(() -> CudaDevice.open(Optional.empty(), Optional.of(Path.of("/nowhere/at/all")), 0))
                .isInstanceOf(BackendUnavailableException.class).hasMessageContaining("/nowhere/at/all");
    }

    private static CudaMemoryPlan.Wish wish(long cacheBytes, int sequences, int tokens) {
        return new CudaMemoryPlan.Wish(cacheBytes, 0, sequences, 256, tokens);
    }
}
