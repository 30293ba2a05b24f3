package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.kernel.AttentionPlan;
import dev.sidewinder.cuda.kernel.AttentionPlan.DecodeSplit;
import dev.sidewinder.cuda.kernel.AttentionShape;
import dev.sidewinder.cuda.kernel.PagedAttention;
import dev.sidewinder.cuda.kernel.PromptSplit;
import dev.sidewinder.cuda.kernel.SplitPolicy;
import java.util.LinkedHashMap;
import java.util.Map;

/// Who does what in the attention of a pass, settled on the device once for all layers of the same shape.
final class AttentionPlans {

    /// @param plan           device memory of the plan of generated tokens
    /// @param promptPlan     of that of prompts
    /// @param workspace      of generated tokens
    /// @param promptCounters of [PromptSplit.PromptWorkspace]
    /// @param maxBlocks      KV blocks of the longest sequence
    record Plan(AttentionShape shape, DecodeSplit split, PromptSplit promptSplit, long plan, long promptPlan,
            PagedAttention.Workspace workspace, long promptCounters, int maxBlocks) {

        long promptNodeBytes() {
            return promptSplit.nodeBytes(shape, maxBlocks);
        }
    }

    private final CudaRuntime runtime;
    private final AttentionPlan planner;
    private final PagedAttention attention;
    private final int maxBlocks;
    private final Map<AttentionShape, Plan> plans = new LinkedHashMap<>();

    /// @param maxBlocks KV blocks of the longest sequence
    AttentionPlans(CudaRuntime runtime, PagedAttention attention, int maxBlocks) {
        this.runtime = runtime;
        this.attention = attention;
        this.maxBlocks = maxBlocks;
        planner = new AttentionPlan(runtime.kernels());
    }

    /// The plan for layers of this shape.
    Plan of(AttentionShape shape) {
        return plans.computeIfAbsent(shape, this::plan);
    }

    private Plan plan(AttentionShape shape) {
        CudaOptions options = runtime.options();
        DecodeSplit split = attention.split(options.batchInvariant() ? SplitPolicy.INVARIANT : SplitPolicy.BALANCED, shape,
                options.kvFormat().type());
        int slots = split.partialSlots(shape, options.decodeRows(), maxBlocks);
        PromptSplit promptSplit = attention.promptSplit(shape, options.kvFormat().type(), options.maxSequences(),
                options.maxBatchTokens(), maxBlocks);
        Workspace workspace = runtime.workspace();
        return new Plan(shape, split, promptSplit,
                workspace.kept("attention plan of " + shape, AttentionPlan.decodeBytes(options.decodeRows(), split)),
                workspace.kept("plan of attention over prompts of " + shape, AttentionPlan.promptBytes(options.maxSequences())),
                new PagedAttention.Workspace(
                        workspace.kept("attention parts of " + shape, PagedAttention.Workspace.partialBytes(shape, slots)),
                        workspace.kept("attention counters of " + shape, PagedAttention.Workspace.counterBytes(slots)),
                        slots),
                workspace.kept("counters of attention over prompts of " + shape, promptSplit.counterBytes()), maxBlocks);
    }

    /// Launches the planning of a pass, in front of its layers.
    void launch(Pass pass) {
        for (Plan plan : plans.values()) {
            switch (pass) {
                case Pass.Decode decode -> launch(plan, decode);
                case Pass.Prompt prompt -> launch(plan, prompt);
                case Pass.Mixed(Pass.Decode decode, Pass.Prompt prompt) -> {
                    launch(plan, decode);
                    launch(plan, prompt);
                }
            }
        }
    }

    private void launch(Plan plan, Pass.Decode decode) {
        planner.decode(runtime.stream(), plan.plan(), plan.shape(), decode.sequences(), plan.split());
    }

    private void launch(Plan plan, Pass.Prompt prompt) {
        planner.prompt(runtime.stream(), plan.promptPlan(), plan.shape(), prompt.sequences(), plan.promptSplit());
    }
}
