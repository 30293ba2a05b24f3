package dev.sidewinder.bench.gpu;

/// What a step moves and computes at least, by the arithmetic of [StepArithmetic].
///
/// @param bytes     through device memory
/// @param bf16Flops in bf16, or in anything wider
/// @param fp8Flops  in e4m3
public record StepCost(double bytes, double bf16Flops, double fp8Flops) {

    public static final StepCost NONE = new StepCost(0, 0, 0);

    public StepCost plus(StepCost other) {
        return new StepCost(bytes + other.bytes, bf16Flops + other.bf16Flops, fp8Flops + other.fp8Flops);
    }

    public double flops() {
        return bf16Flops + fp8Flops;
    }

    public double floorMicros(Ceilings ceilings) {
        return ceilings.floorMicros(bytes, bf16Flops, fp8Flops);
    }
}
