package dev.sidewinder.bench.gpu;

/// One measurement on a device.
///
/// @param name  of the operator, with its number format where there are several: `linear bf16`
/// @param shape of this measurement, for people: `in-proj M=64`
/// @param medianMicros microseconds, median of the repeats
/// @param p95Micros    microseconds that 95 of 100 repeats stay within
/// @param bytes the fewest bytes that must pass through device memory: each input read once, each output written once
/// @param flops floating-point operations by formula; 0 where they do not matter
/// @param floorMicros the least time that the device's [Ceilings] allow; 0 where none is known
/// @param note  what else a reader wants to know; may be empty
public record GpuRow(Kind kind, String name, String shape, double medianMicros, double p95Micros, double bytes, double flops,
        double floorMicros, String note) {

    /// Whose time it is.
    public enum Kind {
        /// The device itself: its copy rate, its rate of products.
        CEILING,
        /// A kernel family of ours.
        KERNEL,
        /// The same operator by cuBLAS.
        CUBLAS,
        /// The same operator by PyTorch.
        PYTORCH,
        /// A whole step of a model.
        STEP
    }

    public GpuRow {
        if (!(medianMicros > 0) || !(p95Micros >= medianMicros)) {
            throw new IllegalArgumentException("%s %s: median %s µs, 95 of 100 within %s µs; the first is above 0 and not above the second"
                    .formatted(name, shape, medianMicros, p95Micros));
        }
        if (!(bytes >= 0) || !(flops >= 0) || !(floorMicros >= 0)) {
            throw new IllegalArgumentException("%s %s: %s bytes, %s operations, floor %s µs; none is below 0"
                    .formatted(name, shape, bytes, flops, floorMicros));
        }
    }

    /// How much of the median the floor is: 1 is as fast as the device allows. NaN where no floor is known.
    public double fraction() {
        return floorMicros == 0 ? Double.NaN : floorMicros / medianMicros;
    }

    /// Bytes a second, in GB.
    public double gigabytesPerSecond() {
        return bytes / medianMicros / 1e3;
    }

    /// Operations a second, in TFLOP.
    public double teraflopsPerSecond() {
        return flops / medianMicros / 1e6;
    }
}
