package dev.sidewinder.engine;

/// Arithmetic over one row of logits. Every routine gives the same bits for the same row, whatever the machine and
/// wherever the row lies: sums are of integers, and everything else is element by element. The loops are plain so that
/// the compiler turns them into vector code.
final class LogitRow {

    /// Weights are counted in units of 2^-40 of the largest one. What is lost by it, even over a vocabulary of 2^18, is
    /// below the precision of a float; and a sum of up to 2^22 weights fits into a long.
    private static final float WEIGHT_UNITS = 1L << 40;

    /// exp of anything below is too small to count. Also keeps the exponent of the result a normal one.
    private static final float LEAST_EXPONENT = -87f;

    private static final int EXPONENT_BITS = 0x7f800000;
    private static final int MAGNITUDE_BITS = 0x7fffffff;

    /// Adding 1.5 x 2^23 to a float of moderate size rounds it to an integer, which then stands in its low bits.
    private static final float ROUNDER = 12582912f;
    private static final int ROUNDER_BITS = Float.floatToRawIntBits(ROUNDER);

    private LogitRow() {}

    /// Whether there is neither NaN nor infinity in the row.
    static boolean isFinite(float[] values, int offset, int count) {
        int largest = 0;
        for (int i = 0; i < count; i++) {
            largest = Math.max(largest, Float.floatToRawIntBits(values[offset + i]) & MAGNITUDE_BITS);
        }
        return largest < EXPONENT_BITS;
    }

    /// An integer that orders as the float does; -0 is below 0.
    static int orderKey(float value) {
        int bits = Float.floatToRawIntBits(value);
        return bits ^ (bits >> 31 & MAGNITUDE_BITS);
    }

    /// The index of the largest value, the lowest of several. No NaN.
    static int argMax(float[] values, int offset, int count) {
        int largest = Integer.MIN_VALUE;
        for (int i = 0; i < count; i++) {
            int bits = Float.floatToRawIntBits(values[offset + i]);
            largest = Math.max(largest, bits ^ (bits >> 31 & MAGNITUDE_BITS));
        }
        float max = Float.intBitsToFloat(largest ^ (largest >> 31 & MAGNITUDE_BITS));
        for (int i = 0; i < count; i++) {
            if (values[offset + i] == max) {
                return i;
            }
        }
        throw new IllegalStateException("no largest value in a row of " + count + ": it holds NaN");
    }

    /// `weights[i] = exp((values[offset + i] - max) x scale)`, to within 2 ulp; at `max` it is exactly 1.
    ///
    /// Source: Cephes, `expf`: reduction by powers of two with ln 2 in two parts, polynomial of degree 5 for the rest.
    static void weigh(float[] values, int offset, int count, float max, float scale, float[] weights) {
        for (int i = 0; i < count; i++) {
            float x = Math.max((values[offset + i] - max) * scale, LEAST_EXPONENT);
            float rounded = x * 1.44269504f + ROUNDER;
            float n = rounded - ROUNDER;
            float r = x - n * 0.693359375f - n * -2.12194440e-4f;
            float p = 1.9875691500e-4f;
            p = p * r + 1.3981999507e-3f;
            p = p * r + 8.3334519073e-3f;
            p = p * r + 4.1665795894e-2f;
            p = p * r + 1.6666665459e-1f;
            p = p * r + 5.0000001201e-1f;
            float y = p * r * r + r + 1f;
            int power = Float.floatToRawIntBits(rounded) - ROUNDER_BITS + 127 << 23;
            weights[i] = y * Float.intBitsToFloat(power);
        }
    }

    /// A weight as an integer, so that sums do not depend on their order.
    static long units(float weight) {
        return (long) (weight * WEIGHT_UNITS);
    }

    /// The sum of the weights, in units.
    static long totalUnits(float[] weights, int count) {
        long total = 0;
        for (int i = 0; i < count; i++) {
            total += (long) (weights[i] * WEIGHT_UNITS);
        }
        return total;
    }

    /// The natural logarithm of a number of units.
    static double logOfUnits(long units) {
        return Math.log(units / (double) WEIGHT_UNITS);
    }
}
