package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.kernel.AttentionPlan;
import dev.sidewinder.cuda.kernel.AttentionShape;
import dev.sidewinder.cuda.kernel.ExpertMaps;
import dev.sidewinder.cuda.kernel.ExpertShape;
import dev.sidewinder.cuda.kernel.MoeExperts;
import dev.sidewinder.cuda.kernel.PromptSplit;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import java.util.HashMap;
import java.util.Map;

/// About how much workspace a model takes, where there is no device to ask: [CudaMemory] knows it exactly. A test holds the
/// two against each other.
final class WorkspaceEstimate {

    /// Parts of attention that blocks leave to each other, and sums of products that are shared out: a device's number of
    /// multiprocessors decides, and the largest ones come to about this.
    private static final long SHARED_OUT_BYTES = 72L << 20;

    /// Blocks of attention over prompts that a device holds at once: two on each of 132 multiprocessors.
    private static final int ATTENTION_BLOCKS = 2 * 132;

    private final ModelConfig config;
    private final CudaOptions options;

    private WorkspaceEstimate(ModelConfig config, CudaOptions options) {
        this.config = config;
        this.options = options;
    }

    static long bytes(ModelConfig config, DeviceWeights weights, CudaOptions options) {
        var estimate = new WorkspaceEstimate(config, options);
        long scratch = 0;
        Map<Object, Long> plans = new HashMap<>();
        for (int i = 0; i < weights.layers().size(); i++) {
            LayerSpec spec = config.layers().get(i);
            scratch = Math.max(scratch, estimate.scratch(spec, weights.layers().get(i)));
            estimate.planned(spec, weights.layers().get(i), plans);
        }
        return estimate.kept() + plans.values().stream().mapToLong(Long::longValue).sum() + scratch + SHARED_OUT_BYTES;
    }

    /// Residual stream, rows and logits of the head, step tables.
    private long kept() {
        long logitRows = options.decodeRows() + (long) CudaMemory.LOGIT_ROWS;
        return (long) options.rows() * config.hiddenSize() * Float.BYTES
                + logitRows * ((long) config.vocabSize() * Float.BYTES + (long) config.hiddenSize() * Short.BYTES)
                + CudaMemory.decodeSize(options).bytes() + CudaMemory.promptSize(options).bytes();
    }

    /// Maps and plans that layers of the same shape share.
    private void planned(LayerSpec spec, DeviceLayer layer, Map<Object, Long> plans) {
        switch (spec) {
            case LayerSpec.Attention attention -> {
                var shape = new AttentionShape(attention.queryHeads(), attention.kvHeads(), attention.headDim());
                plans.put(shape, AttentionPlan.promptBytes(options.maxSequences()));
            }
            case LayerSpec.Experts experts -> {
                ExpertShape shape = shape(experts, (DeviceLayer.Experts) layer);
                plans.put(shape, ExpertMaps.bytes(shape, options.rows()));
            }
            case LayerSpec.Mamba _, LayerSpec.Mlp _ -> { }
        }
    }

    private ExpertShape shape(LayerSpec.Experts spec, DeviceLayer.Experts layer) {
        return new ExpertShape(spec.latent() > 0 ? spec.latent() : config.hiddenSize(), spec.routed(), spec.active(),
                spec.intermediate(), layer.hasShared() ? spec.sharedIntermediate() : 0);
    }

    /// What a layer needs between its kernels.
    private long scratch(LayerSpec spec, DeviceLayer layer) {
        long rows = options.rows();
        long hidden = config.hiddenSize();
        return switch (spec) {
            case LayerSpec.Mamba mamba -> {
                boolean narrow = ((DeviceLayer.Mamba) layer).inProjection().takesE4m3();
                long wide = narrow ? 1 : 2;
                yield rows * (Short.BYTES * wide * (hidden + mamba.projectionDim() + mamba.convDim() + mamba.innerDim())
                        + (long) Float.BYTES * (mamba.heads() + mamba.innerDim()));
            }
            case LayerSpec.Attention attention -> {
                long queries = (long) attention.queryHeads() * attention.headDim();
                long keys = (long) attention.kvHeads() * attention.headDim();
                var shape = new AttentionShape(attention.queryHeads(), attention.kvHeads(), attention.headDim());
                yield rows * (Short.BYTES * (hidden + queries) + Float.BYTES * (queries + 2 * keys))
                        + PromptSplit.of(ATTENTION_BLOCKS, shape, options.maxSequences(), options.maxBatchTokens(), options.maxBlocks())
                                .nodeBytes(shape, options.maxBlocks());
            }
            case LayerSpec.Experts experts -> {
                var placed = (DeviceLayer.Experts) layer;
                ExpertShape shape = shape(experts, placed);
                long latent = 2L * experts.latent();
                long apart = placed.apart().isPresent() ? experts.sharedIntermediate() : 0;
                yield rows * Short.BYTES * (hidden + latent + apart) + MoeExperts.rowBytes(shape, options.rows())
                        + MoeExperts.middleBytes(shape, placed.routed().format(), options.rows());
            }
            case LayerSpec.Mlp mlp -> rows * Short.BYTES * (hidden + mlp.intermediate());
        };
    }
}
