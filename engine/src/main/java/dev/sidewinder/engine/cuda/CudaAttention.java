package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.kernel.ActivationRows;
import dev.sidewinder.cuda.kernel.AttentionShape;
import dev.sidewinder.cuda.kernel.KvCacheLayer;
import dev.sidewinder.cuda.kernel.KvWrite;
import dev.sidewinder.cuda.kernel.Linear;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.PagedAttention;
import dev.sidewinder.cuda.kernel.ProductInput;
import dev.sidewinder.cuda.kernel.PromptSplit.PromptWorkspace;
import dev.sidewinder.cuda.kernel.RmsNorm;
import dev.sidewinder.model.config.LayerSpec;
import java.util.ArrayList;
import java.util.List;

/// Causal attention with grouped queries and no positions, over keys and values in blocks of 128 tokens.
final class CudaAttention implements CudaLayer {

    private final CudaRuntime runtime;
    private final DeviceLayer.Attention weights;
    private final AttentionShape shape;
    private final KvCacheLayer cache;
    private final KvWrite kvWrite;
    private final PagedAttention attention;
    private final AttentionPlans.Plan plan;
    private final PromptWorkspace promptWorkspace;
    private final float scoreScale;

    /// One of query, key and value: its matrix and where its result goes.
    private record Projection(DeviceLinear matrix, long result) {

        Linear.Part part() {
            return new Linear.Part(matrix.weights(), new Linear.Output(result, matrix.outputs(), Finish.STORE_F32));
        }

        ActivationRows rows() {
            return ActivationRows.f32(result, matrix.outputs());
        }
    }

    /// Projections that take the same activations.
    private record Launch(ProductInput normed, List<Linear.Part> parts) {}

    private final Projection query;
    private final Projection key;
    private final Projection value;
    private final List<Launch> launches;
    private final ProductInput attended;
    private final PagedAttention.Result result;

    CudaAttention(CudaRuntime runtime, LayerSpec.Attention spec, DeviceLayer.Attention weights, PagedAttention attention,
            AttentionPlans plans, int layer) {
        this.runtime = runtime;
        this.weights = weights;
        this.attention = attention;
        shape = new AttentionShape(spec.queryHeads(), spec.kvHeads(), spec.headDim());
        boolean scaled = runtime.options().kvFormat() == KvFormat.E4M3;
        cache = new KvCacheLayer(runtime.blocks(), runtime.options().kvFormat().type(), runtime.layout().blockBytes(),
                runtime.layout().kvOffset()[layer], spec.kvHeads(), spec.headDim(), scaled ? weights.keyScale() : 1,
                scaled ? weights.valueScale() : 1);
        kvWrite = new KvWrite(runtime.kernels());
        plan = plans.of(shape);
        scoreScale = (float) (1 / Math.sqrt(spec.headDim()));

        long normed = runtime.scratch(runtime.hidden(), Short.BYTES);
        query = projection(weights.query());
        key = projection(weights.key());
        value = projection(weights.value());
        launches = launches(normed);
        promptWorkspace = new PromptWorkspace(runtime.workspace().scratch(plan.promptNodeBytes()), plan.promptCounters(),
                plan.maxBlocks());
        attended = Products.input(weights.output(), runtime.scratch(weights.output().inputs(), Short.BYTES), 0);
        result = switch (attended) {
            case ProductInput.E4m3(long address, float scale) -> PagedAttention.Result.toE4m3(address, scale);
            case ProductInput.Bf16(long address) -> PagedAttention.Result.toBf16(address);
            case ProductInput.Bf16Pair(long high, long _) -> PagedAttention.Result.toBf16(high);
        };
    }

    private Projection projection(DeviceLinear matrix) {
        return new Projection(matrix, runtime.scratch(matrix.outputs(), Float.BYTES));
    }

    /// Mostly all three run together.
    private List<Launch> launches(long normed) {
        List<Launch> result = new ArrayList<>();
        DeviceLinear before = null;
        for (Projection projection : List.of(query, key, value)) {
            if (before == null || !before.sharesSourceWith(projection.matrix())) {
                result.add(new Launch(Products.input(projection.matrix(), normed, 0), new ArrayList<>()));
            }
            result.getLast().parts().add(projection.part());
            before = projection.matrix();
        }
        return result;
    }

    @Override
    public void launch(Pass pass) {
        Products products = runtime.products(pass);
        int rows = pass.rows();
        for (Launch launch : launches) {
            products.multiplyNormed(launch.normed(), RmsNorm.Rows.all(runtime.residual(), rows, runtime.hidden()), weights.norm(),
                    launch.parts());
        }
        switch (pass) {
            case Pass.Decode decode -> attend(decode);
            case Pass.Prompt prompt -> attend(prompt, 0);
            case Pass.Mixed(Pass.Decode decode, Pass.Prompt prompt) -> {
                attend(decode);
                attend(prompt, decode.rows());
            }
        }
        products.multiply(attended, rows, weights.output(),
                new Linear.Output(runtime.residual(), runtime.hidden(), Finish.ADD_F32));
    }

    private void attend(Pass.Decode decode) {
        kvWrite.write(runtime.stream(), cache, key.rows(), value.rows(), decode.sequences(), decode.rows());
        attention.decode(runtime.stream(), result, plan.workspace(), query.rows(), cache, shape, decode.sequences(), plan.plan(),
                plan.split(), scoreScale);
    }

    /// @param firstRow of the pieces in what the projections give and take
    private void attend(Pass.Prompt prompt, int firstRow) {
        kvWrite.write(runtime.stream(), cache, key.rows().from(firstRow), value.rows().from(firstRow), prompt.sequences(),
                prompt.rows());
        attention.prompt(runtime.stream(), result.from((long) firstRow * weights.output().inputs()), promptWorkspace,
                query.rows().from(firstRow), cache, shape, prompt.sequences(), plan.promptPlan(), plan.promptSplit(), prompt.rows(),
                scoreScale);
    }
}
