package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.device.DeviceInfo;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import dev.sidewinder.cuda.kernel.LinearPlan.Plain;
import dev.sidewinder.cuda.kernel.LinearPlan.Size;
import dev.sidewinder.cuda.kernel.LinearPlan.Skinny;
import dev.sidewinder.cuda.kernel.LinearPlan.Tiled;
import java.util.Random;
import org.junit.jupiter.api.Test;

class LinearPlanTest {

    private static final DeviceInfo H100 = device(9, 132, 227 * 1024);
    private static final DeviceInfo ADA = device(8, 128, 99 * 1024);
    private static final long WORKSPACE = 32L << 20;

    private static DeviceInfo device(int major, int multiprocessors, int sharedBytes) {
        return new DeviceInfo("test", major, 0, multiprocessors, 80L << 30, sharedBytes, 50 << 20, 1_755_000, 2_619_000, 5120,
                13_000);
    }

    @Test
    void theOrderOfSumsKnowsTheMatrixOnly() {
        // given the projections of the 30B model
        // then segments are as even as stages allow, and the head is one
        assertThat(LinearPlan.segment(Numbers.E4M3, 10_304, 2_688)).isEqualTo(448);
        assertThat(LinearPlan.segment(Numbers.BF16, 10_304, 2_688)).isEqualTo(448);
        assertThat(LinearPlan.segment(Numbers.E4M3, 2_688, 4_096)).isEqualTo(512);
        assertThat(LinearPlan.segment(Numbers.E4M3, 2_688, 1_856)).isEqualTo(512);
        assertThat(LinearPlan.segment(Numbers.NVFP4, 2_688, 3_712)).isEqualTo(1_024);
        assertThat(LinearPlan.segment(Numbers.BF16, 131_072, 2_688)).isEqualTo(2_688);
        assertThat(LinearPlan.segments(Numbers.BF16, 131_072, 2_688)).isEqualTo(1);
    }

    @Test
    void everyTokenCountHasAPlanThatFitsTheDevice() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int i = 0; i < 20_000; i++) {
            // given any size
            Numbers numbers = Numbers.values()[random.nextInt(4)];
            int unit = random.nextInt(8) == 0 ? 16 : numbers.vector();
            Size size = new Size(numbers, 1 + random.nextInt(random.nextBoolean() ? 64 : 9_000),
                    1 + random.nextInt(random.nextInt(9) == 0 ? 140_000 : 11_000), unit * (1 + random.nextInt(600)),
                    numbers.sourceBits() == 16 ? 1 + random.nextInt(2) : 1);
            DeviceInfo device = random.nextBoolean() ? H100 : ADA;
            long workspace = random.nextInt(4) == 0 ? 0 : 1L << 12 + random.nextInt(16);

            // when a plan is made
            LinearPlan plan = LinearPlan.of(size, device, workspace);
            LaunchShape shape = LinearPlan.shape(size, plan);

            // then a block fits, the workspace suffices, and segments are whole stages
            String description = "seed " + seed + ": " + size + " by " + plan + " on " + device;
            assertThat(shape.sharedBytes()).as(description).isLessThanOrEqualTo(device.sharedBytesPerBlock());
            int segment = LinearPlan.segment(numbers, size.outputs(), size.inputs());
            int segments = LinearPlan.segments(numbers, size.outputs(), size.inputs());
            assertThat(segment % (numbers == Numbers.NVFP4 ? 128 : 64)).as(description).isZero();
            assertThat((segments - 1) * segment).as(description).isLessThan(size.inputs());
            switch (plan) {
                case Skinny skinny -> {
                    assertThat(skinny.tokens()).as(description).isGreaterThanOrEqualTo(size.tokens());
                    assertThat(skinny.blocks()).as(description).isBetween(1, Math.ceilDiv(size.outputs(), 16));
                }
                case Tiled tiled -> {
                    assertThat(tiled.splits()).as(description).isBetween(1, segments);
                    assertThat(LinearPlan.workspaceBytes(size, tiled)).as(description).isLessThanOrEqualTo(workspace);
                }
                case Plain() -> assertThat(size.inputs() % numbers.vector()).as(description).isNotZero();
            }
        }
    }

    @Test
    void theHeadGivesEachBlockTheSameBytes() {
        // given the head of the 30B model for one token
        Size head = new Size(Numbers.BF16, 1, 131_072, 2_688, 1);

        // when it is planned for an H100
        LinearPlan plan = LinearPlan.of(head, H100, WORKSPACE);

        // then two blocks a multiprocessor have 31 or 32 tiles of 86,016 bytes each
        assertThat(plan).isEqualTo(new Skinny(8, 264));
        assertThat(131_072 / 16 / 264).isEqualTo(31);
    }

    @Test
    void productsOfFewTilesAreSharedOut() {
        // 21 tiles of 128 columns for 132 multiprocessors: 6 splits of the 8 segments make one round of 126 blocks
        assertThat(LinearPlan.of(new Size(Numbers.E4M3, 64, 2_688, 4_096, 1), H100, WORKSPACE)).isEqualTo(new Tiled(64, 6));
        // 81 tiles: in two rounds a third of the inputs each is less than in one round all of them, or in two a half
        assertThat(LinearPlan.of(new Size(Numbers.E4M3, 64, 10_304, 2_688, 1), H100, WORKSPACE)).isEqualTo(new Tiled(64, 3));
        assertThat(LinearPlan.of(new Size(Numbers.E4M3, 256, 10_304, 2_688, 1), H100, WORKSPACE)).isEqualTo(new Tiled(128, 1));
        assertThat(LinearPlan.of(new Size(Numbers.E4M3, 64, 2_688, 4_096, 1), H100, 0)).isEqualTo(new Tiled(64, 1));
        assertThat(LinearPlan.of(new Size(Numbers.E4M3, 8_192, 2_688, 4_096, 1), H100, WORKSPACE)).isEqualTo(new Tiled(128, 1));
    }

    @Test
    void whatDoesNotFitSharedMemoryTakesSmallerTiles() {
        assertThat(LinearPlan.of(new Size(Numbers.BF16, 500, 4_096, 4_096, 1), ADA, WORKSPACE)).isEqualTo(new Tiled(64, 1));
        assertThat(LinearPlan.of(new Size(Numbers.BF16, 16, 2_688, 16_384, 2), H100, WORKSPACE)).isInstanceOf(Tiled.class);
    }
}
