package dev.sidewinder.engine.cpu;

import java.lang.foreign.MemorySegment;

/// A row-major matrix in fp32 or bf16, used where it lies, with our own product kernel.
final class VectorLinear implements Linear {

    private final CpuMath math;
    private final MemorySegment weights;
    private final boolean bf16;
    private final int outputs;
    private final int inputs;
    private final float[][] scratch;

    /// @param weights `[outputs, inputs]`
    /// @param scratch [CpuMath#PRODUCT_SCRATCH] floats for each worker, shared by all matrices
    VectorLinear(CpuMath math, MemorySegment weights, boolean bf16, int outputs, int inputs, float[][] scratch) {
        this.math = math;
        this.weights = weights;
        this.bf16 = bf16;
        this.outputs = outputs;
        this.inputs = inputs;
        this.scratch = scratch;
    }

    @Override
    public int outputs() {
        return outputs;
    }

    @Override
    public int inputs() {
        return inputs;
    }

    @Override
    public void multiply(int tile, SourceRows source, int firstRow, int rows, MemorySegment result, int worker) {
        long weightsAt = (long) tile * TILE_COLUMNS * inputs * (bf16 ? 2 : 4);
        math.product(source.data(), source.at(firstRow), rows, inputs, weights, weightsAt, bf16, tileColumns(tile),
                result, scratch[worker]);
    }
}
