package dev.sidewinder.bench.simulate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.data.Percentage.withPercentage;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.BlockCopy;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.kvcache.StateCopy;
import dev.sidewinder.kvcache.StateWrite;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.TokenSource;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Against figures worked out by hand for the 30B shape in FP8 on an H100.
class StepTimerTest {

    /// At the full rates: what remains when everything goes well.
    private static final SimulatedModel NANO = SimulatedModels.nano(1, 1);
    private final StepTimer floor = NANO.timer();
    private static final StepTimer ASSUMED = SimulatedModels.nano(Gpu.ATTAINED_BANDWIDTH, Gpu.ATTAINED_PRODUCTS).timer();

    /// docs/performance-log.md, "Decode steps by arithmetic", which counts each launch by itself.
    @ParameterizedTest
    @CsvSource({"1, 165, 1.54", "8, 195, 4.51", "64, 218, 12.85", "256, 264, 20.63"})
    void comesToTheCensusOfADecodeStep(int rows, int kernels, double millis) {
        assertThat(floor.kernels(rows)).isEqualTo(kernels);
        assertThat(floor.generatedMicros(rows, 1536L * rows) / 1000).isCloseTo(millis, withPercentage(2));
    }

    @Test
    void addsTheContextThatGeneratedTokensAttendTo() {
        // 3,072 bytes of keys and values a token at 3.0 TB/s
        double added = floor.generatedMicros(4, 1_000_000) - floor.generatedMicros(4, 0);
        assertThat(added).isCloseTo(1e6 * 3072 / 3.0e12 * 1e6, within(0.01));
    }

    @Test
    void takesTheWeightsForAShortPieceAndTheProductsForALongOne() {
        // 16 tokens: 53.6 % of the experts and everything else, 17.9 of 32 GB, at 3.0 TB/s; and 0.4 ms between kernels
        assertThat(floor.time(prompts(piece(0, 16))).promptMicros() / 1000).isBetween(5.5, 7.0);
        // 8,192 tokens: 4.99 GFLOP a token at 1,500 TFLOP/s and 0.84 at 790, which is 36 ms; attention 3.3 TFLOP at 396
        double products = 8192 * (4.99e9 / 1500e12 + 0.84e9 / 790e12);
        double attention = 98_304.0 * 8192 * 8193 / 2 / 396e12;
        assertThat(floor.time(prompts(piece(0, 8192))).promptMicros() / 1e6)
                .isCloseTo(products + attention + 0.0004, withPercentage(3));
    }

    @Test
    void comesToTheTargetOfPromptTokensAsAssumed() {
        double tokensPerSecond = 8192 / (ASSUMED.time(prompts(piece(0, 8192))).promptMicros() / 1e6);
        assertThat(tokensPerSecond).isBetween(85_000.0, 115_000.0);
    }

    @Test
    void walksTheWholeContextHoweverShortThePieceIs() {
        // docs/performance-log.md: 8.6 ms at 65,536 tokens, 137 ms at a million
        double near = floor.time(prompts(piece(0, 8))).promptMicros();
        assertThat((floor.time(prompts(piece(65_536, 8))).promptMicros() - near) / 1000).isCloseTo(8.6, within(0.1));
        assertThat((floor.time(prompts(piece(1 << 20, 8))).promptMicros() - near) / 1000).isCloseTo(137, within(1.0));
    }

    @Test
    void readsTheWeightsOnceForAllPieces() {
        StepTime one = floor.time(prompts(piece(0, 128)));
        StepTime two = floor.time(prompts(piece(0, 64), piece(0, 64)));
        assertThat(two.promptMicros()).isCloseTo(one.promptMicros(), withPercentage(2));
    }

    /// By hand: 31.3 GB of matrices take 10.4 ms at 3.0 TB/s, and 2,112 tokens of 5.83 GFLOP take 9.1 of them; the head takes 0.2, states of
    /// 64 sequences that are read and written 2.1, keys and values of 64 x 1,536 tokens 0.1, what else passes between kernels for
    /// generated tokens 0.3, boundaries 0.4, attention and scan of 2,048 tokens 0.7.
    @Test
    void readsTheWeightsOnceForGeneratedTokensAndPromptsTogether() {
        List<BatchEntry> generated = IntStream.range(0, 64).mapToObj(i -> entry(i, 1535, 1, TokenSource.GENERATED)).toList();
        List<BatchEntry> all = new ArrayList<>(generated);
        all.addAll(prompts(piece(0, 2048)).entries());
        StepTime apart = floor.time(new Batch(1, generated));
        StepTime prompt = floor.time(prompts(piece(0, 2048)));
        StepTime both = floor.time(new Batch(1, all));

        assertThat(both.generatedMicros() + both.promptMicros()).isZero();
        assertThat(both.mixedMicros()).isEqualTo(both.micros());
        assertThat(prompt.micros() / 1000).isCloseTo(11.5, within(0.2));
        assertThat(apart.micros() / 1000).isCloseTo(12.85, withPercentage(2));
        assertThat(both.micros() / 1000).isCloseTo(14.2, within(0.2));
    }

    /// However few tokens there are of a kind, both together never take longer than each by itself, and never less than either.
    @Test
    void isNeverLongerThanTwoPassesNorShorterThanOne() {
        for (int rows : new int[] {1, 8, 64, 256}) {
            for (int tokens : new int[] {1, 127, 128, 512, 4096}) {
                List<BatchEntry> generated = IntStream.range(0, rows).mapToObj(i -> entry(i, 999, 1, TokenSource.GENERATED)).toList();
                List<BatchEntry> all = new ArrayList<>(prompts(piece(256, tokens)).entries());
                all.addAll(generated);
                double one = floor.time(new Batch(1, generated)).micros();
                double other = floor.time(prompts(piece(256, tokens))).micros();
                assertThat(floor.time(new Batch(1, all)).micros()).as("%d rows and %d tokens", rows, tokens)
                        .isLessThan(one + other).isGreaterThan(Math.max(one, other));
            }
        }
    }

    @Test
    void countsCopies() {
        // 49.08 MB of state, laid out with some room
        double stateBytes = NANO.stateBytes();
        assertThat(stateBytes).isBetween(49.07e6, 51e6);

        // a state is read and written at 3.0 TB/s, and each copy is a call of 2 µs
        var restores = new MemoryWork(List.of(), List.of(), List.of(new StateCopy(0, 1)), List.of(), List.of(new StateCopy(1, 2)));
        assertThat(copyMicros(restores)).isCloseTo(2 * (2 * stateBytes / 3.0e12 * 1e6 + 2), within(0.01));

        // a block of 128 tokens in fp8 has 384 KiB
        var moves = new MemoryWork(List.of(), List.of(new BlockCopy(0, 9)), List.of(), List.of(), List.of());
        assertThat(copyMicros(moves)).isCloseTo(2 * 393_216 / 3.0e12 * 1e6 + 2, within(0.01));

        // a sequence of 8,192 tokens goes to the host: 49 MB of state and 25 MB in 64 blocks over a bus of 50 GB/s
        List<HostCopy> outs = new ArrayList<>(List.of(new HostCopy(HostCopy.Kind.STATE, 0, 0)));
        IntStream.range(0, 64).forEach(i -> outs.add(new HostCopy(HostCopy.Kind.BLOCK, i, i)));
        var suspension = new MemoryWork(List.of(), List.of(), List.of(), outs, List.of());
        assertThat(copyMicros(suspension)).isCloseTo((stateBytes + 64 * 393_216) / 50e9 * 1e6 + 65 * 2, within(0.01));
    }

    /// Written by the scan, once, and by no launch of its own.
    @Test
    void countsStatesThatAPieceLeavesOnItsWay() {
        BatchEntry piece = prompts(piece(0, 1000)).entries().getFirst();
        var writes = List.of(new StateWrite(128, 1), new StateWrite(640, 2));
        var keeping = new BatchEntry(0, piece.tokens(), 0, 1000, TokenSource.PROMPT, LogitRows.NONE, piece.allocation(), writes);

        double added = floor.time(new Batch(1, List.of(keeping))).promptMicros() - floor.time(prompts(piece(0, 1000))).promptMicros();

        assertThat(added).isCloseTo(2 * NANO.stateBytes() / 3.0e12 * 1e6, within(0.01));
    }

    private double copyMicros(MemoryWork work) {
        StepTime time = floor.time(new Batch(1, List.of(), work));
        assertThat(time.micros()).isEqualTo(time.copyMicros());
        return time.copyMicros();
    }

    private record Piece(int from, int count) {}

    private static Piece piece(int from, int count) {
        return new Piece(from, count);
    }

    private static Batch prompts(Piece... pieces) {
        List<BatchEntry> entries = new ArrayList<>();
        for (Piece each : pieces) {
            entries.add(entry(entries.size(), each.from(), each.count(), TokenSource.PROMPT));
        }
        return new Batch(1, entries);
    }

    private static BatchEntry entry(int sequence, int from, int count, TokenSource source) {
        LogitRows rows = source == TokenSource.PROMPT ? LogitRows.NONE : LogitRows.LAST;
        return new BatchEntry(sequence, new int[0], from, count, source, rows, new Nowhere());
    }

    /// Memory that is never touched.
    private record Nowhere() implements Allocation {
        @Override
        public int slot() {
            return 0;
        }

        @Override
        public int blockCount() {
            return 0;
        }

        @Override
        public int block(int i) {
            throw new IndexOutOfBoundsException(i);
        }
    }
}
