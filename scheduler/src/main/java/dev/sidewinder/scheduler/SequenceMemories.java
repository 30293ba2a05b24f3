package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.MemoryAdmission;
import dev.sidewinder.kvcache.MemoryWish;
import java.util.Optional;

/// What sequences ask of the cache, from admission to their end.
final class SequenceMemories {

    private final FrameCache cache;

    SequenceMemories(FrameCache cache) {
        this.cache = cache;
    }

    FrameCache cache() {
        return cache;
    }

    /// Gives a sequence memory and a promise of all that it may ever need.
    ///
    /// @return whether there was room
    boolean admit(Sequence<?> sequence) {
        return switch (sequence.startsFrom() == null ? admission(sequence) : sequence.startsFrom().resume(sequence.tokensToCompute())) {
            case MemoryAdmission.Granted granted -> {
                sequence.begin(granted.memory());
                yield true;
            }
            case MemoryAdmission.WaitForOthers _, MemoryAdmission.WaitForSteps _ -> false;
            case MemoryAdmission.NeverFits never -> throw new IllegalStateException("let in a sequence that can never run, "
                    + never + ": " + sequence);
        };
    }

    private MemoryAdmission admission(Sequence<?> sequence) {
        return cache.admit(new MemoryWish(Optional.empty(), sequence.tokens(), sequence.promptTokens(), sequence.tokensToCompute()));
    }

    /// Sees to blocks for the tokens that a sequence runs next.
    ///
    /// @return whether they are there; otherwise they come free with the steps under way
    boolean cover(Sequence<?> sequence, int count) {
        return switch (sequence.memory.reserve(sequence.launched, sequence.launched + count)) {
            case GRANTED -> true;
            case AFTER_STEPS -> false;
            case NO_ROOM -> throw new IllegalStateException("no block for a running sequence, though all were promised: " + sequence);
        };
    }

    /// A step of the sequence has completed.
    void completed(Sequence<?> sequence) {
        sequence.memory.computed(sequence.tokens(), sequence.computed());
    }

    /// Drops what a sequence was to go on from and never will.
    void drop(Sequence<?> sequence) {
        if (sequence.startsFrom() != null) {
            sequence.startsFrom().close();
            sequence.begun();
        }
    }

    /// Gives its memory back: free at once, or after the last step under way.
    void release(Sequence<?> sequence) {
        sequence.memory.close();
        sequence.memory = null;
    }

    /// @throws IllegalStateException when a sequence's memory is not what it needs
    void check(Sequence<?> sequence) {
        if (sequence.memory == null || sequence.memory.isClosed()) {
            throw new IllegalStateException("admitted without memory: " + sequence);
        }
        int held = sequence.memory.blockCount();
        if (held < CacheShape.blocksFor(sequence.launched)
                || held + sequence.memory.promisedBlocks() != CacheShape.blocksFor(sequence.tokensToCompute())) {
            throw new IllegalStateException(held + " blocks and a promise of " + sequence.memory.promisedBlocks() + " for " + sequence);
        }
    }
}
