package dev.sidewinder.bench.simulate;

import dev.sidewinder.bench.gpu.StepArithmetic;
import dev.sidewinder.bench.gpu.StepCost;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.TokenSource;
import java.util.List;

/// Says how long a batch takes on a GPU: bytes and operations of [StepArithmetic] at the rates of [Gpu].
///
/// A step is one pass over the weights, as in the CUDA backend: over generated tokens, over pieces of prompts, or over both. A
/// pass takes the longer of moving and computing for its matrices, which have all of its tokens together; and beside these its
/// attention and its recurrences, which are kernels of their own for generated tokens and for prompts; states that a piece leaves on
/// its way are written by these. Copies run before and after, on the same stream.
///
/// What is left out: how evenly experts are chosen in truth (evenly is assumed), padded rows of a graph, the cache on the chip.
final class StepTimer {

    /// Up to so many rows norms happen inside the product behind them.
    private static final int ROWS_WITHOUT_NORMS = 4;
    /// Up to so many rows the sum over a token's experts happens inside the down product.
    private static final int ROWS_WITHOUT_COMBINE = 8;
    /// Up to so many rows the router's launch makes the maps of the experts, too.
    private static final int ROWS_WITHOUT_MAPS = 128;
    /// Embedding, plan of the attention, head.
    private static final int OTHER_KERNELS = 3;

    private final StepArithmetic arithmetic;
    private final Gpu.Rates rates;
    private final long stateBytes;
    private final long blockBytes;
    private final int layers;
    private final int mambaLayers;
    private final int expertLayers;
    private final int attentionLayers;
    private final int mlpLayers;
    private final double passingBytes;

    /// By number of tokens in the pass; filled as they come up.
    private final StepCost[] linears;
    private final StepCost[] heads;

    /// @param stateBytes of one sequence
    /// @param blockBytes of one KV block
    /// @param mostTokens in one pass
    StepTimer(StepArithmetic arithmetic, List<LayerSpec> specs, int hiddenSize, Gpu.Rates rates, long stateBytes, long blockBytes,
            int mostTokens) {
        this.arithmetic = arithmetic;
        this.rates = rates;
        this.stateBytes = stateBytes;
        this.blockBytes = blockBytes;
        layers = specs.size();
        mambaLayers = count(specs, LayerSpec.Mamba.class);
        expertLayers = count(specs, LayerSpec.Experts.class);
        attentionLayers = count(specs, LayerSpec.Attention.class);
        mlpLayers = count(specs, LayerSpec.Mlp.class);
        passingBytes = Gpu.PASSING_BYTES_PER_HIDDEN_VALUE * layers * hiddenSize;
        linears = new StepCost[mostTokens + 1];
        heads = new StepCost[mostTokens + 1];
    }

    private static int count(List<LayerSpec> specs, Class<? extends LayerSpec> kind) {
        return (int) specs.stream().filter(kind::isInstance).count();
    }

    StepTime time(Batch batch) {
        double copies = copyMicros(batch.memory());
        Generated generated = generated(batch);
        Pieces pieces = pieces(batch);
        if (generated.rows() == 0) {
            return new StepTime(0, pieces.tokens() == 0 ? 0 : promptMicros(pieces), 0, copies);
        }
        return pieces.tokens() == 0 ? new StepTime(generatedMicros(generated.rows(), generated.context()), 0, 0, copies)
                : new StepTime(0, 0, mixedMicros(generated, pieces), copies);
    }

    /// @param context tokens that they attend to, all together
    private record Generated(int rows, long context) {}

    /// @param logits          rows of which logits are wanted
    /// @param scanMicros      recurrences, and states left on the way
    /// @param attentionMicros of all of them
    private record Pieces(int tokens, int logits, double scanMicros, double attentionMicros) {}

    /// Copies on the device read and write; those to the host and back pass the bus. These run beside the step, a frame's worth with
    /// each, and are counted as if it waited for them: more than it does.
    private double copyMicros(MemoryWork work) {
        long deviceBytes = 2 * ((work.restores().size() + work.stores().size()) * stateBytes + work.blocks().size() * blockBytes);
        long hostBytes = hostBytes(work.ins()) + hostBytes(work.outs());
        int calls = work.restores().size() + work.stores().size() + work.blocks().size() + work.ins().size() + work.outs().size();
        return (deviceBytes / rates.bytesPerSecond() + hostBytes / rates.hostBytesPerSecond()) * 1e6 + calls * Gpu.COPY_CALL_MICROS;
    }

    private long hostBytes(List<HostCopy> copies) {
        long bytes = 0;
        for (HostCopy copy : copies) {
            bytes += switch (copy.kind()) {
                case STATE -> stateBytes;
                case BLOCK -> blockBytes;
            };
        }
        return bytes;
    }

    private static Generated generated(Batch batch) {
        int rows = 0;
        long context = 0;
        for (BatchEntry entry : batch.entries()) {
            if (entry.source() != TokenSource.PROMPT) {
                rows++;
                context += entry.from() + 1L;
            }
        }
        return new Generated(rows, context);
    }

    /// @param context tokens that they attend to, all together
    double generatedMicros(int rows, long context) {
        double micros = micros(linears(rows)) + micros(head(rows)) + ownMicros(rows, context);
        int shortKernels = expertLayers + 2 * attentionLayers + 2;
        return micros + kernels(rows) * Gpu.BOUNDARY_MICROS + shortKernels * Gpu.SHORTEST_KERNEL_MICROS;
    }

    /// What generated tokens share with nobody: their recurrences, attention, and what passes between kernels.
    private double ownMicros(int rows, long context) {
        return micros(arithmetic.updates(rows)) + micros(arithmetic.attention(context)) + rates.micros(passingBytes * rows, 0, 0);
    }

    /// Beside the kernels that prompts have anyway there are those for generated tokens: an update in each Mamba layer, a write of keys and
    /// values and an attention in each attention layer, an embedding, a plan of the attention, and the head.
    private double mixedMicros(Generated generated, Pieces pieces) {
        int shortKernels = attentionLayers + 2;
        return micros(linears(generated.rows() + pieces.tokens())) + micros(head(generated.rows() + pieces.logits()))
                + ownMicros(generated.rows(), generated.context()) + pieces.scanMicros() + pieces.attentionMicros() + promptBoundaryMicros()
                + (mambaLayers + 2 * attentionLayers + OTHER_KERNELS) * Gpu.BOUNDARY_MICROS + shortKernels * Gpu.SHORTEST_KERNEL_MICROS;
    }

    private double promptBoundaryMicros() {
        return layers * Gpu.PROMPT_KERNELS_PER_LAYER * Gpu.PROMPT_BOUNDARY_MICROS;
    }

    /// Kernels of a pass over generated tokens alone.
    int kernels(int rows) {
        int kernels = 3 * mambaLayers + 3 * expertLayers + 4 * attentionLayers + 2 * mlpLayers + OTHER_KERNELS;
        if (rows > ROWS_WITHOUT_NORMS) {
            kernels += mambaLayers + attentionLayers + mlpLayers + 1;
        }
        if (rows > ROWS_WITHOUT_COMBINE) {
            kernels += expertLayers;
        }
        if (rows > ROWS_WITHOUT_MAPS) {
            kernels += 2 * expertLayers;
        }
        return kernels;
    }

    private double promptMicros(Pieces pieces) {
        return micros(linears(pieces.tokens())) + (pieces.logits() == 0 ? 0 : micros(head(pieces.logits()))) + pieces.scanMicros()
                + pieces.attentionMicros() + promptBoundaryMicros();
    }

    private Pieces pieces(Batch batch) {
        int tokens = 0;
        int logits = 0;
        double scan = 0;
        double bytes = 0;
        double flops = 0;
        long longestContext = 0;
        for (BatchEntry entry : batch.entries()) {
            if (entry.source() == TokenSource.PROMPT) {
                tokens += entry.count();
                logits += entry.logitRows();
                scan += micros(arithmetic.scan(entry.count())) + entry.writes().size() * stateBytes / rates.bytesPerSecond() * 1e6;
                StepCost attention = arithmetic.pieceAttention(entry.from(), entry.count());
                bytes += attention.bytes();
                flops += attention.flops();
                longestContext = Math.max(longestContext, (long) entry.from() + entry.count());
            }
        }
        double walk = longestContext * Gpu.WALK_MICROS_PER_CONTEXT_TOKEN * attentionLayers;
        double attention = Math.max(walk, Math.max(bytes / rates.bytesPerSecond(), flops / Gpu.ATTENTION_FLOPS_PER_SECOND) * 1e6);
        return new Pieces(tokens, logits, scan, attention);
    }

    private StepCost linears(int tokens) {
        if (linears[tokens] == null) {
            linears[tokens] = arithmetic.linears(tokens);
        }
        return linears[tokens];
    }

    private StepCost head(int rows) {
        if (heads[rows] == null) {
            heads[rows] = arithmetic.head(rows);
        }
        return heads[rows];
    }

    private double micros(StepCost cost) {
        return rates.micros(cost.bytes(), cost.bf16Flops(), cost.fp8Flops());
    }
}
