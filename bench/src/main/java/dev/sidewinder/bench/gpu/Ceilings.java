package dev.sidewinder.bench.gpu;

/// What a device can do at most, as measured on it in the same run: what times are held against.
///
/// @param bytesPerSecond of device memory, bytes read and written counted together
/// @param bf16FlopsPerSecond of a large product in bf16 with sums in fp32, on random data
/// @param fp8FlopsPerSecond the same in e4m3
public record Ceilings(double bytesPerSecond, double bf16FlopsPerSecond, double fp8FlopsPerSecond) {

    /// In which format an operator multiplies.
    public enum Arithmetic {
        /// On tensor cores, in bf16.
        BF16,
        /// On tensor cores, in e4m3.
        FP8
    }

    public Ceilings {
        if (!(bytesPerSecond > 0) || !(bf16FlopsPerSecond > 0) || !(fp8FlopsPerSecond > 0)) {
            throw new IllegalArgumentException("ceilings of %s bytes, %s and %s operations a second; all are above 0"
                    .formatted(bytesPerSecond, bf16FlopsPerSecond, fp8FlopsPerSecond));
        }
    }

    /// The least time, in microseconds, for moving so many bytes while doing so many operations: the longer of the two.
    public double floorMicros(double bytes, double flops, Arithmetic arithmetic) {
        return Math.max(bytes / bytesPerSecond, flops / flopsPerSecond(arithmetic)) * 1e6;
    }

    /// The same for work of which a part is in either format.
    public double floorMicros(double bytes, double bf16Flops, double fp8Flops) {
        return Math.max(bytes / bytesPerSecond, bf16Flops / bf16FlopsPerSecond + fp8Flops / fp8FlopsPerSecond) * 1e6;
    }

    private double flopsPerSecond(Arithmetic arithmetic) {
        return switch (arithmetic) {
            case BF16 -> bf16FlopsPerSecond;
            case FP8 -> fp8FlopsPerSecond;
        };
    }
}
