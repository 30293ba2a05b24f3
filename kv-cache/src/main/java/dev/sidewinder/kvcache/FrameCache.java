package dev.sidewinder.kvcache;

import dev.sidewinder.kvcache.MemoryAdmission.Granted;
import dev.sidewinder.kvcache.MemoryAdmission.NeverFits;
import dev.sidewinder.kvcache.MemoryAdmission.WaitForOthers;
import dev.sidewinder.kvcache.MemoryAdmission.WaitForSteps;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;

/// Gives sequences their memory out of one pool of frames, with what earlier sequences computed where it can be used again.
/// One thread.
///
/// **Between two steps** sequences are admitted, grow, fork and close. What has to be copied for that is queued, and
/// [#launch] hands it out with the number of a step: it runs before the step, in order. When that step has completed, the
/// caller says so ([#stepCompleted]), then tells each sequence ([SequenceMemory#computed]). Where there is nothing to run but
/// [#hasWork], a step of nothing but copies has to be launched, since a sequence may wait for it.
///
/// **Promises.** What running sequences hold or are promised never exceeds the pool ([Commitments]), so a sequence within its promise
/// never waits for another one, at most for steps under way.
///
/// **Suspension** moves a sequence to the host area and frees all it has here, step by step ([HostTraffic]); it comes back bit for bit.
/// Whom to suspend is the scheduler's choice; as long as one is leaving, those that lack room are told to wait for steps.
///
/// **Order of eviction.** What nobody can use goes first, then states by their worth; a new state only displaces one that
/// is worth less ([StateKeeper]). What runs is never taken from here.
public final class FrameCache {

    private static final int NONE = PrefixNodes.NONE;

    private final FrameShape shape;
    private final CacheParts parts;
    private final FramePool pool;
    private final PrefixIndex index;
    private final Suspensions suspensions;
    private final Commitments commitments;
    private final StateKeeper states;
    private final MemoryChanges changes;

    /// @param host   room for suspended sequences
    /// @param random for the keys of hashes: unpredictable in a server, seeded in a test
    public FrameCache(FrameShape shape, HostShape host, ReuseEstimate estimate, RandomGenerator random) {
        this.shape = shape;
        parts = CacheParts.of(shape, host, estimate, random);
        pool = parts.pool();
        index = parts.index();
        suspensions = parts.suspensions();
        commitments = parts.commitments();
        states = new StateKeeper(parts);
        changes = new MemoryChanges(this, parts);
    }

    /// For whoever runs sequences that have nothing to do with each other: nothing is kept or suspended.
    public static FrameCache plain(FrameShape shape) {
        return new FrameCache(shape, HostShape.NONE, ReuseEstimate.DEFAULT, new SplittableRandom(0));
    }

    public FramePool pool() {
        return pool;
    }

    /// Whether there is a host area, so that sequences can be suspended.
    public boolean suspends() {
        return suspensions.hasRoom();
    }

    /// Whether the host area has room for one more sequence of so many blocks.
    public boolean hasHostRoom(int blocks) {
        return suspensions.hasRoomFor(blocks);
    }

    /// Blocks that running sequences may still grow into.
    public int promisedBlocks() {
        return commitments.promised();
    }

    /// Blocks that only the prefix tree holds: eviction can free all of them.
    public int evictableBlocks() {
        return index.unlockedBlocks();
    }

    /// What there is and who has it.
    public CacheUse use() {
        return new CacheUse(shape, pool.use(), committedBlocks(), promisedBlocks(), keptStates(), evictableBlocks(), suspendedSequences(),
                suspendedBlocks(), counts());
    }

    /// Sequences that hold memory.
    public int sequences() {
        return commitments.sequences();
    }

    /// Sequences in the host area, those included that a step is copying back.
    public int suspendedSequences() {
        return suspensions.suspendedStates();
    }

    /// KV blocks in the host area.
    public int suspendedBlocks() {
        return suspensions.suspendedBlocks();
    }

    /// States in the prefix tree.
    public int keptStates() {
        return index.states().size();
    }

    /// Blocks in the prefix tree, those that running sequences share included.
    public int keptBlocks() {
        return index.blocks();
    }

    public CacheCounts counts() {
        return parts.tally().counts();
    }

    /// What running sequences hold or are promised, in blocks.
    public int committedBlocks() {
        return commitments.blocks();
    }

    /// Tokens of a prompt that would not have to be computed if it were admitted now. Changes nothing.
    public int reusableTokens(Partition partition, int[] tokens, int promptTokens) {
        return index.lookup(partition, tokens, promptTokens - 1).stateTokens();
    }

    /// What there is for a prompt and why not more, as of now: ask right before [#admit]. Changes nothing.
    public CacheExplanation explain(MemoryWish wish) {
        return wish.partition().map(each -> index.explain(each, wish.tokens(), wish.promptTokens() - 1))
                .orElse(CacheExplanation.DISABLED);
    }

    /// The states that are kept, with what each is worth, those that go last in front. For tests.
    List<KeptState> keptStateList() {
        return index.states().list();
    }

    /// Gives a sequence a slot, what the tree has of its prompt, and a promise of the blocks it asks for.
    public MemoryAdmission admit(MemoryWish wish) {
        var refusal = shape.neverFits(wish.promiseTokens());
        if (refusal.isPresent()) {
            return new NeverFits(refusal.get());
        }
        int blocks = CacheShape.blocksFor(wish.promiseTokens());
        int mostShared = wish.partition().isPresent() ? (wish.promptTokens() - 1) / CacheShape.BLOCK_TOKENS : 0;
        int fewest = wish.leastBlocks(Math.max(0, blocks - mostShared));
        if (!canPromise(fewest + wish.spareBlocks())) {
            return changes.waitForRoom();
        }
        PrefixMatch match = wish.partition().map(each -> index.lookup(each, wish.tokens(), wish.promptTokens() - 1))
                .orElse(PrefixMatch.NOTHING);
        int node = match.hasState() ? index.enterAt(match.slot()) : wish.partition().map(index::enter).orElse(NONE);
        MemoryAdmission answer = admit(wish, match, node, blocks);
        if (node != NONE && !(answer instanceof Granted)) {
            index.leave(node);
        }
        return answer;
    }

    private MemoryAdmission admit(MemoryWish wish, PrefixMatch match, int node, int blocks) {
        int shared = match.stateTokens() / CacheShape.BLOCK_TOKENS;
        int missing = Math.max(0, blocks - shared);
        if (!canPromise(missing + wish.spareBlocks())) {
            missing = wish.leastBlocks(missing);
        }
        if (!canPromise(missing + wish.spareBlocks())) {
            return changes.waitForRoom();
        }
        CacheExplanation found = explain(wish);
        int slot = parts.supply().takeSlot(match.slot());
        if (slot == NONE) {
            return new WaitForSteps();
        }
        if (wish.partition().isPresent()) {
            index.states().countLookup(match);
            parts.tally().lookup(wish.promptTokens(), found);
        } else {
            parts.tally().noLookup();
        }
        return grant(match, node, slot, blocks, missing);
    }

    private Granted grant(PrefixMatch match, int node, int slot, int blocks, int missing) {
        int shared = match.stateTokens() / CacheShape.BLOCK_TOKENS;
        if (match.hasState() && slot == match.slot()) {
            index.detach(slot);
            parts.tally().takenOver();
        } else if (match.hasState()) {
            parts.work().restore(match.slot(), slot);
        }
        int[] names = new int[Math.max(shared, Math.min(blocks, 16))];
        if (shared > 0) {
            index.path(node, names);
        }
        for (int i = 0; i < shared; i++) {
            pool.hold(names[i]);
        }
        commitments.begin(missing);
        return new Granted(new SequenceMemory(this, slot, match.stateTokens(), match.kvTokens(), names, shared, missing, node));
    }

    /// Memory for the next part of something that nobody has asked for yet, whose state is then left to the tree
    /// ([SequenceMemory#leaveState]): what it finds does not count as used, and to keep a state it displaces only what is worth less
    /// than the state at the end of the whole will be.
    ///
    /// @param wish      all or nothing, of a partition
    /// @param goal      tokens of the whole
    /// @param ownTokens where the part before left its state, which becomes this one's then; 0 = this is the first part
    public MemoryAdmission admitTowards(MemoryWish wish, int goal, int ownTokens) {
        PrefixMatch match = index.lookup(wish.partition().orElseThrow(), wish.tokens(), wish.promptTokens() - 1);
        int blocks = CacheShape.blocksFor(wish.promiseTokens());
        int missing = blocks - match.stateTokens() / CacheShape.BLOCK_TOKENS;
        if (!canPromise(missing + wish.spareBlocks())) {
            return new WaitForSteps();
        }
        int node = match.hasState() ? index.enterAt(match.slot()) : index.enter(wish.partition().orElseThrow());
        int slot = states.slotTowards(match, node, goal, ownTokens);
        if (slot == NONE) {
            index.leave(node);
            return pool.comingFrames() > 0 || hasWork() ? new WaitForSteps() : new WaitForOthers();
        }
        return grant(match, node, slot, blocks, missing);
    }

    /// Whether somebody could be promised a state and so many blocks of its own.
    public boolean canPromise(int blocks) {
        return commitments.canBegin(blocks);
    }

    /// Whether somebody is on its way to the host area, whose room comes free step by step: as long as that is so, nobody else has to
    /// leave.
    public boolean isEmptying() {
        return suspensions.traffic().isEmptying();
    }

    /// Takes places in the host area for a sequence that somebody else's bytes are: they are written there before it is resumed.
    /// Empty when there is no room.
    ///
    /// @param partition as in [MemoryWish]
    /// @param blocks    KV blocks of it
    public Optional<SuspendedMemory> adopt(Optional<Partition> partition, int blocks) {
        return suspensions.adopt(this, partition, blocks);
    }

    /// Whether copies are queued, or states to be written, that no step has been launched with.
    public boolean hasWork() {
        return !parts.work().isEmpty() || !suspensions.traffic().isEmpty();
    }

    /// A step is launched: it may touch everything that is held now, and takes all queued copies with it.
    ///
    /// @param step its number, above all earlier ones
    /// @return what to copy with it
    public MemoryWork launch(long step) {
        parts.supply().prepare();
        suspensions.traffic().handOut();
        parts.fence().launch(step);
        return parts.work().take();
    }

    /// A step has completed: what only it and earlier ones could touch is free. Steps complete in the order of their launch.
    public void stepCompleted(long step) {
        parts.fence().complete(step);
        pool.completed();
        suspensions.completed();
    }

    /// Drops everything that no running sequence shares.
    public void evictAll() {
        parts.supply().evictAll(_ -> true);
    }

    /// Drops everything of a partition that no running sequence shares.
    public void evictAll(Partition partition) {
        parts.supply().evictAll(partition::equals);
    }

    /// Drops everything of some partitions that no running sequence shares.
    public void evictAll(Predicate<Partition> which) {
        parts.supply().evictAll(which);
    }

    /// @throws IllegalStateException when the books do not balance
    public void checkInvariants() {
        pool.checkInvariants();
        index.checkInvariants();
        commitments.checkInvariants();
        if (parts.fence().open() && !hasWork() && (pool.comingFrames() > 0 || pool.comingBlocks() > 0)) {
            throw new IllegalStateException("no step is under way and none is due, and yet memory waits for one: " + pool.use());
        }
    }

    // For the memory that it gives out.

    StateKeeper states() {
        return states;
    }

    MemoryChanges changes() {
        return changes;
    }

    Suspensions suspensions() {
        return suspensions;
    }
}
