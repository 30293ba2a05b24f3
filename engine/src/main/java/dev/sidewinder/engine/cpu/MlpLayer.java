package dev.sidewinder.engine.cpu;

import dev.sidewinder.model.checkpoint.LayerWeights;

/// Dense feed-forward layer: `down(max(0, up x)²)`.
final class MlpLayer implements Layer {

    private final CpuRuntime runtime;
    private final RmsNorm norm;
    private final Linear up;
    private final Linear down;
    private final SourceRows normed;
    private final SourceRows middle;

    MlpLayer(CpuRuntime runtime, RmsNorm norm, LayerWeights.Mlp weights) {
        this.runtime = runtime;
        this.norm = norm;
        up = runtime.loader().load(weights.up());
        down = runtime.loader().load(weights.down());
        normed = runtime.workspace().sources("normed", 1, up.inputs());
        middle = runtime.workspace().sources("middle", 1, up.outputs());
    }

    @Override
    public void forward(Step step) {
        runtime.normalise(step, norm, normed);
        ProductRegion products = runtime.products();
        products.addSquaredRelu(up, normed, 0, step.rows(), middle, 0);
        products.run();
        products.addAdd(down, middle, 0, step.rows(), step.residual(), 0);
        products.run();
    }
}
