package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.AttentionPlan.DecodeSplit;
import java.util.Arrays;
import java.util.Random;
import java.util.function.IntUnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/// Plans against plain counting.
class AttentionPlanTest {

    private static final long SEED = 3;
    private static final int BLOCK = KvCacheLayer.BLOCK_TOKENS;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    /// What a plan says. `owners` are those of the workers in use.
    private record Plan(int workers, int cells, int[] before, int[] owners) {

        static Plan read(CheckMemory memory, long address, int sequences, int mostWorkers) {
            int[] words = memory.ints(address, 3 + sequences + mostWorkers);
            assertThat(words[0]).isBetween(0, mostWorkers);
            return new Plan(words[0], words[1], Arrays.copyOfRange(words, 2, 3 + sequences),
                    Arrays.copyOfRange(words, 3 + sequences, 3 + sequences + words[0]));
        }

        /// Every sequence has the cells that it should have, and every worker begins in the sequence of its first cell.
        void check(int[] expectedCells, int units) {
            assertThat(before[0]).isZero();
            for (int s = 0; s < expectedCells.length; s++) {
                assertThat(before[s + 1] - before[s]).as("cells of sequence %d", s).isEqualTo(expectedCells[s]);
            }
            assertThat(cells).isEqualTo(before[expectedCells.length]);
            for (int worker = 0; worker < workers; worker++) {
                long first = (long) cells * units * worker / workers / units;
                assertThat(before[owners[worker]]).isLessThanOrEqualTo((int) first);
                assertThat(before[owners[worker] + 1]).isGreaterThan((int) first);
            }
        }
    }

    private static int[] randomPositions(Random random, int sequences, int longest) {
        return random.ints(sequences, 0, longest).toArray();
    }

    private static int[] randomSlots(Random random, int sequences) {
        return random.ints(sequences, 0, 4).map(draw -> draw == 0 ? -1 : draw).toArray();
    }

    private static int[] cells(int[] position, int[] slot, IntUnaryOperator ofPosition) {
        int[] cells = new int[position.length];
        Arrays.setAll(cells, s -> slot[s] < 0 ? 0 : ofPosition.applyAsInt(position[s]));
        return cells;
    }

    private Plan decodePlan(AttentionShape shape, int[] position, int[] slot, DecodeSplit split) {
        try (CheckMemory memory = new CheckMemory(emulator.device())) {
            StepSequences step = new StepSequences(0, memory.upload(position), memory.upload(slot),
                    memory.upload(new int[] {0}), position.length, 8192);
            long plan = memory.unwritten(AttentionPlan.decodeBytes(position.length, split));
            new AttentionPlan(emulator.kernels()).decode(emulator.device().stream(), plan, shape, step, split);
            return Plan.read(memory, plan, position.length, split.workers());
        }
    }

    @Test
    void cutsContextsIntoBlocksForAsManyWorkersAsPay() {
        Random random = new Random(SEED);
        for (int sequences : new int[] {1, 2, 31, 255, 256, 257, 600}) {
            AttentionShape shape = new AttentionShape(40, 2, 64);
            int[] position = randomPositions(random, sequences, 1_048_576);
            int[] slot = randomSlots(random, sequences);
            DecodeSplit split = new DecodeSplit(SplitPolicy.BALANCED, 264);

            Plan plan = decodePlan(shape, position, slot, split);

            int[] cells = cells(position, slot, p -> p / BLOCK + 1);
            plan.check(cells, shape.units());
            assertThat(plan.workers()).isEqualTo(workersThatPay(Arrays.stream(cells).sum() * (long) shape.units(),
                    Arrays.stream(cells).max().orElseThrow(), 264));
        }
    }

    /// The estimate of attention_plan.cu, spelled out.
    private static int workersThatPay(long cells, int longest, int most) {
        if (cells == 0) {
            return 0;
        }
        long fewest = Math.ceilDiv(cells, most);
        long best = fewest;
        long bestCost = Long.MAX_VALUE;
        for (long each = fewest; each < fewest + 32; each++) {
            long parts = Math.ceilDiv(longest, each);
            long merging = parts == 1 ? 0 : parts <= 8 ? 7 + parts : 22 + Math.ceilDiv(parts, 8);
            if (4 * each + merging < bestCost) {
                bestCost = 4 * each + merging;
                best = each;
            }
        }
        return (int) Math.min(most, Math.ceilDiv(cells, best));
    }

    @Test
    void cutsContextsByTheirOwnLength() {
        Random random = new Random(SEED);
        for (int sequences : new int[] {1, 300}) {
            AttentionShape shape = new AttentionShape(32, 2, 128);
            int[] position = randomPositions(random, sequences, 1_048_576);
            int[] slot = randomSlots(random, sequences);
            for (int workers : new int[] {1, 7, 264}) {
                Plan plan = decodePlan(shape, position, slot, new DecodeSplit(new SplitPolicy.Invariant(8, 32), workers));
                plan.check(cells(position, slot, p -> {
                    int blocks = p / BLOCK + 1;
                    return Math.ceilDiv(blocks, Math.max(8, Math.ceilDiv(blocks, 32)));
                }), shape.units());
            }
        }
    }

    @Test
    void leavesRoomForEveryPartialResultOfTheInvariantPolicy() {
        for (int blocks = 1; blocks <= 9000; blocks++) {
            DecodeSplit split = new DecodeSplit(SplitPolicy.INVARIANT, 1);
            int chunk = Math.max(8, Math.ceilDiv(blocks, 32));
            assertThat(split.partialSlots(new AttentionShape(20, 1, 64), 1, blocks)).isGreaterThanOrEqualTo(2 * Math.ceilDiv(blocks, chunk));
        }
    }

    @Test
    void cutsPiecesOfPromptsAtFixedPlacesOfTheGrid() {
        Random random = new Random(SEED);
        for (int group : new int[] {1, 16, 20, 100}) {
            AttentionShape shape = new AttentionShape(group, 1, 64);
            int sequences = 300;
            int[] position = randomPositions(random, sequences, 5000);
            int[] slot = randomSlots(random, sequences);
            int[] start = new int[sequences + 1];
            for (int s = 0; s < sequences; s++) {
                start[s + 1] = start[s] + random.nextInt(random.nextInt(3) == 0 ? 400 : 3);
            }
            int[] tiles = new int[sequences];
            Arrays.setAll(tiles, s -> slot[s] < 0 ? 0 : tiles(128 / group, position[s], start[s + 1] - start[s]));
            try (CheckMemory memory = new CheckMemory(emulator.device())) {
                StepSequences step = new StepSequences(memory.upload(start), memory.upload(position), memory.upload(slot),
                        memory.upload(new int[] {0}), sequences, 64);
                int rows = start[sequences];
                long plan = memory.unwritten(AttentionPlan.promptBytes(shape, sequences, rows));
                new AttentionPlan(emulator.kernels()).prompt(emulator.device().stream(), plan, shape, step, rows);
                Plan found = Plan.read(memory, plan, sequences, AttentionPlan.mostTiles(shape, sequences, rows));
                found.check(tiles, 1);
                assertThat(found.workers()).as("one block for each tile").isEqualTo(found.cells());
            }
        }
    }

    /// Counts where a new tile begins.
    private static int tiles(int tileTokens, int position, int count) {
        int tiles = 0;
        for (int p = position; p < position + count; p++) {
            if (p == position || p % BLOCK % tileTokens == 0) {
                tiles++;
            }
        }
        return tiles;
    }

    @Test
    void neverHasMoreTilesThanItHasRoomFor() {
        for (int group = 1; group <= 128; group++) {
            AttentionShape shape = new AttentionShape(group, 1, 64);
            for (int position = 0; position < BLOCK; position++) {
                for (int count : new int[] {1, 2, 3, 100, 127, 128, 129, 300}) {
                    if (tiles(shape.tileTokens(), position, count) > AttentionPlan.mostTiles(shape, 1, count)) {
                        throw new AssertionError("group " + group + ", position " + position + ", count " + count);
                    }
                }
            }
        }
    }
}
