package dev.sidewinder.cuda.kernel;

/// The sequences of a step as the attention kernels see them: device arrays that are read when the kernels run, so a
/// captured graph replays with what they hold then.
///
/// @param start int32 `[sequences + 1]`, first row of each sequence; 0 for a decode step, where row s is sequence s
/// @param position int32 `[sequences]`, position of the first row of each
/// @param slot int32 `[sequences]`; -1 for a padded row, which is neither read nor written
/// @param blockTable int32 `[sequences, maxBlocks]`, the KV blocks of each, in order
public record StepSequences(long start, long position, long slot, long blockTable, int sequences, int maxBlocks) {

    public StepSequences {
        if (sequences < 1 || maxBlocks < 1) {
            throw new IllegalArgumentException("a step of " + sequences + " sequences with up to " + maxBlocks
                    + " KV blocks; each is at least 1");
        }
        if (position == 0 || slot == 0 || blockTable == 0) {
            throw new IllegalArgumentException("a step needs positions, slots and a block table; got 0x%x, 0x%x, 0x%x"
                    .formatted(position, slot, blockTable));
        }
    }

    /// The largest length that the block table allows.
    long mostTokens() {
        return (long) maxBlocks * KvCacheLayer.BLOCK_TOKENS;
    }
}
