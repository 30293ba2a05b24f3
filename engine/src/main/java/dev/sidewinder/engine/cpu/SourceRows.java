package dev.sidewinder.engine.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Rows of activations in the form the product kernel reads: bf16, or fp32 (rounded to bf16 values where the arithmetic
/// says so). Planned once for the largest batch.
///
/// There is room for one more row block than asked for: a native kernel may read (and ignore) rows behind the last one.
final class SourceRows {

    /// In which form activations go into a product.
    enum Form {
        FLOAT,
        /// fp32 values that bf16 can hold
        FLOAT_OF_BF16,
        BF16,
        /// two rows of bf16 for each row, their sum is the value to 16 bits: see [CpuMath#toBf16Pair]
        BF16_PAIR;

        int bytes() {
            return this == BF16 ? 2 : 4;
        }
    }

    private final CpuMath math;
    private final Form form;
    private final int width;
    private final int rows;
    private final MemorySegment data;

    SourceRows(NativeMemory memory, CpuMath math, Form form, int rows, int width) {
        this.math = math;
        this.form = form;
        this.width = width;
        this.rows = rows;
        this.data = memory.allocate((long) (rows + Linear.ROW_BLOCK) * width * form.bytes());
    }

    int width() {
        return width;
    }

    MemorySegment data() {
        return data;
    }

    /// Rows that the product kernel sees for one row of ours.
    int partsPerRow() {
        return form == Form.BF16_PAIR ? 2 : 1;
    }

    /// Where a row begins, in bytes.
    long at(int row) {
        return (long) row * width * form.bytes();
    }

    /// Sets `n` values of a row from column `column` on.
    void set(int row, int column, float[] source, int sourceAt, int n) {
        if (row >= rows || column + n > width) {
            throw new IllegalArgumentException("row " + row + ", columns " + column + " to " + (column + n)
                    + " of an activation buffer of " + rows + " x " + width);
        }
        long target = at(row) + (long) column * form.bytes() / partsPerRow();
        switch (form) {
            case FLOAT -> MemorySegment.copy(source, sourceAt, data, ValueLayout.JAVA_FLOAT, target, n);
            case FLOAT_OF_BF16 -> math.roundToBf16(source, sourceAt, data, target, n);
            case BF16 -> math.toBf16(source, sourceAt, data, target, n);
            case BF16_PAIR -> math.toBf16Pair(source, sourceAt, data, target, target + 2L * width, n);
        }
    }

    /// Copies a whole row from another buffer of the same width.
    void copyRow(int row, SourceRows source, int sourceRow) {
        MemorySegment.copy(source.data, source.at(sourceRow), data, at(row), (long) width * form.bytes());
    }
}
