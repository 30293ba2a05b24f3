package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.config.CacheFootprint;

/// How memory is cut into KV blocks and state slots. Every sequence that runs needs one slot, whatever its length, and
/// blocks as it grows; the plan gives each slot as many blocks as the longest sequence needs, while memory lasts.
///
/// @param shape          blocks and slots
/// @param maxModelTokens prompt and answer of one sequence at most: what was asked for, or all blocks
/// @param blockBytes     keys and values of 128 tokens, over all attention layers
/// @param slotBytes      recurrent state of one sequence, over all Mamba layers
public record MemoryPlan(CacheShape shape, int maxModelTokens, long blockBytes, long slotBytes) {

    /// Of memory nobody set a limit for, the caches get this part: weights, page cache and the rest of the machine need
    /// theirs.
    private static final long DEFAULT_SHARE = 4;

    /// Where slots are not asked for, they get at most this part of the memory.
    private static final long SLOT_SHARE = 2;

    /// @param footprint      what a sequence needs, in elements
    /// @param types          bytes of an element
    /// @param bytes          memory for blocks and slots together
    /// @param sequences      slots wanted; 0 = as many as half of the memory holds, at most `mostSequences`
    /// @param mostSequences  slots at most where none are asked for
    /// @param maxModelTokens longest sequence wanted
    /// @throws IllegalArgumentException when not even the slots and one block fit; the message has the numbers
    public static MemoryPlan of(CacheFootprint footprint, CacheFootprint.Types types, long bytes, int sequences,
            int mostSequences, int maxModelTokens) {
        return of(footprint.stateBytes(types),
                Math.multiplyExact(footprint.kvBytesPerToken(types), CacheShape.BLOCK_TOKENS), bytes, sequences, mostSequences,
                maxModelTokens);
    }

    /// The same for a backend that lays states and blocks out itself.
    ///
    /// @param slotBytes  state of one sequence; 0 for models without recurrence
    /// @param blockBytes keys and values of 128 tokens; 0 for models without attention
    public static MemoryPlan of(long slotBytes, long blockBytes, long bytes, int sequences, int mostSequences,
            int maxModelTokens) {
        int slots = sequences > 0 ? sequences : affordableSlots(slotBytes, bytes, mostSequences);
        long left = bytes - Math.multiplyExact(slots, slotBytes);
        long wanted = Math.multiplyExact((long) slots, Math.ceilDiv((long) maxModelTokens, CacheShape.BLOCK_TOKENS));
        // Without attention layers a block costs nothing; it still counts tokens.
        long affordable = blockBytes == 0 ? wanted : left / blockBytes;
        // Block and position numbers are ints, so all blocks together hold less than 2^31 tokens.
        long blocks = Math.min(Math.min(wanted, affordable), Integer.MAX_VALUE / CacheShape.BLOCK_TOKENS);
        if (left < 0 || blocks < 1) {
            throw new IllegalArgumentException("the caches have " + bytes + " bytes; " + slots + " sequences need "
                    + slots * slotBytes + " for their states and at least " + blockBytes + " for keys and values");
        }
        long held = blocks * CacheShape.BLOCK_TOKENS;
        return new MemoryPlan(new CacheShape((int) blocks, slots), (int) Math.min(maxModelTokens, held), blockBytes, slotBytes);
    }

    private static int affordableSlots(long slotBytes, long bytes, int most) {
        long affordable = slotBytes == 0 ? most : bytes / SLOT_SHARE / slotBytes;
        return (int) Math.clamp(affordable, 1, most);
    }

    /// Memory for the caches where none was set.
    public static long defaultBytes(long machineBytes) {
        return machineBytes / DEFAULT_SHARE;
    }

    /// Bytes of all blocks and slots.
    public long bytes() {
        return shape.blocks() * blockBytes + shape.slots() * slotBytes;
    }

    /// How many sequences of a length can run at once.
    public int sequencesThatFit(int tokens) {
        int blocksEach = CacheShape.blocksFor(tokens);
        return Math.min(shape.slots(), shape.blocks() / Math.max(1, blocksEach));
    }
}
