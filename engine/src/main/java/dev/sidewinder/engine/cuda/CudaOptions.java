package dev.sidewinder.engine.cuda;

import dev.sidewinder.kvcache.CacheShape;

/// How a [CudaBackend] computes.
///
/// @param maxBatchTokens tokens in one batch at most: the workspace is planned for it
/// @param maxSequences   sequences in one batch at most
/// @param maxTokens      tokens of a sequence at most: the width of block tables
/// @param kvFormat       how keys and values are stored
/// @param batchInvariant whether a row of logits has the same bits whatever else is in the batch; costs speed where few
///                       sequences with long contexts are decoded
/// @param graphs         whether decode steps run as captured graphs; without, every kernel is launched by itself
/// @param sampling       who chooses tokens, and whether the next step waits for the host to read them
public record CudaOptions(int maxBatchTokens, int maxSequences, int maxTokens, KvFormat kvFormat, boolean batchInvariant,
        boolean graphs, Sampling sampling) {

    /// Chooses on the device, and does not wait for the host.
    public CudaOptions(int maxBatchTokens, int maxSequences, int maxTokens, KvFormat kvFormat, boolean batchInvariant,
            boolean graphs) {
        this(maxBatchTokens, maxSequences, maxTokens, kvFormat, batchInvariant, graphs, Sampling.AHEAD);
    }

    public CudaOptions {
        if (maxBatchTokens < 1 || maxSequences < 1 || maxTokens < 1) {
            throw new IllegalArgumentException("a CUDA backend needs batch tokens, sequences and tokens of a sequence, got "
                    + maxBatchTokens + ", " + maxSequences + " and " + maxTokens);
        }
    }

    /// The same with other bounds of a batch.
    public CudaOptions with(int sequences, int tokens) {
        return new CudaOptions(maxBatchTokens, sequences, tokens, kvFormat, batchInvariant, graphs, sampling);
    }

    /// The same with another way of sampling.
    public CudaOptions with(Sampling otherSampling) {
        return new CudaOptions(maxBatchTokens, maxSequences, maxTokens, kvFormat, batchInvariant, graphs, otherSampling);
    }

    /// KV blocks of the longest sequence.
    int maxBlocks() {
        return CacheShape.blocksFor(maxTokens);
    }

    /// Rows that the largest decode step has, padded ones included.
    int decodeRows() {
        return DecodeBuckets.of(maxSequences);
    }

    /// Rows that any pass has at most.
    int rows() {
        return Math.max(maxBatchTokens, decodeRows());
    }
}
