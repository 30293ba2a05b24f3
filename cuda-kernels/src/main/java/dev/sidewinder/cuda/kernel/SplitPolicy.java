package dev.sidewinder.cuda.kernel;

/// How the context of decoded tokens is split among blocks.
public sealed interface SplitPolicy {

    /// All KV blocks of the batch are cut evenly among the workers. Fastest; the last bits of a result depend on what else
    /// is in the batch.
    record Balanced() implements SplitPolicy {}

    /// The context of a sequence is cut by its own length alone, so a result has the same bits whatever else runs.
    ///
    /// @param chunkBlocks KV blocks of a part, at least
    /// @param mostChunks parts of a sequence, at most: longer ones have longer parts
    record Invariant(int chunkBlocks, int mostChunks) implements SplitPolicy {

        public Invariant {
            if (chunkBlocks < 1 || mostChunks < 1) {
                throw new IllegalArgumentException("parts of %d blocks, at most %d; each is at least 1"
                        .formatted(chunkBlocks, mostChunks));
            }
        }
    }

    /// 1,024 tokens a part, and at most 32 parts: at 32k tokens 64 blocks for two KV heads are at work, enough to
    /// saturate the memory, and partial results stay small.
    SplitPolicy INVARIANT = new Invariant(8, 32);
    SplitPolicy BALANCED = new Balanced();
}
