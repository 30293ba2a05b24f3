package dev.sidewinder.bench.gpu;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.config.CacheFootprint;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import java.util.List;
import java.util.Optional;

/// Bytes and floating-point operations of whole steps, by formula.
///
/// Bytes: every matrix once, of the routed experts those that some token chooses (evenly and independently: `E (1 - (1 -
/// k/E)^tokens)` of `E`); recurrent states read and written, fp32, with the history of the convolution in bf16, as published
/// figures count it; keys and values read. What passes between kernels is left out, and so are vectors and embedding rows.
///
/// Operations: two for each weight a token passes; of the recurrence six for each element of the state in a decode step,
/// and the chunked scan's four products over chunks of 128 in a prompt; of attention four for each query channel and token
/// of context.
public final class StepArithmetic {

    private static final int SCAN_CHUNK = CacheShape.BLOCK_TOKENS;
    private static final int STATE_FLOPS = 6;
    private static final CacheFootprint.Types STATE_TYPES = new CacheFootprint.Types(4, 2, 0);

    private final ModelConfig config;
    private final ModelWeights weights;
    private final double kvBytesPerToken;
    private final double stateBytes;

    /// @param kvBytes of one element of keys and values
    public StepArithmetic(ModelConfig config, ModelWeights weights, int kvBytes) {
        this.config = config;
        this.weights = weights;
        CacheFootprint footprint = CacheFootprint.of(config);
        kvBytesPerToken = footprint.kvBytesPerToken(new CacheFootprint.Types(4, 2, kvBytes));
        stateBytes = footprint.stateBytes(STATE_TYPES);
    }

    /// A step that generates one token for each sequence.
    ///
    /// @param contextTokens that the sequences hold together
    public StepCost decode(int sequences, long contextTokens) {
        return linears(sequences).plus(head(sequences)).plus(updates(sequences)).plus(attention(contextTokens));
    }

    /// A pass over a piece of a prompt.
    ///
    /// @param from   tokens before the piece
    /// @param logits rows of which logits are wanted
    public StepCost prompt(long from, int tokens, int logits) {
        return linears(tokens).plus(head(logits)).plus(scan(tokens)).plus(pieceAttention(from, tokens));
    }

    /// A pass over both, which reads the matrices once.
    ///
    /// @param contextTokens that the sequences that generate hold together
    /// @param tokens        of a prompt's first piece, of which no logits are wanted
    public StepCost mixed(int sequences, long contextTokens, int tokens) {
        return linears(sequences + tokens).plus(head(sequences)).plus(updates(sequences)).plus(attention(contextTokens))
                .plus(scan(tokens)).plus(pieceAttention(0, tokens));
    }

    /// The recurrences of generated tokens, one for each sequence.
    public StepCost updates(int sequences) {
        return new StepCost(2 * stateBytes * sequences, recurrenceFlops() * sequences, 0);
    }

    /// The attention of generated tokens over all that is before them and themselves.
    ///
    /// @param contextTokens that the sequences hold together
    public StepCost attention(long contextTokens) {
        return new StepCost(kvBytesPerToken * contextTokens, attentionFlopsPerContextToken() * contextTokens, 0);
    }

    /// The recurrences of a piece of one prompt.
    public StepCost scan(int tokens) {
        return new StepCost(2 * stateBytes, scanFlops() * tokens, 0);
    }

    /// The attention of a piece of one prompt.
    ///
    /// @param from tokens before the piece
    public StepCost pieceAttention(long from, int tokens) {
        double context = tokens * (double) from + tokens * (tokens + 1.0) / 2;
        return new StepCost(kvBytesPerToken * from, attentionFlopsPerContextToken() * context, 0);
    }

    /// Bytes of all matrices that a step over so many tokens reads, the head's included.
    double weightBytes(int tokens) {
        return linears(tokens).bytes() + bytes(weights.head());
    }

    /// The product that makes logits.
    public StepCost head(int rows) {
        return rows == 0 ? StepCost.NONE : product(weights.head(), rows);
    }

    /// All matrices but the head, over the tokens of one pass.
    public StepCost linears(int tokens) {
        StepCost sum = StepCost.NONE;
        for (int i = 0; i < config.layers().size(); i++) {
            sum = sum.plus(switch (weights.layers().get(i)) {
                case LayerWeights.Mamba mamba ->
                    product(mamba.inProjection(), tokens).plus(product(mamba.outProjection(), tokens));
                case LayerWeights.Attention attention -> product(attention.query(), tokens)
                        .plus(product(attention.key(), tokens)).plus(product(attention.value(), tokens))
                        .plus(product(attention.output(), tokens));
                case LayerWeights.Mlp mlp -> product(mlp.up(), tokens).plus(product(mlp.down(), tokens));
                case LayerWeights.Experts experts -> experts(experts, (LayerSpec.Experts) config.layers().get(i), tokens);
            });
        }
        return sum;
    }

    private static StepCost experts(LayerWeights.Experts weights, LayerSpec.Experts spec, int tokens) {
        double chosen = (double) spec.active() / spec.routed();
        double touched = 1 - Math.pow(1 - chosen, tokens);
        StepCost routed = routed(weights.up(), touched, chosen * tokens).plus(routed(weights.down(), touched, chosen * tokens));
        StepCost gate = new StepCost(weights.gate().bytes(), 2.0 * weights.gate().elements() * tokens, 0);
        return routed.plus(gate).plus(product(weights.sharedUp(), tokens)).plus(product(weights.sharedDown(), tokens))
                .plus(product(weights.latentIn(), tokens)).plus(product(weights.latentOut(), tokens));
    }

    /// @param touched part of the matrices that are read
    /// @param rows    that each of them multiplies, on average
    private static StepCost routed(List<LinearWeight> matrices, double touched, double rows) {
        StepCost sum = StepCost.NONE;
        for (LinearWeight matrix : matrices) {
            StepCost one = product(matrix, 1);
            sum = sum.plus(new StepCost(touched * one.bytes(), rows * one.bf16Flops(), rows * one.fp8Flops()));
        }
        return sum;
    }

    private static StepCost product(Optional<LinearWeight> matrix, int rows) {
        return matrix.map(weight -> product(weight, rows)).orElse(StepCost.NONE);
    }

    private static StepCost product(LinearWeight matrix, int rows) {
        double flops = 2.0 * matrix.outputs() * matrix.inputs() * rows;
        boolean fp8 = matrix instanceof LinearWeight.Fp8 weight && weight.inputScale() > 0;
        return new StepCost(bytes(matrix), fp8 ? 0 : flops, fp8 ? flops : 0);
    }

    private static double bytes(LinearWeight matrix) {
        double values = (double) matrix.outputs() * matrix.inputs();
        return switch (matrix) {
            // other plain formats lie on the device in bf16 too
            case LinearWeight.Plain _ -> values * DType.BF16.bytes();
            case LinearWeight.Fp8 _ -> values;
            case LinearWeight.Nvfp4 _ -> values / 2 + values / 16;
        };
    }

    private double attentionFlopsPerContextToken() {
        double flops = 0;
        for (LayerSpec layer : config.layers()) {
            if (layer instanceof LayerSpec.Attention attention) {
                flops += 4.0 * attention.queryHeads() * attention.headDim();
            }
        }
        return flops;
    }

    /// Of a generated token.
    private double recurrenceFlops() {
        double flops = 0;
        for (LayerSpec layer : config.layers()) {
            if (layer instanceof LayerSpec.Mamba mamba) {
                flops += STATE_FLOPS * (double) mamba.innerDim() * mamba.stateDim() + convolutionFlops(mamba);
            }
        }
        return flops;
    }

    /// Of a prompt token: scores of the chunk for each group; outputs from within the chunk, the chunk's own state, and
    /// outputs from the state before it, for each head.
    private double scanFlops() {
        double flops = 0;
        for (LayerSpec layer : config.layers()) {
            if (layer instanceof LayerSpec.Mamba mamba) {
                flops += 2.0 * SCAN_CHUNK * mamba.stateDim() * mamba.groups()
                        + 2.0 * SCAN_CHUNK * mamba.innerDim() + 2 * 2.0 * mamba.stateDim() * mamba.innerDim()
                        + convolutionFlops(mamba);
            }
        }
        return flops;
    }

    private static double convolutionFlops(LayerSpec.Mamba mamba) {
        return 2.0 * mamba.convWidth() * mamba.convDim();
    }
}
