package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.AttentionPlan.DecodeSplit;
import java.util.Arrays;
import java.util.List;
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

    /// Pieces of prompts on the device and what is known of them.
    private record Pieces(int[] position, int[] slot, int[] start) {

        static Pieces random(Random random, int sequences, int longest, int longestPiece) {
            int[] start = new int[sequences + 1];
            for (int s = 0; s < sequences; s++) {
                start[s + 1] = start[s] + random.nextInt(random.nextInt(3) == 0 ? longestPiece : 3);
            }
            return new Pieces(randomPositions(random, sequences, longest), randomSlots(random, sequences), start);
        }

        int length(int s) {
            return position[s] + start[s + 1] - start[s];
        }

        /// Tiles of each sequence, all KV heads together.
        int[] tiles(AttentionShape shape) {
            int[] tiles = new int[position.length];
            Arrays.setAll(tiles, s -> slot[s] < 0 ? 0
                    : shape.kvHeads() * AttentionPlanTest.tiles(shape.tileTokens(), position[s], start[s + 1] - start[s]));
            return tiles;
        }

        int[] parts(PromptSplit split, int level) {
            int[] parts = new int[position.length];
            Arrays.setAll(parts, s -> (Math.max(1, length(s)) - 1) / split.segmentTokens() / (1 << level) + 1);
            return parts;
        }

        /// The estimate of attention_plan.cu, spelled out.
        int levelThatPays(AttentionShape shape, PromptSplit split) {
            int[] tiles = tiles(shape);
            long work = 0;
            long longest = 0;
            for (int s = 0; s < tiles.length; s++) {
                long blocks = Math.ceilDiv(Math.max(1, length(s)), BLOCK);
                work += tiles[s] * blocks;
                longest = tiles[s] == 0 ? longest : Math.max(longest, blocks);
            }
            long best = Long.MAX_VALUE;
            int bestLevel = 0;
            for (int level = 0; level <= 24; level++) {
                int[] parts = parts(split, level);
                long cells = 0;
                long most = 1;
                for (int s = 0; s < tiles.length; s++) {
                    cells += parts[s] > 1 ? (long) tiles[s] * parts[s] : 0;
                    most = tiles[s] == 0 ? most : Math.max(most, parts[s]);
                }
                long cost = 4 * (work / split.workers() + Math.min(longest, (long) split.segmentTokens() / BLOCK << level))
                        + (most > 1 ? most + cells / split.workers() : 0);
                if (cells <= split.slots() && cost < best) {
                    best = cost;
                    bestLevel = level;
                }
                if (most == 1) {
                    break;
                }
            }
            return bestLevel;
        }
    }

    /// Cells, level, cells and slots before each sequence.
    private record PromptPlan(int cells, int level, int[] before, int[] slotsBefore) {}

    private PromptPlan promptPlan(AttentionShape shape, Pieces pieces, PromptSplit split) {
        int sequences = pieces.position().length;
        try (CheckMemory memory = new CheckMemory(emulator.device())) {
            StepSequences step = new StepSequences(memory.upload(pieces.start()), memory.upload(pieces.position()),
                    memory.upload(pieces.slot()), memory.upload(new int[] {0}), sequences, 8192);
            long plan = memory.unwritten(AttentionPlan.promptBytes(sequences));
            new AttentionPlan(emulator.kernels()).prompt(emulator.device().stream(), plan, shape, step, split);
            int[] words = memory.ints(plan, 4 + 2 * sequences);
            return new PromptPlan(words[0], words[1], Arrays.copyOfRange(words, 2, 3 + sequences),
                    Arrays.copyOfRange(words, 3 + sequences, 4 + 2 * sequences));
        }
    }

    @Test
    void cutsPiecesOfPromptsAtFixedPlacesAndLongContextsIntoParts() {
        Random random = new Random(SEED);
        for (int group : new int[] {1, 16, 20, 100}) {
            AttentionShape shape = new AttentionShape(2 * group, 2, 64);
            for (int sequences : new int[] {1, 3, 300}) {
                for (PromptSplit split : List.of(new PromptSplit(264, 2112, 8192), new PromptSplit(1, 0, 128), new PromptSplit(7, 100, 128),
                        new PromptSplit(1 << 20, 1 << 20, 128))) {
                    Pieces pieces = Pieces.random(random, sequences, random.nextBoolean() ? 1_000_000 : 5_000, 400);

                    PromptPlan plan = promptPlan(shape, pieces, split);

                    int[] tiles = pieces.tiles(shape);
                    assertThat(plan.level()).as("%s, %d sequences", split, sequences).isEqualTo(pieces.levelThatPays(shape, split));
                    int[] parts = pieces.parts(split, plan.level());
                    int cells = 0;
                    int slots = 0;
                    for (int s = 0; s < sequences; s++) {
                        assertThat(plan.before()[s]).as("cells before sequence %d", s).isEqualTo(cells);
                        assertThat(plan.slotsBefore()[s]).as("slots before sequence %d", s).isEqualTo(slots);
                        cells += tiles[s] * parts[s];
                        slots += parts[s] > 1 ? tiles[s] * parts[s] : 0;
                    }
                    assertThat(plan.cells()).isEqualTo(cells).isEqualTo(plan.before()[sequences]);
                    assertThat(slots).isEqualTo(plan.slotsBefore()[sequences]).isLessThanOrEqualTo(split.slots());
                }
            }
        }
    }

    /// What the plan is for, by numbers of an H100: 132 multiprocessors with two blocks each.
    @Test
    void fewTilesBehindALongContextGetAllBlocksAndManyTilesStayWhole() {
        AttentionShape nano = new AttentionShape(32, 2, 128);
        PromptSplit split = PromptSplit.of(264, nano, 256, 8192, 8192);
        assertThat(split.slots()).isEqualTo(8 * 264);

        // a next turn of 200 tokens behind 500,000: 25 tiles for each of two heads, 62 segments
        PromptPlan turn = promptPlan(nano, new Pieces(new int[] {500_096}, new int[] {0}, new int[] {0, 200}), split);
        assertThat(turn.cells()).isGreaterThanOrEqualTo(4 * 264).isLessThanOrEqualTo(split.slots());
        // and the last piece of one token
        PromptPlan token = promptPlan(nano, new Pieces(new int[] {500_096}, new int[] {0}, new int[] {0, 1}), split);
        assertThat(token.level()).isZero();
        assertThat(token.cells()).isEqualTo(2 * 62);

        // a piece of a long prompt has 1,024 tiles for each head: nobody leaves parts to others
        PromptPlan piece = promptPlan(nano, new Pieces(new int[] {499_712}, new int[] {0}, new int[] {0, 8192}), split);
        assertThat(piece.cells()).isEqualTo(2 * 1024);
        assertThat(piece.slotsBefore()[1]).isZero();

        // the turn among many short prompts is still split, and they are not
        int[] position = new int[41];
        int[] slot = new int[41];
        int[] start = new int[42];
        Arrays.setAll(start, s -> 200 * s);
        position[20] = 500_096;
        PromptPlan mixed = promptPlan(nano, new Pieces(position, slot, start), split);
        assertThat(mixed.slotsBefore()[41]).isGreaterThanOrEqualTo(4 * 264);
        assertThat(mixed.slotsBefore()[20]).isZero();
    }

    @Test
    void aStackHoldsWhatABinaryCounterHolds() {
        for (int blocks : new int[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 122, 127, 128, 129, 1000, 1023, 1024, 1025}) {
            int most = 0;
            for (int segment = 0; segment < blocks; segment++) {
                most = Math.max(most, Integer.bitCount(segment) + 1);
            }
            assertThat(new PromptSplit(1, 0, 128).stackNodes(blocks)).as("%d segments", blocks).isEqualTo(blocks == 1 ? 0 : most);
        }
        assertThat(new PromptSplit(1, 0, 8192).nodeBytes(new AttentionShape(4, 2, 64), 64)).as("one segment").isZero();
        assertThat(new PromptSplit(2, 5, 8192).nodeBytes(new AttentionShape(4, 2, 64), 65)).isEqualTo((5 + 2 * 2) * 128L * 72 * 4);
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
