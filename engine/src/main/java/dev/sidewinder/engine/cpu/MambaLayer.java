package dev.sidewinder.engine.cpu;

import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.scheduler.BatchEntry;

/// Mamba-2 layer: input projection, causal convolution, selective recurrence, gated norm, output projection.
///
/// The recurrence runs token by token, for prompts as for single tokens: on a CPU that costs no more operations than the
/// chunked scan, and a token's bits then cannot depend on how its prompt was cut. The group (heads that share B, C and
/// one norm) is the unit of parallel work: everything between the two projections stays inside it.
/// Source: Dao and Gu 2024 (arXiv:2405.21060), §7; the gate stands before the norm.
final class MambaLayer implements Layer {

    private final CpuRuntime runtime;
    private final LayerSpec.Mamba spec;
    private final RmsNorm norm;
    private final Linear inProjection;
    private final Linear outProjection;
    private final MambaGroup[] groups;
    private final SourceRows normed;
    private final SourceRows inner;
    private final float[] projected;

    /// @param layer index of the layer in the model
    MambaLayer(CpuRuntime runtime, LayerSpec.Mamba spec, RmsNorm norm, LayerWeights.Mamba weights, float epsilon, int layer) {
        this.runtime = runtime;
        this.spec = spec;
        this.norm = norm;
        inProjection = runtime.loader().load(weights.inProjection());
        outProjection = runtime.loader().load(weights.outProjection());
        normed = runtime.workspace().exactSources("normed", inProjection.inputs());
        inner = runtime.workspace().exactSources("mamba inner", spec.innerDim());
        projected = runtime.workspace().floats("mamba projected", 1, spec.projectionDim());
        groups = new MambaGroup[spec.groups()];
        for (int group = 0; group < groups.length; group++) {
            groups[group] = new MambaGroup(runtime, spec, weights, group, epsilon, layer);
        }
    }

    @Override
    public void forward(Step step) {
        ProductRegion products = runtime.products();
        runtime.normalise(step, norm, normed);
        products.addStore(inProjection, normed, 0, step.rows(), projected, 0);
        products.run();
        runtime.pool().run(step.entries().size() * groups.length, (unit, worker) -> {
            int entry = unit / groups.length;
            BatchEntry run = step.entries().get(entry);
            groups[unit % groups.length].run(projected, step.firstRow()[entry], run, inner, worker);
        });
        products.addAdd(outProjection, inner, 0, step.rows(), step.residual(), 0);
        products.run();
    }
}
