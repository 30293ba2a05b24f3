package dev.sidewinder.model.checkpoint;

/// FP8 in the E4M3 "fn" form: sign, 4 exponent bits with bias 7, 3 mantissa bits, no infinities.
///
/// Code 0x7F (and 0xFF) is NaN; the largest value is 448, the smallest normal 2^-6, the smallest subnormal 2^-9.
/// Source: Micikevicius et al. 2022 (arXiv:2209.05433), table 1.
public final class E4m3 {

    /// The largest value.
    public static final float MAX = 448;

    private static final int MAX_BITS = Float.floatToRawIntBits(MAX);
    private static final int MIN_NORMAL_BITS = Float.floatToRawIntBits(0x1p-6f);
    private static final float[] VALUES = values();

    private E4m3() {}

    public static float decode(byte code) {
        return VALUES[code & 0xFF];
    }

    /// All 256 values by code, for loops that decode many. A copy: the caller may keep it.
    public static float[] table() {
        return VALUES.clone();
    }

    public static boolean isNaN(byte code) {
        return (code & 0x7F) == 0x7F;
    }

    /// Rounds to nearest, ties to even. Saturates at ±448, infinities included; NaN stays NaN.
    public static byte encode(float value) {
        int bits = Float.floatToRawIntBits(value);
        int sign = bits >>> 24 & 0x80;
        int magnitude = bits & 0x7FFF_FFFF;
        if (magnitude > 0x7F80_0000) {
            return (byte) (sign | 0x7F);
        }
        if (magnitude >= MAX_BITS) {
            return (byte) (sign | 0x7E);
        }
        if (magnitude < MIN_NORMAL_BITS) {
            // steps of 2^-9; eight of them are the code of the smallest normal
            return (byte) (sign | (int) Math.rint(Float.intBitsToFloat(magnitude) * 0x1p9));
        }
        int rounded = magnitude + 0x7_FFFF + (magnitude >>> 20 & 1);
        return (byte) (sign | (rounded >>> 20) - (127 - 7 << 3));
    }

    private static float[] values() {
        float[] values = new float[256];
        for (int code = 0; code < 256; code++) {
            int exponent = code >> 3 & 15;
            int mantissa = code & 7;
            float magnitude = exponent == 0 ? mantissa * 0x1p-9f
                    : Math.scalb(1 + mantissa / 8f, exponent - 7);
            if ((code & 0x7F) == 0x7F) {
                magnitude = Float.NaN;
            }
            values[code] = code < 128 ? magnitude : -magnitude;
        }
        return values;
    }
}
