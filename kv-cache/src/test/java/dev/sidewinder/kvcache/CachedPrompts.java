package dev.sidewinder.kvcache;

import dev.sidewinder.kvcache.MemoryAdmission.Granted;
import java.util.Arrays;
import java.util.Optional;
import java.util.Random;

/// A cache of eight frames whose sequences compute their prompts in a moment, for tests of what it says about itself.
final class CachedPrompts {

    static final Partition ALICE = new Partition(1, 1);
    static final Partition BOB = new Partition(1, 2);

    private final FrameCache cache = new FrameCache(new FrameShape(8, 4), HostShape.NONE, ReuseEstimate.DEFAULT, new Random(7));
    private long step;

    FrameCache cache() {
        return cache;
    }

    /// The first so many of the same tokens.
    static int[] tokens(int count) {
        int[] tokens = new int[count];
        Arrays.setAll(tokens, i -> i);
        return tokens;
    }

    /// @param partition null: reuses nothing and keeps nothing
    static MemoryWish wish(Partition partition, int[] tokens) {
        return new MemoryWish(Optional.ofNullable(partition), tokens, tokens.length, tokens.length);
    }

    SequenceMemory admit(Partition partition, int[] tokens) {
        return ((Granted) cache.admit(wish(partition, tokens))).memory();
    }

    /// Runs a step to its end.
    void step() {
        cache.launch(++step);
        cache.stepCompleted(step);
    }

    /// Computes a prompt and keeps states at these positions.
    void compute(Partition partition, int[] tokens, int... positions) {
        SequenceMemory memory = admit(partition, tokens);
        int from = memory.reusedTokens();
        for (int position : positions) {
            memory.reserve(from, position);
            memory.checkpoint(position, position == 128 ? CheckpointPoint.SYSTEM : CheckpointPoint.TURN_START);
            step();
            memory.computed(tokens, position);
            from = position;
        }
        memory.close();
        cache.checkInvariants();
    }
}
