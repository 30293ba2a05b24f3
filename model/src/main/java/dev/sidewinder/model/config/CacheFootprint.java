package dev.sidewinder.model.config;

/// What one sequence needs besides the weights, counted in elements: a state of fixed size, and keys and values that
/// grow with its length.
///
/// @param stateElements  recurrence state of all Mamba layers, `heads x headDim x stateDim` each
/// @param convElements   the last `convWidth - 1` inputs of every convolution
/// @param kvElementsPerToken keys and values of one token in all attention layers
public record CacheFootprint(long stateElements, long convElements, long kvElementsPerToken) {

    /// Tokens in a block of the KV cache; a sequence holds whole blocks.
    private static final int BLOCK_TOKENS = 128;

    /// Size of one element of each part, in bytes: 4 for fp32, 2 for bf16, 1 for fp8.
    public record Types(int stateBytes, int convBytes, int kvBytes) {}

    public static CacheFootprint of(ModelConfig config) {
        long state = 0;
        long conv = 0;
        long keysAndValues = 0;
        for (LayerSpec layer : config.layers()) {
            switch (layer) {
                case LayerSpec.Mamba mamba -> {
                    state += (long) mamba.innerDim() * mamba.stateDim();
                    conv += (long) mamba.convDim() * (mamba.convWidth() - 1);
                }
                case LayerSpec.Attention attention ->
                        keysAndValues += 2L * attention.kvHeads() * attention.headDim();
                case LayerSpec.Experts _, LayerSpec.Mlp _ -> { }
            }
        }
        return new CacheFootprint(state, conv, keysAndValues);
    }

    /// Bytes of the state of one sequence, whatever its length.
    public long stateBytes(Types types) {
        return stateElements * types.stateBytes() + convElements * types.convBytes();
    }

    /// Bytes that each further token takes.
    public long kvBytesPerToken(Types types) {
        return kvElementsPerToken * types.kvBytes();
    }

    /// Bytes of a sequence of this many tokens: its state and whole blocks.
    public long sequenceBytes(long tokens, Types types) {
        return stateBytes(types) + Math.ceilDiv(tokens, (long) BLOCK_TOKENS) * BLOCK_TOKENS * kvBytesPerToken(types);
    }

    /// How many sequences of this many tokens fit into `freeBytes`.
    public long sequencesThatFit(long freeBytes, long tokens, Types types) {
        return Math.max(0, freeBytes) / Math.max(1, sequenceBytes(tokens, types));
    }
}
