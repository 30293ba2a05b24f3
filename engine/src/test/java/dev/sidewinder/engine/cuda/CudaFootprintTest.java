package dev.sidewinder.engine.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.engine.MemoryPlan;
import dev.sidewinder.model.Model;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The published 30B shape on cards of 80 and 141 GB, of which 78 and 139 GiB are usable, and estimates against plans.
class CudaFootprintTest {

    private static final long GIB = 1L << 30;
    private static final int MILLION = 1 << 20;

    /// At least what was worked out with a reserve of 4 GiB for workspace and driver; we need less than that.
    @ParameterizedTest
    @CsvSource({"bf16, 78, 2, 4, 163, 219", "bf16, 139, 12, 25, 822, 1101", "fp8, 78, 7, 14, 470, 630",
        "fp8, 139, 17, 34, 1129, 1512", "nvfp4, 78, 9, 18, 604, 809", "nvfp4, 139, 19, 38, 1263, 1691"})
    void holdsTheSessionsThatWereWorkedOut(String format, long gibibytes, int millionBf16, int millionFp8, int shortBf16,
            int shortFp8) {
        try (Model model = Model.openUnmade("synthetic:nano-30b-" + format)) {
            CudaFootprint bf16 = CudaFootprint.estimate(model.config(), model.weights(), options(256, KvFormat.BF16),
                    gibibytes * GIB);
            CudaFootprint fp8 = CudaFootprint.estimate(model.config(), model.weights(), options(256, KvFormat.E4M3),
                    gibibytes * GIB);

            assertThat(fp8.stateBytes()).isBetween(46L << 20, 48L << 20);
            assertThat(bf16.blockBytes()).isEqualTo(128 * 6144L).isEqualTo(2 * fp8.blockBytes());
            assertThat(bf16.sequencesThatFit(MILLION)).isBetween(millionBf16, millionBf16 + 1);
            assertThat(fp8.sequencesThatFit(MILLION)).isBetween(millionFp8, millionFp8 + 1);
            assertThat(bf16.sequencesThatFit(8192)).isBetween(shortBf16, shortBf16 + shortBf16 / 4);
            assertThat(fp8.sequencesThatFit(8192)).isBetween(shortFp8, shortFp8 + shortFp8 / 4);
        }
    }

    @Test
    void countsTheWeightsOfTheFp8Shape() {
        try (Model model = Model.openUnmade("synthetic:nano-30b-fp8")) {
            CudaFootprint footprint = CudaFootprint.estimate(model.config(), model.weights(), options(64, KvFormat.E4M3), 80 * GIB);
            // 30.44 GiB as shipped; vectors are widened on the device, scales lie together
            assertThat(footprint.weightBytes() / (double) GIB).isBetween(30.40, 30.50);
            assertThat(footprint.workspaceBytes() / (double) GIB).isBetween(0.5, 2.0);
            assertThat(footprint.driverBytes()).isEqualTo(512L << 20);
            assertThat(footprint.estimated()).isTrue();
        }
    }

    @Test
    void saysThatNothingFitsWhenTheWeightsDoNot() {
        try (Model model = Model.openUnmade("synthetic:nano-30b-bf16")) {
            CudaFootprint footprint = CudaFootprint.estimate(model.config(), model.weights(), options(1, KvFormat.BF16), 40 * GIB);
            assertThat(footprint.cacheBytes()).isNegative();
            assertThat(footprint.sequencesThatFit(1)).isZero();
        }
    }

    /// The plan that a backend is built by, on an emulated device of that size: planning takes none of it.
    @ParameterizedTest
    @CsvSource({"78, 14", "139, 34"})
    void plansSessionsOfAMillionTokens(long gibibytes, int sessions) {
        EmulatorSettings settings = EmulatorSettings.withSeed(1).withTotalBytes(gibibytes * GIB).withMultiprocessors(132);
        try (Model model = Model.openUnmade("synthetic:nano-30b-fp8"); CudaDevice device = EmulatedBackend.device(settings)) {
            CudaOptions options = options(sessions, KvFormat.E4M3);
            CudaMemoryPlan plan = device.plan(model.config(), model.weights(), options,
                    new CudaMemoryPlan.Wish(0, 0, sessions, sessions, MILLION));
            MemoryPlan caches = plan.caches();

            assertThat(caches.maxSequences()).isEqualTo(sessions);
            assertThat(caches.maxModelTokens()).isEqualTo(MILLION);
            assertThat(caches.sequencesThatFit(MILLION)).isEqualTo(sessions);
            assertThat(plan.bytes()).isLessThan(gibibytes * GIB);

            // and what is said without a device is near to it
            CudaFootprint exact = device.footprint(model.config(), model.weights(), options);
            CudaFootprint estimate = CudaFootprint.estimate(model.config(), model.weights(), options, exact.deviceBytes());
            assertThat(exact.workspaceBytes()).isEqualTo(plan.workspaceBytes());
            assertThat(estimate.weightBytes()).isEqualTo(exact.weightBytes());
            assertThat(estimate.workspaceBytes() / (double) exact.workspaceBytes()).isBetween(0.9, 1.2);
            assertThat(estimate.sequencesThatFit(MILLION)).isBetween(sessions, sessions + 1);
        }
    }

    /// Many rows, so that what grows with them decides.
    @Test
    void estimatesTheWorkspaceOfOtherShapes() {
        for (String location : List.of("synthetic:bench-1b", "synthetic:nano-4b", "synthetic:super-120b-fp8,vocab=1024,layers=ME*",
                "synthetic:tiny-fp8", "synthetic:lightning-30b-nvfp4")) {
            try (Model model = Model.openUnmade(location);
                    CudaDevice device = EmulatedBackend.device(EmulatorSettings.withSeed(1).withTotalBytes(100 * GIB))) {
                var options = new CudaOptions(16_384, 64, 32_768, KvFormat.BF16, false, true);
                long exact = device.footprint(model.config(), model.weights(), options).workspaceBytes();
                long estimate = CudaFootprint.estimate(model.config(), model.weights(), options, 100 * GIB).workspaceBytes();
                assertThat(estimate / (double) exact).as(location).isBetween(0.8, 1.4);
            }
        }
    }

    private static CudaOptions options(int sequences, KvFormat format) {
        return new CudaOptions(8192, sequences, MILLION, format, false, true);
    }
}
