package dev.sidewinder.model.synthetic;

import dev.sidewinder.model.checkpoint.Bf16;
import dev.sidewinder.model.checkpoint.E4m3;
import dev.sidewinder.model.checkpoint.Nvfp4;

/// The 65,536 equally likely values of a distribution, rounded to BF16, and their FP8 codes. Drawing a number is one
/// table look-up with 16 random bits. The arrays are the table's own: nobody changes them.
public final class ValueTable {

    public static final int SIZE = 1 << 16;

    private final float[] values = new float[SIZE];
    private final short[] bf16 = new short[SIZE];
    private final byte[] fp8 = new byte[SIZE];
    private final float largest;

    ValueTable(Distribution distribution) {
        float most = 0;
        for (int i = 0; i < SIZE; i++) {
            bf16[i] = Bf16.encode((float) distribution.quantile((i + 0.5) / SIZE));
            values[i] = Bf16.decode(bf16[i]);
            most = Math.max(most, Math.abs(values[i]));
        }
        this.largest = most;
        for (int i = 0; i < SIZE; i++) {
            fp8[i] = E4m3.encode(values[i] / fp8Scale());
        }
    }

    float[] values() {
        return values;
    }

    public short[] bf16() {
        return bf16;
    }

    /// Codes under [#fp8Scale].
    public byte[] fp8() {
        return fp8;
    }

    /// Maps the largest value to the largest code.
    float fp8Scale() {
        return largest / E4m3.MAX;
    }

    /// The factor of a whole NVFP4 matrix that uses the whole range of both codes.
    public float nvfp4Scale() {
        return Nvfp4.globalScale(largest);
    }
}
