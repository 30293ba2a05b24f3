package dev.sidewinder.cuda.kernel;

/// A number format of activations between kernels.
public enum FloatFormat {
    BF16("bf16", 2),
    F32("f32", 4);

    private final String suffix;
    private final int bytes;

    FloatFormat(String suffix, int bytes) {
        this.suffix = suffix;
        this.bytes = bytes;
    }

    /// As kernels are named.
    String suffix() {
        return suffix;
    }

    public int bytes() {
        return bytes;
    }
}
