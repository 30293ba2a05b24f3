package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.CacheExplanation;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.Growth;
import dev.sidewinder.kvcache.MemoryAdmission;
import dev.sidewinder.kvcache.MemoryWish;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.kvcache.StateWrite;
import dev.sidewinder.kvcache.SuspendedMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// What sequences ask of the cache, from admission to their end: memory, what there is of their prompt, and that states of
/// theirs be kept.
final class SequenceMemories {

    private final FrameCache cache;
    private final DecodedStates decoded;

    SequenceMemories(FrameCache cache, DecodedStates decoded) {
        this.cache = cache;
        this.decoded = decoded;
    }

    FrameCache cache() {
        return cache;
    }

    /// Gives a sequence memory, with what there is of its prompt, and a promise of its next piece of work: prompt and first
    /// token, or all that it may ever need where nobody can be suspended.
    ///
    /// @return whether there was room
    boolean admit(Sequence<?> sequence) {
        Optional<Partition> partition = sequence.prefixes().partition();
        var wish = new MemoryWish(partition, sequence.tokens(), sequence.promptTokens(), promise(sequence));
        boolean begins = sequence.startsFrom() == null;
        Optional<CacheExplanation> explanation = begins && sequence.prefixes().explains() ? Optional.of(cache.explain(wish)) : Optional.empty();
        return switch (begins ? cache.admit(wish) : sequence.startsFrom().resume(promise(sequence))) {
            case MemoryAdmission.Granted granted -> {
                sequence.begin(granted.memory(), explanation);
                // What a session goes on from was left by decode steps.
                if (partition.isPresent() && (begins || decoded == DecodedStates.SERVE_ANYBODY)) {
                    sequence.keeping = keepingPlan(sequence);
                }
                yield true;
            }
            case MemoryAdmission.WaitForOthers _, MemoryAdmission.WaitForSteps _ -> false;
            case MemoryAdmission.NeverFits never -> throw new IllegalStateException("let in a sequence that can never run, "
                    + never + ": " + sequence);
        };
    }

    private int promise(Sequence<?> sequence) {
        int next = Math.max(sequence.prefillTokens(), sequence.computed()) + 1;
        return cache.suspends() ? Math.min(sequence.tokensToCompute(), next) : sequence.tokensToCompute();
    }

    /// Takes a sequence's memory away, none of whose steps is under way. What was computed goes to the host area, or where that is
    /// full it is computed again, if that comes to the same.
    ///
    /// @return false where neither can be: it keeps its memory, and has to be ended
    boolean suspend(Sequence<?> sequence) {
        Optional<SuspendedMemory> parked = sequence.memory.suspend();
        if (parked.isEmpty() && decoded == DecodedStates.SERVE_THEIR_SEQUENCE
                && (sequence.generatedTokens() > 0 || sequence.startTokens() > 0)) {
            return false;
        }
        if (parked.isEmpty()) {
            sequence.memory.close();
        }
        sequence.suspend(parked.orElse(null));
        return true;
    }

    /// Gives a suspended sequence memory again.
    ///
    /// @param others sequences that hold memory: for each of them a block is left, or it would have to go again at once
    /// @return whether there was room
    boolean comeBack(Sequence<?> sequence, int others) {
        int blocks = sequence.parked == null ? CacheShape.blocksFor(promise(sequence)) : Math.max(sequence.parked.blockCount(),
                CacheShape.blocksFor(promise(sequence)));
        FrameShape shape = cache.pool().shape();
        if (others > 0 && cache.committedBlocks() + shape.blocksPerFrame() + blocks + others > shape.blocks()) {
            return false;
        }
        MemoryAdmission answer = sequence.parked != null ? sequence.parked.resume(promise(sequence))
                : cache.admit(new MemoryWish(sequence.prefixes().partition(), sequence.tokens(), sequence.length(), promise(sequence)));
        return switch (answer) {
            case MemoryAdmission.Granted granted -> {
                sequence.comeBack(granted.memory());
                yield true;
            }
            case MemoryAdmission.WaitForOthers _, MemoryAdmission.WaitForSteps _ -> false;
            case MemoryAdmission.NeverFits never -> throw new IllegalStateException("suspended a sequence that does not fit any more, "
                    + never + ": " + sequence);
        };
    }

    /// Drops what a suspended sequence would have come back from.
    void forget(Sequence<?> sequence) {
        if (sequence.parked != null) {
            sequence.parked.close();
            sequence.parked = null;
        }
    }

    private static KeepingPlan keepingPlan(Sequence<?> sequence) {
        var plan = new KeepingPlan(sequence.prefixes().marks(), sequence.promptTokens());
        // Where the prompt takes leave of others, the next one that does so can go on from.
        if (sequence.memory.knownTokens() > sequence.memory.reusedTokens()) {
            plan.add(sequence.memory.knownTokens(), CheckpointPoint.BRANCH);
        }
        return plan;
    }

    /// Has the states kept that a sequence passes in its next run, or has reached at its end. Where there is no frame for one, that
    /// one is not kept.
    ///
    /// @param count tokens of the run, whose blocks are there
    /// @return those that the run writes on its way
    List<StateWrite> keepOnTheWay(Sequence<?> sequence, int count) {
        if (sequence.keeping == null) {
            return List.of();
        }
        int end = sequence.launched + count;
        if (sequence.inPrompt()) {
            return keepInPrompt(sequence, end);
        }
        if (sequence.prefixes().keepsAnswer() && decoded == DecodedStates.SERVE_ANYBODY && end % CacheShape.BLOCK_TOKENS == 0) {
            sequence.memory.checkpointLatest(end, CheckpointPoint.TURN_END);
        }
        return List.of();
    }

    private static List<StateWrite> keepInPrompt(Sequence<?> sequence, int end) {
        List<StateWrite> writes = new ArrayList<>();
        sequence.keeping.between(sequence.launched, end)
                .forEach((position, point) -> sequence.memory.checkpoint(position, point).ifPresent(writes::add));
        return writes;
    }

    /// Sees to blocks for the tokens that a sequence runs next.
    Growth cover(Sequence<?> sequence, int count) {
        Growth growth = sequence.memory.reserve(sequence.launched, sequence.launched + count);
        if (growth == Growth.NO_ROOM && !cache.suspends()) {
            throw new IllegalStateException("no block for a running sequence, though all were promised: " + sequence);
        }
        return growth;
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

    /// Gives its memory back after a computation that has gone wrong.
    ///
    /// @return what is to be erased before the next step is launched
    Allocation discard(Sequence<?> sequence) {
        Allocation places = sequence.memory.discard();
        sequence.memory = null;
        return places;
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
        int promised = held + sequence.memory.promisedBlocks();
        boolean covered = cache.suspends() || promised == CacheShape.blocksFor(sequence.tokensToCompute());
        if (held < CacheShape.blocksFor(sequence.launched) || !covered) {
            throw new IllegalStateException(held + " blocks and a promise of " + sequence.memory.promisedBlocks() + " for " + sequence);
        }
    }
}
