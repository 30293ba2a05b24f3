package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.sidewinder.engine.cpu.DnnlKernels.Shape;
import dev.sidewinder.model.checkpoint.Bf16;
import dev.sidewinder.model.checkpoint.CheckpointException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Random;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// oneDNN's products against plain sums. Skipped where there is no AMX: the backend then uses the Vector API.
class DnnlKernelsTest {

    /// fp32 sums in another order.
    private static final float TOLERANCE = 2e-5f;
    private static final int MOST_ROWS = 200;

    private final NativeMemory memory = new NativeMemory();
    private final WorkerPool pool = new WorkerPool(2);
    private final Random random = new Random(3);

    @BeforeEach
    void needsAmx() {
        boolean amx;
        try {
            amx = DnnlLibrary.open().hasAmxBf16();
        } catch (IllegalStateException e) {
            amx = false;
        }
        assumeTrue(amx, "oneDNN does not load here, or this CPU has no AMX for bf16");
    }

    @AfterEach
    void close() {
        pool.close();
        memory.close();
    }

    @ParameterizedTest
    @CsvSource({"1024, 256", "512, 256", "80, 24", "33, 7", "1, 1", "1856, 128", "2688, 64", "96, 8"})
    void agreesWithPlainSumsAndGivesARowTheSameBitsAmongAnyNumber(int inputs, int outputs) throws Exception {
        try (var kernels = DnnlKernels.open(List.of(new Shape(inputs, outputs)), pool, memory, VectorMath.INSTANCE)) {
            // given packed weights and rows of values that bf16 can hold
            DnnlProduct product = kernels.product(inputs, outputs);
            MemorySegment source = random(2L * (MOST_ROWS + Linear.ROW_BLOCK) * inputs);
            MemorySegment weights = random(2L * outputs * inputs);
            MemorySegment packed = memory.allocate(product.packedBytes());
            kernels.worker(0).run(product.packing(), weights.address(), 0, packed.address());
            MemorySegment all = memory.allocate(4L * (MOST_ROWS + Linear.ROW_BLOCK) * outputs);
            kernels.multiply(product, source.address(), MOST_ROWS, packed.address(), all, 0);

            // then all rows at once are right
            assertThat(worstDifference(source, weights, all, inputs, outputs)).isLessThan(TOLERANCE * inputs);

            // and any number of them, on another worker, has the same bits
            MemorySegment some = memory.allocate(4L * (MOST_ROWS + Linear.ROW_BLOCK) * outputs);
            for (int rows = 1; rows <= MOST_ROWS; rows += 1 + rows / 20) {
                int first = random.nextInt(MOST_ROWS - rows + 1);
                kernels.multiply(product, source.address() + 2L * first * inputs, rows, packed.address(), some, 1);
                long from = 4L * first * outputs;
                long bytes = 4L * rows * outputs;
                assertThat(MemorySegment.mismatch(some, 0, bytes, all, from, from + bytes)).as("%d rows", rows)
                        .isEqualTo(-1);
            }
        }
    }

    @Test
    void packsTilesOfAMatrixSideBySideAndEachOnce() throws Exception {
        int inputs = 64;
        int tiles = 4;
        try (var kernels = DnnlKernels.open(List.of(new Shape(inputs, Linear.TILE_COLUMNS)), pool, memory, VectorMath.INSTANCE)) {
            MemorySegment weights = random(2L * Linear.TILE_COLUMNS * inputs);
            var packed = new AtomicIntegerArray(tiles);
            var together = new CyclicBarrier(2);
            var linear = new DnnlLinear(kernels, memory, tiles * Linear.TILE_COLUMNS, inputs, (first, columns, worker) -> {
                packed.incrementAndGet(first / Linear.TILE_COLUMNS);
                try {
                    // nobody gets further until two workers are here
                    together.await(20, TimeUnit.SECONDS);
                } catch (InterruptedException | BrokenBarrierException | TimeoutException e) {
                    throw new IllegalStateException("the other worker waits for this one", e);
                }
                return weights;
            });

            pool.run(tiles, linear::pack);
            pool.run(tiles, linear::pack);

            assertThat(packed.toString()).isEqualTo("[1, 1, 1, 1]");
        }
    }

    @Test
    void packsATileAgainWhoseWeightsCouldNotBeRead() throws Exception {
        try (var kernels = DnnlKernels.open(List.of(new Shape(64, 32)), pool, memory, VectorMath.INSTANCE)) {
            MemorySegment weights = random(2L * 32 * 64);
            var reads = new AtomicInteger();
            var linear = new DnnlLinear(kernels, memory, 32, 64, (first, columns, worker) -> {
                if (reads.incrementAndGet() <= 2) {
                    throw new CheckpointException("damaged");
                }
                return weights;
            });

            // both workers want the same tile
            assertThatThrownBy(() -> pool.run(2, (unit, worker) -> linear.pack(0, worker))).isInstanceOf(CheckpointException.class);
            while (reads.get() < 3) {
                try {
                    linear.pack(0, 0);
                } catch (CheckpointException stillDamaged) {
                    // the other worker may have seen the failure before it looked for itself
                }
            }
            linear.pack(0, 0);

            assertThat(reads).hasValue(3);
        }
    }

    @Test
    void fewRowsArePaddedAndManyAreCutWithinTheRoomThereIs() {
        for (int rows = 1; rows <= Linear.ROW_BLOCK; rows++) {
            int done = 0;
            int calls = 0;
            while (done < rows) {
                done += DnnlProduct.ROWS[DnnlProduct.cheapestIndexFor(rows - done)];
                calls++;
            }
            assertThat(done).as("room for %d rows", rows).isLessThanOrEqualTo(Linear.ROW_BLOCK);
            assertThat(calls).as("calls for %d rows", rows).isLessThanOrEqualTo(3);
        }
    }

    private MemorySegment random(long bytes) {
        MemorySegment segment = memory.allocate(bytes);
        for (long i = 0; i < bytes / 2; i++) {
            segment.setAtIndex(JAVA_SHORT, i, Bf16.encode(random.nextFloat() * 2 - 1));
        }
        return segment;
    }

    private static double worstDifference(MemorySegment source, MemorySegment weights, MemorySegment actual, int inputs,
            int outputs) {
        double worst = 0;
        for (int row = 0; row < MOST_ROWS; row += 13) {
            for (int column = 0; column < outputs; column++) {
                double sum = 0;
                for (int i = 0; i < inputs; i++) {
                    sum += (double) Bf16.decode(source.getAtIndex(JAVA_SHORT, (long) row * inputs + i))
                            * Bf16.decode(weights.getAtIndex(JAVA_SHORT, (long) column * inputs + i));
                }
                double difference = Math.abs(sum - actual.getAtIndex(JAVA_FLOAT, (long) row * outputs + column));
                worst = difference <= worst ? worst : difference;
            }
        }
        return worst;
    }
}
