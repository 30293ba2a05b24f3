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
/// @param warpgroups     whether the products of prompts run on warpgroup instructions where the device has them (H100, H200);
///                       their order of sums is another one, docs/decisions/0017
public record CudaOptions(int maxBatchTokens, int maxSequences, int maxTokens, KvFormat kvFormat, boolean batchInvariant,
        boolean graphs, Sampling sampling, boolean warpgroups) {

    /// Fewer rows of prompts are quicker on the kernels of decode steps, which share a product out over the whole device. By
    /// arithmetic, not measured.
    private static final int FEWEST_WARPGROUP_ROWS = 128;

    /// Chooses on the device and does not wait for the host; prompts on warpgroup kernels.
    public CudaOptions(int maxBatchTokens, int maxSequences, int maxTokens, KvFormat kvFormat, boolean batchInvariant,
            boolean graphs) {
        this(maxBatchTokens, maxSequences, maxTokens, kvFormat, batchInvariant, graphs, Sampling.AHEAD, true);
    }

    public CudaOptions {
        if (maxBatchTokens < 1 || maxSequences < 1 || maxTokens < 1) {
            throw new IllegalArgumentException("a CUDA backend needs batch tokens, sequences and tokens of a sequence, got "
                    + maxBatchTokens + ", " + maxSequences + " and " + maxTokens);
        }
    }

    /// The same with other bounds of a batch.
    public CudaOptions with(int sequences, int tokens) {
        return new CudaOptions(maxBatchTokens, sequences, tokens, kvFormat, batchInvariant, graphs, sampling, warpgroups);
    }

    /// The same with another way of sampling.
    public CudaOptions with(Sampling otherSampling) {
        return new CudaOptions(maxBatchTokens, maxSequences, maxTokens, kvFormat, batchInvariant, graphs, otherSampling, warpgroups);
    }

    /// The same with prompts on the kernels that every device has.
    public CudaOptions withoutWarpgroups() {
        return new CudaOptions(maxBatchTokens, maxSequences, maxTokens, kvFormat, batchInvariant, graphs, sampling, false);
    }

    /// Rows from which on a pass over prompts takes warpgroup kernels, where device and matrix let it. In batch-invariant mode
    /// their number must not matter.
    int fewestWarpgroupRows() {
        return batchInvariant ? 1 : FEWEST_WARPGROUP_ROWS;
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
