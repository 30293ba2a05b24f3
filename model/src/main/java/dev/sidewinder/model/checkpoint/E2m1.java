package dev.sidewinder.model.checkpoint;

/// FP4 in the E2M1 form: codes 0 to 7 are 0, 0.5, 1, 1.5, 2, 3, 4, 6; codes 8 to 15 the same with a minus.
public final class E2m1 {

    /// The largest value.
    public static final float MAX = 6;

    private static final float[] VALUES = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};

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
        float magnitude = Math.abs(value);
        // one comparison per border, no branches: random values would mispredict every one
        int code = (magnitude > 0.25f ? 1 : 0) + (magnitude >= 0.75f ? 1 : 0) + (magnitude > 1.25f ? 1 : 0)
                + (magnitude >= 1.75f ? 1 : 0) + (magnitude > 2.5f ? 1 : 0) + (magnitude >= 3.5f ? 1 : 0)
                + (magnitude > 5 ? 1 : 0);
        return code | Float.floatToRawIntBits(value) >>> 28 & 8;
    }
}
