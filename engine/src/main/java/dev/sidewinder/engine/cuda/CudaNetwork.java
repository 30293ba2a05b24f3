package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.kernel.Embedding;
import dev.sidewinder.cuda.kernel.FiniteRows;
import dev.sidewinder.cuda.kernel.Linear;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.PagedAttention;
import dev.sidewinder.cuda.kernel.Sm90PagedAttentionPrompt;
import dev.sidewinder.cuda.kernel.ProductInput;
import dev.sidewinder.cuda.kernel.RmsNorm;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Embedding, layers and head as launches. Everything has its place in memory when this is built; a pass only launches.
final class CudaNetwork {

    private final CudaRuntime runtime;
    private final DeviceWeights weights;
    private final Embedding embedding;
    private final AttentionPlans plans;
    private final List<CudaLayer> layers;
    private final ProductInput headInput;
    private final FiniteRows finiteRows;
    /// int32, one for each piece of a pass over prompts.
    private final long spoiled;

    /// @param maxBlocks   KV blocks of the longest sequence
    /// @param logitRows   rows of logits computed at once, at most
    CudaNetwork(CudaRuntime runtime, ModelConfig config, DeviceWeights weights, int maxBlocks, int logitRows) {
        this.runtime = runtime;
        this.weights = weights;
        embedding = new Embedding(runtime.kernels());
        PagedAttention attention = new PagedAttention(runtime.kernels(),
                Optional.of(runtime.kernels()).filter(_ -> runtime.options().warpgroups()).flatMap(Sm90PagedAttentionPrompt::on));
        plans = new AttentionPlans(runtime, attention, maxBlocks);
        layers = new ArrayList<>();
        for (int i = 0; i < config.layers().size(); i++) {
            runtime.workspace().nextLayer();
            layers.add(layer(config.layers().get(i), weights.layers().get(i), attention, i));
        }
        headInput = Products.input(weights.head(),
                runtime.workspace().kept("rows of the head", (long) logitRows * runtime.hidden() * Short.BYTES), 0);
        finiteRows = new FiniteRows(runtime.kernels());
        spoiled = runtime.workspace().kept("pieces that are not finite", (long) runtime.options().maxSequences() * Integer.BYTES);
    }

    private CudaLayer layer(LayerSpec spec, DeviceLayer layer, PagedAttention attention, int index) {
        return switch (spec) {
            case LayerSpec.Mamba mamba -> new CudaMamba(runtime, mamba, (DeviceLayer.Mamba) layer, index);
            case LayerSpec.Attention heads ->
                new CudaAttention(runtime, heads, (DeviceLayer.Attention) layer, attention, plans, index);
            case LayerSpec.Experts experts -> new CudaExperts(runtime, experts, (DeviceLayer.Experts) layer);
            case LayerSpec.Mlp _ -> new CudaMlp(runtime, (DeviceLayer.Mlp) layer);
        };
    }

    /// From token ids to the residual stream behind the last layer.
    void launch(Pass pass) {
        switch (pass) {
            case Pass.Decode(_, int rows, long tokens) -> embed(tokens, 0, rows);
            case Pass.Prompt(_, int rows, _, long tokens) -> embed(tokens, 0, rows);
            case Pass.Mixed(Pass.Decode decode, Pass.Prompt prompt) -> {
                embed(decode.tokens(), 0, decode.rows());
                embed(prompt.tokens(), decode.rows(), prompt.rows());
            }
        }
        plans.launch(pass);
        for (CudaLayer layer : layers) {
            layer.launch(pass);
        }
    }

    private void embed(long tokens, int firstRow, int rows) {
        embedding.lookUp(runtime.stream(), residual(firstRow), tokens, rows, weights.embedding());
    }

    private long residual(int row) {
        return runtime.residual() + (long) row * runtime.hidden() * Float.BYTES;
    }

    /// Looks, behind the last layer, for pieces that left NaN or infinity in the residual stream.
    ///
    /// @param firstRow of the pieces
    /// @return int32 `[sequences]` on the device, 1 for those and 0 for others, until the next pass over prompts
    long findSpoiled(Pass.Prompt pass, int firstRow) {
        int pieces = pass.sequences().sequences();
        runtime.stream().fill(spoiled, (byte) 0, (long) pieces * Integer.BYTES);
        finiteRows.find(runtime.stream(), spoiled, residual(firstRow), pass.sequences().start(), pass.rows(), runtime.hidden(), pieces);
        return spoiled;
    }

    /// From the residual stream to logits.
    ///
    /// @param logits fp32 `[rows, vocabulary]`, out
    /// @param index  int32 `[rows]`, which rows of the residual stream; 0 for the first ones in their order
    void launchHead(long logits, long index, int rows) {
        RmsNorm.Rows chosen = RmsNorm.Rows.all(runtime.residual(), rows, runtime.hidden());
        runtime.products().multiplyNormed(headInput, index == 0 ? chosen : chosen.at(index), weights.finalNorm(), weights.head(),
                new Linear.Output(logits, weights.head().outputs(), Finish.STORE_F32));
    }
}
