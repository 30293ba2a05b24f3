package dev.sidewinder.model.checkpoint;

/// BF16: the upper half of a float.
public final class Bf16 {

    private Bf16() {}

    public static float decode(short bits) {
        return Float.intBitsToFloat(bits << 16);
    }

    /// Rounds to nearest, ties to even. NaN stays NaN.
    public static short encode(float value) {
        int bits = Float.floatToRawIntBits(value);
        if (value != value) {
            return (short) (bits >>> 16 | 0x40);
        }
        return (short) (bits + 0x7FFF + (bits >>> 16 & 1) >>> 16);
    }
}
