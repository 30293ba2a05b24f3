package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.BlasProducts;
import dev.sidewinder.cuda.kernel.Linear;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.ProductInput;
import dev.sidewinder.cuda.kernel.RmsNorm;
import dev.sidewinder.cuda.kernel.Sm90Linear;
import java.util.List;
import java.util.Optional;

/// Norms and matrix products, in the form that each matrix takes its activations.
final class Products {

    private final Stream stream;
    private final RmsNorm rmsNorm;
    private final Linear linear;
    private final Optional<BlasProducts> blas;
    private final Optional<Sm90Linear> warpgroups;
    private final int fewestWarpgroupRows;
    private final int portableRows;

    private Products(Stream stream, RmsNorm rmsNorm, Linear linear, Optional<BlasProducts> blas, Optional<Sm90Linear> warpgroups,
            int fewestWarpgroupRows, int portableRows) {
        this.stream = stream;
        this.rmsNorm = rmsNorm;
        this.linear = linear;
        this.blas = blas;
        this.warpgroups = warpgroups;
        this.fewestWarpgroupRows = fewestWarpgroupRows;
        this.portableRows = portableRows;
    }

    /// Of decode steps and of the head.
    ///
    /// @param blas takes what it was measured to be quicker at
    static Products of(Stream stream, RmsNorm rmsNorm, Linear linear, Optional<BlasProducts> blas) {
        return new Products(stream, rmsNorm, linear, blas, Optional.empty(), 0, 0);
    }

    /// Of passes over prompts: on warpgroup kernels what they take, from so many rows on.
    Products forPrompts(Sm90Linear kernels, int fewestRows) {
        return new Products(stream, rmsNorm, linear, blas, Optional.of(kernels), fewestRows, 0);
    }

    /// The same behind rows that stay with the portable kernels: a product that the warpgroup kernels take has two launches then.
    Products behind(int rows) {
        return new Products(stream, rmsNorm, linear, blas, warpgroups, fewestWarpgroupRows, rows);
    }

    /// In which form a matrix takes activations.
    ///
    /// @param high memory for bf16 values, or for e4m3 ones
    /// @param low  memory for what bf16 leaves of them, 0 when that may be lost
    static ProductInput input(DeviceLinear matrix, long high, long low) {
        if (matrix.takesE4m3()) {
            return new ProductInput.E4m3(high, matrix.inputScale());
        }
        return low == 0 ? new ProductInput.Bf16(high) : new ProductInput.Bf16Pair(high, low);
    }

    /// Multiplies normalised rows of the residual stream: in one launch where that is quicker, which changes no bit.
    ///
    /// @param normed memory for the normalised rows, in the form that the matrix takes
    void multiplyNormed(ProductInput normed, RmsNorm.Rows rows, RmsNorm.Weight weight, DeviceLinear matrix, Linear.Output output) {
        multiplyNormed(normed, rows, weight, List.of(new Linear.Part(matrix.weights(), output)));
    }

    void multiplyNormed(ProductInput normed, RmsNorm.Rows rows, RmsNorm.Weight weight, List<Linear.Part> parts) {
        Linear.Source source = source(normed, rows.rows());
        if (!byBlas(source, parts) && !onWarpgroups(source, parts) && linear.normalises(source, rows, weight, parts)) {
            linear.multiplyNormed(stream, source, rows, weight, parts);
        } else {
            normalise(normed, rows, weight);
            multiply(source, parts);
        }
    }

    /// Normalises rows of the residual stream.
    private void normalise(ProductInput out, RmsNorm.Rows rows, RmsNorm.Weight weight) {
        switch (out) {
            case ProductInput.Bf16(long address) -> rmsNorm.toBf16(stream, address, 0, rows, weight);
            case ProductInput.Bf16Pair(long high, long low) -> rmsNorm.toBf16(stream, high, low, rows, weight);
            case ProductInput.E4m3(long address, float scale) -> rmsNorm.toE4m3(stream, address, scale, rows, weight);
        }
    }

    void multiply(ProductInput input, int rows, DeviceLinear matrix, Linear.Output output) {
        multiply(source(input, rows), List.of(new Linear.Part(matrix.weights(), output)));
    }

    private void multiply(Linear.Source source, List<Linear.Part> parts) {
        if (byBlas(source, parts)) {
            blas.orElseThrow().multiply(stream, source, parts);
            return;
        }
        if (!onWarpgroups(source, parts)) {
            linear.multiply(stream, source, parts);
            return;
        }
        if (portableRows == 0) {
            warpgroups.orElseThrow().multiply(stream, source, parts);
            return;
        }
        Linear.Weights weights = parts.getFirst().weights();
        long rowBytes = (long) weights.inputs() * weights.numbers().sourceBits() / Byte.SIZE;
        linear.multiply(stream, source.tokens(0, portableRows, rowBytes), parts);
        warpgroups.orElseThrow().multiply(stream, source.tokens(portableRows, source.tokens() - portableRows, rowBytes),
                parts.stream().map(part -> part.from(portableRows)).toList());
    }

    private boolean byBlas(Linear.Source source, List<Linear.Part> parts) {
        return blas.isPresent() && blas.get().takes(source, parts);
    }

    private boolean onWarpgroups(Linear.Source source, List<Linear.Part> parts) {
        return warpgroups.isPresent() && source.tokens() >= fewestWarpgroupRows && warpgroups.get().takes(source, parts);
    }

    private static Linear.Source source(ProductInput input, int rows) {
        return switch (input) {
            case ProductInput.Bf16(long address) -> Linear.Source.of(address, rows);
            case ProductInput.Bf16Pair(long high, long low) -> Linear.Source.of(high, rows).withLow(low);
            case ProductInput.E4m3(long address, float scale) -> Linear.Source.of(address, rows).scaled(scale);
        };
    }

    /// `residual += down(max(0, up x)²)`.
    ///
    /// @param middle memory for `[rows, up.outputs]` in bf16
    void addSquaredRelu(ProductInput input, int rows, DeviceLayer.Dense dense, long middle, long residual) {
        multiply(input, rows, dense.up(), squaredRelu(dense, middle));
        addDown(dense, rows, middle, residual);
    }

    /// The same of normalised rows of the residual stream.
    void addSquaredReluNormed(ProductInput normed, RmsNorm.Rows rows, RmsNorm.Weight weight, DeviceLayer.Dense dense,
            long middle, long residual) {
        multiplyNormed(normed, rows, weight, dense.up(), squaredRelu(dense, middle));
        addDown(dense, rows.rows(), middle, residual);
    }

    private static Linear.Output squaredRelu(DeviceLayer.Dense dense, long middle) {
        return dense.down().takesE4m3()
                ? new Linear.Output(middle, dense.up().outputs(), Finish.SQUARED_RELU_E4M3, dense.down().inputScale())
                : new Linear.Output(middle, dense.up().outputs(), Finish.SQUARED_RELU_BF16);
    }

    private void addDown(DeviceLayer.Dense dense, int rows, long middle, long residual) {
        DeviceLinear down = dense.down();
        multiply(input(down, middle, 0), rows, down, new Linear.Output(residual, down.outputs(), Finish.ADD_F32));
    }
}
