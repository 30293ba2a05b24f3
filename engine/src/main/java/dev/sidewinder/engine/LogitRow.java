package dev.sidewinder.engine;

import dev.sidewinder.model.grammar.TokenMask;
import java.util.Arrays;

/// Questions to one row of logits. The loops are plain so that the compiler turns them into vector code.
final class LogitRow {

    private static final int BLOCK = 1024;
    private static final int MAGNITUDE_BITS = 0x7fffffff;

    private LogitRow() {}

    /// Whether there is neither NaN nor infinity in the row.
    static boolean isFinite(float[] values, int offset, int count) {
        float largest = 0;
        for (int i = 0; i < count; i++) {
            largest = Math.max(largest, Math.abs(values[offset + i]));
        }
        // NaN survives every max and compares as false.
        return largest <= Float.MAX_VALUE;
    }

    /// The index of the largest value, the lowest of several. No NaN.
    static int argMax(float[] values, int offset, int count) {
        float max = Float.NEGATIVE_INFINITY;
        int block = 0;
        for (int from = 0; from < count; from += BLOCK) {
            float largest = max(values, offset + from, offset + Math.min(from + BLOCK, count));
            if (largest > max) {
                max = largest;
                block = from;
            }
        }
        int index = block;
        while (values[offset + index] != max) {
            index++;
        }
        return index;
    }

    /// Bans the tokens that a mask does not allow.
    static void keep(float[] row, int count, TokenMask mask) {
        for (int from = 0; from < count; from += Long.SIZE) {
            long allowed = mask.word(from / Long.SIZE);
            int to = Math.min(from + Long.SIZE, count);
            if (allowed == 0) {
                Arrays.fill(row, from, to, Float.NEGATIVE_INFINITY);
            } else if (allowed != -1) {
                for (int token = from; token < to; token++) {
                    row[token] = (allowed >>> token & 1) != 0 ? row[token] : Float.NEGATIVE_INFINITY;
                }
            }
        }
    }

    private static float max(float[] values, int from, int to) {
        float max = Float.NEGATIVE_INFINITY;
        for (int i = from; i < to; i++) {
            max = Math.max(max, values[i]);
        }
        return max;
    }

    /// An integer that orders as the float does. Adding 0 makes -0 equal to 0, as it is everywhere else.
    static int orderKey(float value) {
        int bits = Float.floatToRawIntBits(value + 0f);
        return bits ^ (bits >> 31 & MAGNITUDE_BITS);
    }
}
