package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;
import static java.nio.ByteOrder.LITTLE_ENDIAN;

import dev.sidewinder.model.checkpoint.Bf16;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;

/// Matrix products with the Vector API: `out[r, c] = a[r] · w[c]`.
///
/// Every output is one chain of fused multiply-adds over whole vectors, then a tree over the lanes, then the columns that
/// do not fill a vector. The blocks of 4 x 4 and 1 x 4 only decide how many chains run side by side, so a row's bits do
/// not depend on how many rows there are.
final class VectorProduct {

    private static final int LANES = VectorMath.LANES;
    private static final int BLOCK = 4;

    private VectorProduct() {}

    static void withBf16(MemorySegment a, long aAt, int rows, int inner, MemorySegment w, long wAt, int columns,
            MemorySegment out, float[] lanes) {
        int column = 0;
        for (; column + BLOCK <= columns; column += BLOCK) {
            long wRow = wAt + 2L * column * inner;
            int row = 0;
            for (; row + BLOCK <= rows; row += BLOCK) {
                bf16FourByFour(a, aAt + 4L * row * inner, inner, w, wRow, lanes);
                finish(a, aAt + 4L * row * inner, BLOCK, inner, w, wRow, true, BLOCK, out, row, column, columns, lanes);
            }
            for (; row < rows; row++) {
                bf16OneByFour(a, aAt + 4L * row * inner, inner, w, wRow, lanes);
                finish(a, aAt + 4L * row * inner, 1, inner, w, wRow, true, BLOCK, out, row, column, columns, lanes);
            }
        }
        for (; column < columns; column++) {
            for (int row = 0; row < rows; row++) {
                bf16OneByOne(a, aAt + 4L * row * inner, inner, w, wAt + 2L * column * inner, lanes);
                finish(a, aAt + 4L * row * inner, 1, inner, w, wAt + 2L * column * inner, true, 1, out, row, column,
                        columns, lanes);
            }
        }
    }

    static void withFloats(MemorySegment a, long aAt, int rows, int inner, MemorySegment w, long wAt, int columns,
            MemorySegment out, float[] lanes) {
        int column = 0;
        for (; column + BLOCK <= columns; column += BLOCK) {
            long wRow = wAt + 4L * column * inner;
            int row = 0;
            for (; row + BLOCK <= rows; row += BLOCK) {
                floatFourByFour(a, aAt + 4L * row * inner, inner, w, wRow, lanes);
                finish(a, aAt + 4L * row * inner, BLOCK, inner, w, wRow, false, BLOCK, out, row, column, columns, lanes);
            }
            for (; row < rows; row++) {
                floatOneByFour(a, aAt + 4L * row * inner, inner, w, wRow, lanes);
                finish(a, aAt + 4L * row * inner, 1, inner, w, wRow, false, BLOCK, out, row, column, columns, lanes);
            }
        }
        for (; column < columns; column++) {
            for (int row = 0; row < rows; row++) {
                floatOneByOne(a, aAt + 4L * row * inner, inner, w, wAt + 4L * column * inner, lanes);
                finish(a, aAt + 4L * row * inner, 1, inner, w, wAt + 4L * column * inner, false, 1, out, row, column,
                        columns, lanes);
            }
        }
    }

    /// Adds up the lanes of a block of sums, then the inner positions that no vector covered, and stores the results.
    private static void finish(MemorySegment a, long aAt, int blockRows, int inner, MemorySegment w, long wAt,
            boolean bf16, int blockColumns, MemorySegment out, int row, int column, int columns, float[] lanes) {
        int covered = VectorMath.FLOATS.loopBound(inner);
        for (int r = 0; r < blockRows; r++) {
            for (int c = 0; c < blockColumns; c++) {
                float sum = VectorMath.sumOfLanes(lanes, (r * blockColumns + c) * LANES);
                for (int i = covered; i < inner; i++) {
                    long element = (long) c * inner + i;
                    float weight = bf16
                            ? Bf16.decode(w.get(JAVA_SHORT_UNALIGNED, wAt + 2 * element))
                            : w.get(JAVA_FLOAT_UNALIGNED, wAt + 4 * element);
                    sum = Math.fma(a.get(JAVA_FLOAT_UNALIGNED, aAt + 4L * ((long) r * inner + i)), weight, sum);
                }
                out.set(JAVA_FLOAT_UNALIGNED, 4L * ((long) (row + r) * columns + column + c), sum);
            }
        }
    }

    private static FloatVector load(MemorySegment segment, long at) {
        return FloatVector.fromMemorySegment(VectorMath.FLOATS, segment, at, LITTLE_ENDIAN);
    }

    private static void bf16FourByFour(MemorySegment a, long aAt, int inner, MemorySegment w, long wAt,
            float[] lanes) {
        int bound = VectorMath.FLOATS.loopBound(inner);
        long aRow = 4L * inner;
        long wRow = 2L * inner;
        var s00 = FloatVector.zero(VectorMath.FLOATS);
        var s01 = s00;
        var s02 = s00;
        var s03 = s00;
        var s10 = s00;
        var s11 = s00;
        var s12 = s00;
        var s13 = s00;
        var s20 = s00;
        var s21 = s00;
        var s22 = s00;
        var s23 = s00;
        var s30 = s00;
        var s31 = s00;
        var s32 = s00;
        var s33 = s00;
        for (int i = 0; i < bound; i += LANES) {
            long aHere = aAt + 4L * i;
            long wHere = wAt + 2L * i;
            var w0 = VectorMath.widen(w, wHere);
            var w1 = VectorMath.widen(w, wHere + wRow);
            var w2 = VectorMath.widen(w, wHere + 2 * wRow);
            var w3 = VectorMath.widen(w, wHere + 3 * wRow);
            var a0 = load(a, aHere);
            s00 = a0.fma(w0, s00);
            s01 = a0.fma(w1, s01);
            s02 = a0.fma(w2, s02);
            s03 = a0.fma(w3, s03);
            var a1 = load(a, aHere + aRow);
            s10 = a1.fma(w0, s10);
            s11 = a1.fma(w1, s11);
            s12 = a1.fma(w2, s12);
            s13 = a1.fma(w3, s13);
            var a2 = load(a, aHere + 2 * aRow);
            s20 = a2.fma(w0, s20);
            s21 = a2.fma(w1, s21);
            s22 = a2.fma(w2, s22);
            s23 = a2.fma(w3, s23);
            var a3 = load(a, aHere + 3 * aRow);
            s30 = a3.fma(w0, s30);
            s31 = a3.fma(w1, s31);
            s32 = a3.fma(w2, s32);
            s33 = a3.fma(w3, s33);
        }
        s00.intoArray(lanes, 0);
        s01.intoArray(lanes, LANES);
        s02.intoArray(lanes, 2 * LANES);
        s03.intoArray(lanes, 3 * LANES);
        s10.intoArray(lanes, 4 * LANES);
        s11.intoArray(lanes, 5 * LANES);
        s12.intoArray(lanes, 6 * LANES);
        s13.intoArray(lanes, 7 * LANES);
        s20.intoArray(lanes, 8 * LANES);
        s21.intoArray(lanes, 9 * LANES);
        s22.intoArray(lanes, 10 * LANES);
        s23.intoArray(lanes, 11 * LANES);
        s30.intoArray(lanes, 12 * LANES);
        s31.intoArray(lanes, 13 * LANES);
        s32.intoArray(lanes, 14 * LANES);
        s33.intoArray(lanes, 15 * LANES);
    }

    private static void bf16OneByFour(MemorySegment a, long aAt, int inner, MemorySegment w, long wAt,
            float[] lanes) {
        int bound = VectorMath.FLOATS.loopBound(inner);
        long wRow = 2L * inner;
        var s00 = FloatVector.zero(VectorMath.FLOATS);
        var s01 = s00;
        var s02 = s00;
        var s03 = s00;
        for (int i = 0; i < bound; i += LANES) {
            long aHere = aAt + 4L * i;
            long wHere = wAt + 2L * i;
            var w0 = VectorMath.widen(w, wHere);
            var w1 = VectorMath.widen(w, wHere + wRow);
            var w2 = VectorMath.widen(w, wHere + 2 * wRow);
            var w3 = VectorMath.widen(w, wHere + 3 * wRow);
            var a0 = load(a, aHere);
            s00 = a0.fma(w0, s00);
            s01 = a0.fma(w1, s01);
            s02 = a0.fma(w2, s02);
            s03 = a0.fma(w3, s03);
        }
        s00.intoArray(lanes, 0);
        s01.intoArray(lanes, LANES);
        s02.intoArray(lanes, 2 * LANES);
        s03.intoArray(lanes, 3 * LANES);
    }

    private static void bf16OneByOne(MemorySegment a, long aAt, int inner, MemorySegment w, long wAt,
            float[] lanes) {
        int bound = VectorMath.FLOATS.loopBound(inner);
        var s00 = FloatVector.zero(VectorMath.FLOATS);
        for (int i = 0; i < bound; i += LANES) {
            long aHere = aAt + 4L * i;
            long wHere = wAt + 2L * i;
            var w0 = VectorMath.widen(w, wHere);
            var a0 = load(a, aHere);
            s00 = a0.fma(w0, s00);
        }
        s00.intoArray(lanes, 0);
    }

    private static void floatFourByFour(MemorySegment a, long aAt, int inner, MemorySegment w, long wAt,
            float[] lanes) {
        int bound = VectorMath.FLOATS.loopBound(inner);
        long aRow = 4L * inner;
        long wRow = 4L * inner;
        var s00 = FloatVector.zero(VectorMath.FLOATS);
        var s01 = s00;
        var s02 = s00;
        var s03 = s00;
        var s10 = s00;
        var s11 = s00;
        var s12 = s00;
        var s13 = s00;
        var s20 = s00;
        var s21 = s00;
        var s22 = s00;
        var s23 = s00;
        var s30 = s00;
        var s31 = s00;
        var s32 = s00;
        var s33 = s00;
        for (int i = 0; i < bound; i += LANES) {
            long aHere = aAt + 4L * i;
            long wHere = wAt + 4L * i;
            var w0 = load(w, wHere);
            var w1 = load(w, wHere + wRow);
            var w2 = load(w, wHere + 2 * wRow);
            var w3 = load(w, wHere + 3 * wRow);
            var a0 = load(a, aHere);
            s00 = a0.fma(w0, s00);
            s01 = a0.fma(w1, s01);
            s02 = a0.fma(w2, s02);
            s03 = a0.fma(w3, s03);
            var a1 = load(a, aHere + aRow);
            s10 = a1.fma(w0, s10);
            s11 = a1.fma(w1, s11);
            s12 = a1.fma(w2, s12);
            s13 = a1.fma(w3, s13);
            var a2 = load(a, aHere + 2 * aRow);
            s20 = a2.fma(w0, s20);
            s21 = a2.fma(w1, s21);
            s22 = a2.fma(w2, s22);
            s23 = a2.fma(w3, s23);
            var a3 = load(a, aHere + 3 * aRow);
            s30 = a3.fma(w0, s30);
            s31 = a3.fma(w1, s31);
            s32 = a3.fma(w2, s32);
            s33 = a3.fma(w3, s33);
        }
        s00.intoArray(lanes, 0);
        s01.intoArray(lanes, LANES);
        s02.intoArray(lanes, 2 * LANES);
        s03.intoArray(lanes, 3 * LANES);
        s10.intoArray(lanes, 4 * LANES);
        s11.intoArray(lanes, 5 * LANES);
        s12.intoArray(lanes, 6 * LANES);
        s13.intoArray(lanes, 7 * LANES);
        s20.intoArray(lanes, 8 * LANES);
        s21.intoArray(lanes, 9 * LANES);
        s22.intoArray(lanes, 10 * LANES);
        s23.intoArray(lanes, 11 * LANES);
        s30.intoArray(lanes, 12 * LANES);
        s31.intoArray(lanes, 13 * LANES);
        s32.intoArray(lanes, 14 * LANES);
        s33.intoArray(lanes, 15 * LANES);
    }

    private static void floatOneByFour(MemorySegment a, long aAt, int inner, MemorySegment w, long wAt,
            float[] lanes) {
        int bound = VectorMath.FLOATS.loopBound(inner);
        long wRow = 4L * inner;
        var s00 = FloatVector.zero(VectorMath.FLOATS);
        var s01 = s00;
        var s02 = s00;
        var s03 = s00;
        for (int i = 0; i < bound; i += LANES) {
            long aHere = aAt + 4L * i;
            long wHere = wAt + 4L * i;
            var w0 = load(w, wHere);
            var w1 = load(w, wHere + wRow);
            var w2 = load(w, wHere + 2 * wRow);
            var w3 = load(w, wHere + 3 * wRow);
            var a0 = load(a, aHere);
            s00 = a0.fma(w0, s00);
            s01 = a0.fma(w1, s01);
            s02 = a0.fma(w2, s02);
            s03 = a0.fma(w3, s03);
        }
        s00.intoArray(lanes, 0);
        s01.intoArray(lanes, LANES);
        s02.intoArray(lanes, 2 * LANES);
        s03.intoArray(lanes, 3 * LANES);
    }

    private static void floatOneByOne(MemorySegment a, long aAt, int inner, MemorySegment w, long wAt,
            float[] lanes) {
        int bound = VectorMath.FLOATS.loopBound(inner);
        var s00 = FloatVector.zero(VectorMath.FLOATS);
        for (int i = 0; i < bound; i += LANES) {
            long aHere = aAt + 4L * i;
            long wHere = wAt + 4L * i;
            var w0 = load(w, wHere);
            var a0 = load(a, aHere);
            s00 = a0.fma(w0, s00);
        }
        s00.intoArray(lanes, 0);
    }
}
