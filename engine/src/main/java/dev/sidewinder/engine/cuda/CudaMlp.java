package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.kernel.ProductInput;
import dev.sidewinder.cuda.kernel.RmsNorm;

/// Dense feed-forward layer: `down(max(0, up x)²)`.
final class CudaMlp implements CudaLayer {

    private final CudaRuntime runtime;
    private final DeviceLayer.Mlp weights;
    private final ProductInput normed;
    private final long middle;

    CudaMlp(CudaRuntime runtime, DeviceLayer.Mlp weights) {
        this.runtime = runtime;
        this.weights = weights;
        normed = Products.input(weights.dense().up(), runtime.scratch(runtime.hidden(), Short.BYTES), 0);
        middle = runtime.scratch(weights.dense().up().outputs(), Short.BYTES);
    }

    @Override
    public void launch(Pass pass) {
        Products products = runtime.products(pass);
        products.addSquaredReluNormed(normed, RmsNorm.Rows.all(runtime.residual(), pass.rows(), runtime.hidden()), weights.norm(),
                weights.dense(), middle, runtime.residual());
    }
}
