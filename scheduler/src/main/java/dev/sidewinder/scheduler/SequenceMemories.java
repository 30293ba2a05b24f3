package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.CacheExplanation;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameCache;
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

    /// Gives a sequence memory, with what there is of its prompt, and a promise of prompt and first token, of its next piece of work
    /// alone where it may begin with that, or of all that it may ever need where nobody can be suspended.
    ///
    /// @param pieceTokens of its next piece of work; 0 = it is promised all or does not begin
    /// @param spareBlocks that are left for others besides
    /// @return whether there was room
    boolean admit(Sequence<?> sequence, int pieceTokens, int spareBlocks) {
        Optional<Partition> partition = sequence.prefixes().partition();
        var wish = new MemoryWish(partition, sequence.tokens(), sequence.promptTokens(), promise(sequence), pieceTokens, spareBlocks);
        boolean begins = sequence.startsFrom() == null;
        Optional<CacheExplanation> explanation = begins && sequence.prefixes().explains() ? Optional.of(cache.explain(wish)) : Optional.empty();
        return switch (begins ? cache.admit(wish) : goOn(sequence, pieceTokens, spareBlocks)) {
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

    /// What became of a part of something that nobody has asked for yet.
    enum Start {
        BEGUN,
        /// there is no room now
        NOT_NOW,
        /// all that is kept is worth more
        NOT_WORTH_IT
    }

    /// Gives memory to a part of a prompt that nobody has sent yet.
    ///
    /// @param goal        tokens of the whole
    /// @param ownTokens   where the part before has left its state; 0 = there was none
    /// @param spareBlocks that are left for others besides
    Start admitTowards(Sequence<?> sequence, int goal, int ownTokens, int spareBlocks) {
        int tokens = sequence.promptTokens();
        var wish = new MemoryWish(sequence.prefixes().partition(), sequence.tokens(), tokens, tokens, 0, spareBlocks);
        return switch (cache.admitTowards(wish, goal, ownTokens)) {
            case MemoryAdmission.Granted granted -> {
                sequence.begin(granted.memory(), Optional.empty());
                yield Start.BEGUN;
            }
            case MemoryAdmission.WaitForSteps _ -> Start.NOT_NOW;
            case MemoryAdmission.WaitForOthers _, MemoryAdmission.NeverFits _ -> Start.NOT_WORTH_IT;
        };
    }

    /// Gives its memory back and leaves its state, whose steps have all completed, to whoever goes on from there.
    void leaveState(Sequence<?> sequence) {
        sequence.memory.leaveState(sequence.tokens(), sequence.computed(), CheckpointPoint.TURN_END);
        sequence.memory = null;
    }

    /// The same for one that goes on from what a session left.
    private MemoryAdmission goOn(Sequence<?> sequence, int pieceTokens, int spareBlocks) {
        int tokens = promise(sequence);
        if (!cache.canPromise(CacheShape.blocksFor(tokens) + spareBlocks) && pieceTokens > 0) {
            tokens = Math.min(tokens, sequence.startTokens() + pieceTokens);
        }
        return cache.canPromise(CacheShape.blocksFor(tokens) + spareBlocks) ? sequence.startsFrom().resume(tokens)
                : new MemoryAdmission.WaitForOthers();
    }

    /// Blocks that a prompt still needs and was not promised.
    int owedBlocks(Sequence<?> sequence) {
        if (!sequence.inPrompt() || !cache.suspends()) {
            return 0;
        }
        return Math.max(0, CacheShape.blocksFor(promise(sequence)) - sequence.memory.blockCount() - sequence.memory.promisedBlocks());
    }

    /// Whether a sequence could leave in the midst of its prompt and lose nothing.
    boolean fitsOnHost(Sequence<?> sequence) {
        return cache.hasHostRoom(CacheShape.blocksFor(promise(sequence)));
    }

    /// Whether a sequence could leave now and go on with the same bits.
    boolean comesBackAlike(Sequence<?> sequence) {
        return cache.hasHostRoom(sequence.memory.blockCount()) || mayBeComputedAgain(sequence);
    }

    private boolean mayBeComputedAgain(Sequence<?> sequence) {
        return decoded == DecodedStates.SERVE_ANYBODY || sequence.generatedTokens() == 0 && sequence.startTokens() == 0;
    }

    /// Blocks, a state counting as a frame of them, that would be there for others if a sequence left: what it shares is not counted.
    int freedBlocks(Sequence<?> sequence) {
        int shared = sequence.memory.reusedTokens() / CacheShape.BLOCK_TOKENS;
        return cache.pool().shape().blocksPerFrame() + sequence.memory.blockCount() - shared + sequence.memory.promisedBlocks();
    }

    /// Whether there would be room for one that waits, whatever is there of its prompt.
    ///
    /// @param pieceTokens as in [#admit]
    /// @param spareBlocks that are left for others, less those that would come free
    boolean wouldFit(Sequence<?> sequence, int pieceTokens, int spareBlocks) {
        int blocks = CacheShape.blocksFor(promise(sequence));
        int least = pieceTokens == 0 ? blocks : Math.min(blocks, CacheShape.blocksFor(sequence.startTokens() + pieceTokens));
        return cache.canPromise(least + spareBlocks);
    }

    /// Whether blocks for its next tokens have to be taken from what is promised to nobody, and leave less than `spareBlocks` of that.
    boolean wantsMoreThan(Sequence<?> sequence, int count, int spareBlocks) {
        int held = sequence.memory.blockCount() + sequence.memory.promisedBlocks();
        int missing = CacheShape.blocksFor(sequence.launched + count) - held;
        return missing > 0 && cache.committedBlocks() + missing + spareBlocks > cache.pool().shape().blocks();
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
        if (parked.isEmpty() && !mayBeComputedAgain(sequence)) {
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
    /// @param spareBlocks that are left for those that hold memory, or it would have to go again at once
    /// @return whether there was room
    boolean comeBack(Sequence<?> sequence, int spareBlocks) {
        int blocks = sequence.parked == null ? CacheShape.blocksFor(promise(sequence)) : Math.max(sequence.parked.blockCount(),
                CacheShape.blocksFor(promise(sequence)));
        if (!cache.canPromise(blocks + spareBlocks)) {
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
