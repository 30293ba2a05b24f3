package dev.sidewinder.cuda.kernel;

import java.util.Arrays;

/// The small number formats on the host, by their definitions; ties go to even.
final class SmallFloats {

    private static final int E4M3_CODES = 127;  // of one sign; the last is NaN
    private static final double LARGEST_E4M3 = 448;
    private static final double[] E4M3 = new double[E4M3_CODES];

    static {
        for (int code = 0; code < E4M3_CODES; code++) {
            int exponent = code >> 3;
            int mantissa = code & 7;
            E4M3[code] = exponent == 0 ? Math.scalb(mantissa, -9) : Math.scalb(8 + mantissa, exponent - 10);
        }
    }

    private SmallFloats() {}

    static short bf16Bits(float value) {
        int bits = Float.floatToRawIntBits(value);
        return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
    }

    static float bf16(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    static float roundToBf16(float value) {
        return bf16(bf16Bits(value));
    }

    static float e4m3(byte code) {
        int magnitude = code & 0x7f;
        if (magnitude == E4M3_CODES) {
            return Float.NaN;
        }
        return (float) (code < 0 ? -E4M3[magnitude] : E4M3[magnitude]);
    }

    /// Saturating.
    static byte e4m3Code(float value) {
        if (Float.isNaN(value)) {
            return 0x7f;
        }
        double magnitude = Math.min(Math.abs((double) value), LARGEST_E4M3);
        // Steps of 1/8 of the power of two below, but never finer than 2^-9.
        int step = Math.max(magnitude == 0 ? -9 : Math.getExponent(magnitude) - 3, -9);
        double rounded = Math.min(Math.rint(Math.scalb(magnitude, -step)) * Math.scalb(1.0, step), LARGEST_E4M3);
        int code = Arrays.binarySearch(E4M3, rounded);
        return (byte) (Float.floatToRawIntBits(value) < 0 ? code | 0x80 : code);
    }

    /// To the 11 significant bits of f16, without its bounds on the exponent.
    static float roundTo11Bits(float value) {
        if (value == 0) {
            return value;
        }
        int exponent = Math.getExponent(value);
        return (float) Math.scalb(Math.rint(Math.scalb((double) value, 10 - exponent)), exponent - 10);
    }
}
