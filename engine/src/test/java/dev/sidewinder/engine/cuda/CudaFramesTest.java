package dev.sidewinder.engine.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.BlockCopy;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.kvcache.StateCopy;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.TokenSource;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What the scheduler wants copied, on the emulated device against arrays that are copied one after the other.
class CudaFramesTest {

    private static final int BLOCK = 256;
    /// A state that leaves the last part of its frame unused.
    private static final int STATE = 600;
    private static final CacheLayout LAYOUT = new CacheLayout(STATE, BLOCK, new long[0], new long[0], new long[0]);
    private static final BackendMemory MEMORY = new BackendMemory(new FrameShape(7, 3), new HostShape(3, 12));
    private static final int FRAME = 3 * BLOCK;

    /// Frames on an emulated device.
    ///
    /// @param region their memory
    /// @param seen   memory of the host in which all of it can be looked at
    private record Opened(CudaDevice device, DeviceBuffer region, PinnedMemory seen, CudaFrames frames) implements AutoCloseable {

        static Opened on(EmulatorSettings settings) {
            CudaDevice device = EmulatedBackend.device(settings);
            DeviceBuffer region = device.device().allocate(CudaFrames.regionBytes(LAYOUT, MEMORY));
            PinnedMemory seen = device.device().pinned(region.bytes());
            return new Opened(device, region, seen, new CudaFrames(device.device(), LAYOUT, MEMORY, region.address(), 0));
        }

        Stream stream() {
            return device.device().stream();
        }

        @Override
        public void close() {
            frames.close();
            seen.close();
            region.close();
            device.close();
        }
    }

    /// With a device that runs late, what is copied must not depend on what the host does meanwhile.
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void copiesInTheOrderOfTheRecord(long seed) {
        System.out.println("CudaFramesTest seed " + seed);
        var random = new Random(seed);
        EmulatorSettings settings = EmulatorSettings.withSeed(seed);
        try (var opened = Opened.on(seed % 2 == 0 ? settings : settings.lazily())) {
            CudaFrames frames = opened.frames();
            DeviceBuffer region = opened.region();
            PinnedMemory seen = opened.seen();
            // given frames and a host area full of random bytes
            Stream stream = opened.stream();
            var model = new Model(random, (int) region.bytes());
            seen.segment().copyFrom(MemorySegment.ofArray(model.device));
            stream.copyToDevice(region.address(), seen.segment(), region.bytes());
            for (int i = 0; i < MEMORY.host().states(); i++) {
                frames.hostState(i).copyFrom(MemorySegment.ofArray(model.host).asSlice((long) i * STATE, STATE));
            }
            for (int i = 0; i < MEMORY.host().blocks(); i++) {
                frames.hostBlock(i).copyFrom(MemorySegment.ofArray(model.host).asSlice(model.hostBlock(i), BLOCK));
            }

            // when steps follow each other without a look at what came of them
            for (int step = 0; step < 20; step++) {
                MemoryWork work = randomWork(random);
                frames.prepare(new Batch(step + 1, List.of(), work));
                // random work has the same places on both sides of a step
                frames.finish();
                frames.keep(work);
                model.run(work);
            }
            stream.copyToHost(seen.segment(), region.address(), region.bytes());
            stream.synchronize();

            // then everything is where single copies would have brought it
            assertThat(seen.segment().toArray(ValueLayout.JAVA_BYTE)).isEqualTo(model.device);
            for (int i = 0; i < MEMORY.host().states(); i++) {
                assertThat(frames.hostState(i).mismatch(MemorySegment.ofArray(model.host).asSlice((long) i * STATE, STATE))).isEqualTo(-1);
            }
            for (int i = 0; i < MEMORY.host().blocks(); i++) {
                assertThat(frames.hostBlock(i).mismatch(MemorySegment.ofArray(model.host).asSlice(model.hostBlock(i), BLOCK))).isEqualTo(-1);
            }
        }
        assertThat(Emulator.liveAllocations()).isZero();
    }

    /// What a sequence of the step has from the host is there before the step begins, what goes to the host leaves as the steps
    /// before have left it, and the end of the step is the end of both.
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void bringsWhatAStepNeedsAndWaitsForTheRestAtItsEnd(long seed) {
        EmulatorSettings settings = EmulatorSettings.withSeed(seed);
        try (var opened = Opened.on(seed % 2 == 0 ? settings : settings.lazily())) {
            CudaFrames frames = opened.frames();
            DeviceBuffer region = opened.region();
            PinnedMemory seen = opened.seen();
            Stream stream = opened.stream();
            frames.hostState(1).fill((byte) 7);
            frames.hostBlock(4).fill((byte) 8);
            stream.fill(region.address(), (byte) 1, region.bytes());
            var work = new MemoryWork(List.of(new HostCopy(HostCopy.Kind.BLOCK, 9, 4), new HostCopy(HostCopy.Kind.STATE, 2, 1)), List.of(),
                    List.of(), List.of(new HostCopy(HostCopy.Kind.STATE, 0, 2), new HostCopy(HostCopy.Kind.BLOCK, 4, 0)), List.of());
            var needsIt = new BatchEntry(1, new int[1], 0, 1, TokenSource.PROMPT, LogitRows.NONE, new Places(2, new int[] {9}));

            frames.prepare(new Batch(1, List.of(needsIt), work));
            // the step reads what was brought
            stream.copyToHost(seen.segment(), region.address() + 2 * FRAME, STATE);
            stream.copyToHost(seen.segment().asSlice(FRAME), region.address() + 9 * BLOCK, BLOCK);
            frames.finish();
            // the next one overwrites what was taken away
            stream.fill(region.address(), (byte) 3, 2 * FRAME);
            stream.synchronize();

            assertThat(seen.segment().asSlice(0, STATE).toArray(ValueLayout.JAVA_BYTE)).containsOnly(7);
            assertThat(seen.segment().asSlice(FRAME, BLOCK).toArray(ValueLayout.JAVA_BYTE)).containsOnly(8);
            assertThat(frames.hostState(2).toArray(ValueLayout.JAVA_BYTE)).containsOnly(1);
            assertThat(frames.hostBlock(0).toArray(ValueLayout.JAVA_BYTE)).containsOnly(1);
        }
    }

    private record Places(int slot, int[] blocks) implements Allocation {

        @Override
        public int blockCount() {
            return blocks.length;
        }

        @Override
        public int block(int i) {
            return blocks[i];
        }
    }

    /// Runs of neighbours, rising and falling, and single ones; some read what others wrote.
    private static MemoryWork randomWork(Random random) {
        List<BlockCopy> blocks = new ArrayList<>();
        for (int[] pair : randomPairs(random, MEMORY.frames().blocks(), MEMORY.frames().blocks())) {
            if (pair[0] != pair[1]) {
                blocks.add(new BlockCopy(pair[0], pair[1]));
            }
        }
        return new MemoryWork(randomHostCopies(random), blocks, randomStates(random), randomHostCopies(random), randomStates(random));
    }

    private static List<HostCopy> randomHostCopies(Random random) {
        List<HostCopy> copies = new ArrayList<>();
        for (int i = random.nextInt(3); i > 0; i--) {
            copies.add(new HostCopy(HostCopy.Kind.STATE, random.nextInt(7), random.nextInt(3)));
            for (int[] pair : randomPairs(random, MEMORY.frames().blocks(), MEMORY.host().blocks())) {
                copies.add(new HostCopy(HostCopy.Kind.BLOCK, pair[0], pair[1]));
            }
        }
        return copies;
    }

    private static List<StateCopy> randomStates(Random random) {
        List<StateCopy> copies = new ArrayList<>();
        for (int i = random.nextInt(3); i > 0; i--) {
            int from = random.nextInt(7);
            copies.add(new StateCopy(from, (from + 1 + random.nextInt(6)) % 7));
        }
        return copies;
    }

    private static List<int[]> randomPairs(Random random, int firstSize, int secondSize) {
        List<int[]> pairs = new ArrayList<>();
        for (int run = random.nextInt(4); run > 0; run--) {
            int first = random.nextInt(firstSize);
            int second = random.nextInt(secondSize);
            int direction = random.nextBoolean() ? 1 : -1;
            for (int i = random.nextInt(6); i >= 0; i--) {
                if (first >= 0 && first < firstSize && second >= 0 && second < secondSize) {
                    pairs.add(new int[] {first, second});
                }
                first += direction;
                second += direction;
            }
        }
        return pairs;
    }

    /// The same memory as arrays.
    private static final class Model {
        private final byte[] device;
        private final byte[] host = new byte[3 * STATE + 12 * BLOCK];

        Model(Random random, int deviceBytes) {
            device = new byte[deviceBytes];
            random.nextBytes(device);
            random.nextBytes(host);
        }

        int hostBlock(int place) {
            return 3 * STATE + place * BLOCK;
        }

        void run(MemoryWork work) {
            for (BlockCopy copy : work.blocks()) {
                System.arraycopy(device, copy.from() * BLOCK, device, copy.to() * BLOCK, BLOCK);
            }
            copy(work.restores());
            for (HostCopy copy : work.ins()) {
                System.arraycopy(host, hostAt(copy), device, deviceAt(copy), bytes(copy));
            }
            for (HostCopy copy : work.outs()) {
                System.arraycopy(device, deviceAt(copy), host, hostAt(copy), bytes(copy));
            }
            copy(work.stores());
        }

        private void copy(List<StateCopy> copies) {
            for (StateCopy copy : copies) {
                System.arraycopy(device, copy.from() * FRAME, device, copy.to() * FRAME, STATE);
            }
        }

        private static int deviceAt(HostCopy copy) {
            return copy.device() * (copy.kind() == HostCopy.Kind.STATE ? FRAME : BLOCK);
        }

        private int hostAt(HostCopy copy) {
            return copy.kind() == HostCopy.Kind.STATE ? copy.host() * STATE : hostBlock(copy.host());
        }

        private static int bytes(HostCopy copy) {
            return copy.kind() == HostCopy.Kind.STATE ? STATE : BLOCK;
        }
    }

    @Test
    void gathersNeighboursThatRiseOrFallTogether() {
        assertThat(runs(new int[][] {{3, 10}, {4, 11}, {5, 12}})).containsExactly("3..5 to 10..12");
        assertThat(runs(new int[][] {{9, 3}, {8, 2}, {7, 1}, {6, 0}})).containsExactly("6..9 to 0..3");
        assertThat(runs(new int[][] {{3, 10}, {4, 12}, {5, 13}, {9, 0}})).containsExactly("3..3 to 10..10", "4..5 to 12..13", "9..9 to 0..0");
        // one side rises, the other falls
        assertThat(runs(new int[][] {{3, 10}, {4, 9}})).containsExactly("3..3 to 10..10", "4..4 to 9..9");
        // the second reads what the first wrote
        assertThat(runs(new int[][] {{3, 4}, {4, 5}})).containsExactly("3..3 to 4..4", "4..4 to 5..5");
        assertThat(runs(new int[][] {{0, 2}, {1, 3}, {2, 4}})).containsExactly("0..1 to 2..3", "2..2 to 4..4");
    }

    private static List<String> runs(int[][] copies) {
        List<String> runs = new ArrayList<>();
        var run = new BlockRun();
        for (int[] copy : copies) {
            if (!run.canTake(copy[0], copy[1]) || run.wouldOverlap(copy[0], copy[1])) {
                runs.add(text(run));
                run.clear();
            }
            run.take(copy[0], copy[1]);
        }
        runs.add(text(run));
        return runs;
    }

    private static String text(BlockRun run) {
        return run.from() + ".." + (run.from() + run.length() - 1) + " to " + run.to() + ".." + (run.to() + run.length() - 1);
    }

    @Test
    void erasesWhatASequenceHoldsAndNothingElse() {
        try (var opened = Opened.on(EmulatorSettings.withSeed(9).lazily())) {
            CudaFrames frames = opened.frames();
            DeviceBuffer region = opened.region();
            PinnedMemory seen = opened.seen();
            // given memory full of NaN, when a state in frame 2 and two blocks go
            Stream stream = opened.stream();
            stream.fill(region.address(), (byte) -1, region.bytes());
            frames.erase(new TestSequence(2, new int[] {14, 0}, new int[1]));
            stream.copyToHost(seen.segment(), region.address(), region.bytes());
            stream.synchronize();

            // then they are zero, and the end of the frame is as it was
            for (int at = 0; at < region.bytes(); at++) {
                boolean gone = at >= 2 * FRAME && at < 2 * FRAME + STATE || at / BLOCK == 14 || at / BLOCK == 0;
                assertThat(seen.segment().get(ValueLayout.JAVA_BYTE, at)).as("byte %d", at).isEqualTo((byte) (gone ? 0 : -1));
            }
        }
    }

    @Test
    void refusesFramesThatDoNotHoldAState() {
        assertThatIllegalArgumentException().isThrownBy(() -> LAYOUT.frameBytes(new FrameShape(4, 2)))
                .withMessageContaining("2 blocks of 256").withMessageContaining("600");
    }

    @Test
    void countsNothingForWhatAModelDoesNotHave() {
        var noAttention = new CacheLayout(STATE, 0, new long[0], new long[0], new long[0]);
        var noStates = new CacheLayout(0, BLOCK, new long[0], new long[0], new long[0]);
        assertThat(CudaFrames.regionBytes(noAttention, MEMORY)).isEqualTo(7 * STATE);
        assertThat(CudaFrames.hostBytes(noAttention, MEMORY.host())).isEqualTo(3 * STATE);
        assertThat(CudaFrames.regionBytes(noStates, MEMORY)).isEqualTo(7 * 3 * BLOCK);
        assertThat(CudaFrames.hostBytes(noStates, MEMORY.host())).isEqualTo(12 * BLOCK);
    }
}
