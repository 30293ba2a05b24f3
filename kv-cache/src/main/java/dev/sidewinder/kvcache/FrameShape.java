package dev.sidewinder.kvcache;

import java.util.Optional;

/// One pool of equal frames, each of which holds either one state slot or a run of KV blocks.
///
/// A frame is as many whole blocks as it takes to hold a slot, so blocks lie one after another through the whole pool:
/// block `b` begins at byte `b * blockBytes` and lies in frame `b / blocksPerFrame`, slot `s` is frame `s`. A slot wastes
/// less than one block of its frame.
///
/// @param frames         at least two: a sequence needs a state and a block
/// @param blocksPerFrame KV blocks of [CacheShape#BLOCK_TOKENS] tokens in a frame
public record FrameShape(int frames, int blocksPerFrame) {

    /// Blocks in a frame where a block takes no memory (models without attention): tokens enough for one long sequence.
    private static final int BLOCKS_OF_NOTHING = 1 << 13;

    /// Token positions are ints.
    private static final int MOST_BLOCKS = Integer.MAX_VALUE / CacheShape.BLOCK_TOKENS;

    /// It takes longer than there is room for, whatever else runs.
    ///
    /// @param tokens     of the sequence
    /// @param mostTokens of any one sequence here: all frames but one, which holds its state
    public record NeverFits(long tokens, long mostTokens) {}

    public FrameShape {
        if (frames < 2 || blocksPerFrame < 1 || (long) frames * blocksPerFrame > MOST_BLOCKS) {
            throw new IllegalArgumentException("a pool has at least 2 frames of at least 1 block, and at most " + MOST_BLOCKS
                    + " blocks; got " + frames + " frames of " + blocksPerFrame);
        }
    }

    /// Cuts memory into frames.
    ///
    /// @param bytes      memory for states and blocks together
    /// @param slotBytes  of one state; 0 for models without recurrence
    /// @param blockBytes of one block; 0 for models without attention
    /// @throws IllegalArgumentException when not even two frames fit; the message has the numbers
    public static FrameShape of(long bytes, long slotBytes, long blockBytes) {
        if (bytes < 0 || slotBytes < 0 || blockBytes < 0 || slotBytes + blockBytes == 0) {
            throw new IllegalArgumentException("cannot cut " + bytes + " bytes into frames for states of " + slotBytes
                    + " bytes and blocks of " + blockBytes);
        }
        long blocks = blockBytes == 0 ? BLOCKS_OF_NOTHING : Math.max(1, Math.ceilDiv(slotBytes, blockBytes));
        long frameBytes = blockBytes == 0 ? slotBytes : Math.multiplyExact(blocks, blockBytes);
        long frames = Math.min(bytes / frameBytes, MOST_BLOCKS / blocks);
        if (frames < 2) {
            throw new IllegalArgumentException("the caches have " + bytes + " bytes; one sequence needs a frame of " + frameBytes
                    + " for its state (" + slotBytes + ") and one for its keys and values");
        }
        return new FrameShape((int) frames, (int) blocks);
    }

    /// Frames for so many states and blocks at once.
    public static FrameShape holding(int states, int blocks, int blocksPerFrame) {
        return new FrameShape(Math.addExact(states, Math.ceilDiv(blocks, blocksPerFrame)), blocksPerFrame);
    }

    /// Blocks in all, if every frame held blocks.
    public int blocks() {
        return frames * blocksPerFrame;
    }

    /// Tokens of the longest sequence that fits when it is alone.
    public long mostTokens() {
        return (long) (frames - 1) * blocksPerFrame * CacheShape.BLOCK_TOKENS;
    }

    /// How many sequences of a length can be held at once, each with its own state and blocks.
    public int sequencesThatFit(int tokens) {
        return blocks() / (blocksPerFrame + Math.max(1, CacheShape.blocksFor(tokens)));
    }

    /// Whether a sequence of this length could never run, whatever else does. Reads nothing that changes.
    ///
    /// @param tokens that the cache must hold at once
    public Optional<NeverFits> neverFits(long tokens) {
        return tokens <= mostTokens() ? Optional.empty() : Optional.of(new NeverFits(tokens, mostTokens()));
    }
}
