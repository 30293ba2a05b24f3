package dev.sidewinder.model.checkpoint;

/// FP4 in the E2M1 form: codes 0 to 7 are 0, 0.5, 1, 1.5, 2, 3, 4, 6; codes 8 to 15 the same with a minus.
public final class E2m1 {

    /// The largest value.
    public static final float MAX = 6;

    private static final float[] VALUES = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};

    private static final int ONE_BITS = Float.floatToRawIntBits(1);
    private static final int HALVES_BITS = Float.floatToRawIntBits(0x1p22f);

    private E2m1() {}

    /// @param code in `[0, 16)`
    public static float decode(int code) {
        return VALUES[code];
    }

    /// All 16 values by code. A copy: the caller may keep it.
    public static float[] table() {
        return VALUES.clone();
    }

    /// Rounds to nearest, ties to the even code. Saturates at ±6.
    ///
    /// @param value not NaN
    public static int encode(float value) {
        int bits = Float.floatToRawIntBits(value);
        int magnitude = bits & 0x7FFF_FFFF;
        // below 1 the codes are steps of 0.5, the spacing of floats at 2^22; from 1 on they are floats with one
        // mantissa bit. No branches on the value: random weights would mispredict every one.
        int below = Float.floatToRawIntBits(Float.intBitsToFloat(magnitude) + 0x1p22f) - HALVES_BITS;
        int above = (magnitude + 0x1F_FFFF + (magnitude >>> 22 & 1) >>> 22) - (127 * 2 - 2);
        int code = Math.min(magnitude < ONE_BITS ? below : above, 7);
        return code | bits >>> 28 & 8;
    }
}
