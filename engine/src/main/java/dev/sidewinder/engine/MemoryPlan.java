package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// How the memory for sequences is cut up at start, on any backend: one pool of equal frames, each of which holds a state or a
/// run of KV blocks, and a host area for sequences that are suspended. Nothing of it moves while a server runs but the border
/// between states and blocks.
///
/// @param memory         frames and host area
/// @param maxSequences   sequences that run at once, at most
/// @param maxModelTokens prompt and answer of one sequence at most: what was asked for, or what fits when it is alone
/// @param slotBytes      recurrent state of one sequence, over all Mamba layers; 0 for models without recurrence
/// @param blockBytes     keys and values of 128 tokens, over all attention layers; 0 for models without attention
public record MemoryPlan(BackendMemory memory, int maxSequences, int maxModelTokens, long slotBytes, long blockBytes) {

    /// Of memory nobody set a limit for, the caches get this part: weights, page cache and the rest of the machine need
    /// theirs.
    private static final long DEFAULT_SHARE = 4;

    /// 16 million tokens: more than this is not taken where nobody asked for it, since the books of each block take heap too.
    private static final int MOST_BLOCKS_UNASKED = 1 << 17;

    /// Of the host area states get at most this part; a sequence that is suspended may be long.
    private static final long STATE_SHARE = 2;

    /// Sequences that can be suspended at once: the books of more are not worth their heap.
    private static final int MOST_HOST_STATES = 1 << 12;

    /// That a step copies to the host area and back at most, about, where a frame is not larger: a millisecond at 50 GB/s. Copies run
    /// beside a step on a GPU, and make it longer elsewhere, where steps take longer.
    private static final long STEP_BYTES = 48L << 20;

    private static final double MIB = 1L << 20;

    /// What is asked for.
    ///
    /// @param bytes          for states and blocks together
    /// @param hostBytes      for suspended sequences; 0 = none can be suspended
    /// @param sequences      that are to run at once; 0 = as many as fit, at most `mostSequences`
    /// @param mostSequences  where `sequences` does not say
    /// @param maxModelTokens longest sequence wanted
    public record Wish(long bytes, long hostBytes, int sequences, int mostSequences, int maxModelTokens) {
        public Wish {
            if (hostBytes < 0 || sequences < 0 || mostSequences < 1 || maxModelTokens < 1) {
                throw new IllegalArgumentException("cannot plan " + hostBytes + " bytes on the host, " + sequences + " of at most "
                        + mostSequences + " sequences, and " + maxModelTokens + " tokens each");
            }
        }
    }

    /// Plans for a backend that lays states and blocks out as it does.
    ///
    /// @throws IllegalArgumentException when not even a block for each wanted sequence fits; the message has the numbers
    public static MemoryPlan of(long slotBytes, long blockBytes, Wish wish) {
        FrameShape frames = FrameShape.of(wish.bytes(), slotBytes, blockBytes);
        int together = frames.sequencesThatFit(1);
        if (wish.sequences() > together) {
            throw new IllegalArgumentException("the caches have " + wish.bytes() + " bytes; " + wish.sequences() + " sequences need "
                    + wish.sequences() * slotBytes + " for their states and at least " + wish.sequences() * blockBytes
                    + " for keys and values: in frames, there is room for " + together);
        }
        int sequences = wish.sequences() > 0 ? wish.sequences() : Math.min(together, wish.mostSequences());
        return new MemoryPlan(new BackendMemory(frames, host(slotBytes, blockBytes, wish.hostBytes(), frames)), sequences,
                (int) Math.min(wish.maxModelTokens(), frames.mostTokens()), slotBytes, blockBytes);
    }

    private static HostShape host(long slotBytes, long blockBytes, long bytes, FrameShape frames) {
        if (bytes < slotBytes + blockBytes || bytes == 0) {
            return HostShape.NONE;
        }
        long states = slotBytes == 0 ? MOST_HOST_STATES : Math.clamp(bytes / STATE_SHARE / slotBytes, 1, MOST_HOST_STATES);
        long left = bytes - states * slotBytes;
        // Without attention layers a block costs nothing; it still counts tokens.
        long blocks = blockBytes == 0 ? MOST_BLOCKS_UNASKED : Math.min(left / blockBytes, Integer.MAX_VALUE / CacheShape.BLOCK_TOKENS);
        long stepBlocks = blockBytes == 0 ? MOST_BLOCKS_UNASKED : Math.max(frames.blocksPerFrame(), STEP_BYTES / blockBytes);
        return new HostShape((int) states, (int) blocks, (int) Math.min(stepBlocks, Integer.MAX_VALUE));
    }

    /// Memory for the caches where none was set.
    ///
    /// @param machineBytes physical memory
    public static long defaultBytes(long machineBytes, long slotBytes, long blockBytes) {
        long share = machineBytes / DEFAULT_SHARE;
        return blockBytes == 0 ? share : Math.min(share, Math.max(MOST_BLOCKS_UNASKED * blockBytes, 2 * slotBytes + 2 * blockBytes));
    }

    /// Frames of the pool.
    public FrameShape frames() {
        return memory.frames();
    }

    /// Bytes from frame to frame.
    public long frameBytes() {
        return blockBytes == 0 ? slotBytes : frames().blocksPerFrame() * blockBytes;
    }

    /// What each state leaves of its frame without use: less than a block.
    public long wastedStateBytes() {
        return frameBytes() - slotBytes;
    }

    /// Bytes of all frames.
    public long bytes() {
        return frames().frames() * frameBytes();
    }

    /// Bytes of the host area.
    public long hostBytes() {
        return memory.host().states() * slotBytes + memory.host().blocks() * blockBytes;
    }

    /// How many sequences of a length can run at once.
    public int sequencesThatFit(int tokens) {
        return Math.min(maxSequences, frames().sequencesThatFit(tokens));
    }

    /// For an operator, a line each: frames, host area, and what fits.
    public List<String> lines() {
        List<String> lines = new ArrayList<>();
        lines.add(String.format(Locale.ROOT, "%,d frames of %.1f MiB, each a state (%.1f MiB, %.1f MiB of the frame unused) or %,d blocks of "
                + "%d tokens: %,.0f MiB", frames().frames(), frameBytes() / MIB, slotBytes / MIB, wastedStateBytes() / MIB,
                frames().blocksPerFrame(), CacheShape.BLOCK_TOKENS, bytes() / MIB));
        lines.add(memory.host().states() == 0 ? "no host area: no sequence can be suspended" : String.format(Locale.ROOT,
                "host area for %,d suspended sequences with %,d blocks together: %,.0f MiB", memory.host().states(),
                memory.host().blocks(), hostBytes() / MIB));
        StringBuilder fits = new StringBuilder("sequences that fit:");
        for (int tokens : List.of(1 << 10, 1 << 13, 1 << 15, 1 << 18, 1 << 20)) {
            if (tokens < maxModelTokens) {
                fits.append(String.format(Locale.ROOT, " %,d of %,d tokens,", sequencesThatFit(tokens), tokens));
            }
        }
        lines.add(fits.append(String.format(Locale.ROOT, " %,d of %,d tokens", sequencesThatFit(maxModelTokens), maxModelTokens)).toString());
        return lines;
    }
}
