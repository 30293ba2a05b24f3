package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.sidewinder.model.checkpoint.Bf16;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;

/// Tries one product before it is used: are the sums right, and has a row the same bits whatever the number of rows?
///
/// (For shapes of real models it has; for some odd ones oneDNN takes another path for a single row.) Where not, the product
/// is told to run in blocks of a fixed number of rows, and it is tried whether a row's place in the block matters.
final class DnnlCheck {

    private static final int ROWS = Linear.ROW_BLOCK;
    /// Products of numbers in [-1, 1) with fp32 sums: far above rounding, far below a wrong result.
    private static final double PLAUSIBLE_DIFFERENCE = 1e-2;

    private final DnnlProduct product;
    private final DnnlWorker calls;
    private final MemorySegment source;
    private final MemorySegment weights;
    private final MemorySegment packed;
    private final MemorySegment expected;
    private final MemorySegment found;

    DnnlCheck(DnnlProduct product, DnnlWorker calls, NativeMemory memory) {
        this.product = product;
        this.calls = calls;
        var random = new SplittableRandom(product.inputs() * 31L + product.outputs());
        source = randomBf16(memory, random, 2L * ROWS * product.inputs());
        weights = randomBf16(memory, random, (long) product.outputs() * product.inputs());
        packed = memory.allocate(product.packedBytes());
        expected = memory.allocate(4L * ROWS * product.outputs());
        found = memory.allocate(4L * ROWS * product.outputs());
    }

    private static MemorySegment randomBf16(NativeMemory memory, SplittableRandom random, long count) {
        MemorySegment segment = memory.allocate(2 * count);
        for (long i = 0; i < count; i++) {
            segment.setAtIndex(JAVA_SHORT, i, Bf16.encode((random.nextInt() >> 8) * 0x1p-23f));
        }
        return segment;
    }

    /// @throws IllegalStateException when the product cannot be used
    void run() {
        calls.run(product.packing(), weights.address(), 0, packed.address());
        int largest = DnnlProduct.ROWS.length - 1;
        compute(largest, 0, expected);
        for (int row : new int[] {0, ROWS - 1}) {
            for (int column : new int[] {0, product.outputs() / 2, product.outputs() - 1}) {
                checkSum(row, column);
            }
        }
        for (int index = 0; index < largest; index++) {
            if (!sameBits(index)) {
                product.fixRows();
                checkPlaces();
                return;
            }
        }
    }

    private void compute(int index, int firstRow, MemorySegment target) {
        calls.run(product.product(index), source.address() + 2L * firstRow * product.inputs(), packed.address(),
                target.address());
    }

    private void checkSum(int row, int column) {
        double sum = 0;
        for (int i = 0; i < product.inputs(); i++) {
            sum += (double) value(source, (long) row * product.inputs() + i)
                    * value(weights, (long) column * product.inputs() + i);
        }
        float actual = expected.getAtIndex(JAVA_FLOAT, (long) row * product.outputs() + column);
        if (!(Math.abs(actual - sum) < PLAUSIBLE_DIFFERENCE)) {
            throw new IllegalStateException("oneDNN computes " + actual + " where " + sum + " is right (" + shape() + ")");
        }
    }

    private static float value(MemorySegment bf16, long index) {
        return Bf16.decode(bf16.getAtIndex(JAVA_SHORT, index));
    }

    /// Whether rows computed in blocks of this size are those computed all together.
    private boolean sameBits(int index) {
        int rows = DnnlProduct.ROWS[index];
        for (int first = 0; first + rows <= ROWS; first += rows) {
            compute(index, first, found);
            if (!same(first, rows)) {
                return false;
            }
        }
        return true;
    }

    /// Compares blocks of the fixed size that begin at every row, so that a row stands at every place of a block.
    private void checkPlaces() {
        int rows = DnnlProduct.FIXED_ROWS;
        for (int first = 0; first < ROWS; first += rows) {
            compute(product.indexFor(rows), first, expected.asSlice(4L * first * product.outputs()));
        }
        for (int first = 0; first + rows <= ROWS; first++) {
            compute(product.indexFor(rows), first, found);
            if (!same(first, rows)) {
                throw new IllegalStateException("oneDNN gives a row other bits at another place in a block of " + rows
                        + " rows (" + shape() + ")");
            }
        }
    }

    private boolean same(int first, int rows) {
        long bytes = 4L * rows * product.outputs();
        long from = 4L * first * product.outputs();
        return MemorySegment.mismatch(found, 0, bytes, expected, from, from + bytes) < 0;
    }

    private String shape() {
        return product.inputs() + " x " + product.outputs() + ", " + product.implementation();
    }
}
