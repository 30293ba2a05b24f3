package dev.sidewinder.kvcache;

import dev.sidewinder.kvcache.MemoryAdmission.Granted;
import dev.sidewinder.kvcache.MemoryAdmission.NeverFits;
import dev.sidewinder.kvcache.MemoryAdmission.WaitForOthers;
import dev.sidewinder.kvcache.MemoryAdmission.WaitForSteps;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;

/// Gives sequences their memory out of one pool of frames, with what earlier sequences computed where it can be used again.
/// One thread.
///
/// **Between two steps** sequences are admitted, grow, fork and close. What has to be copied for that is queued, and
/// [#launch] hands it out with the number of a step: it runs before the step, in order. When that step has completed, the
/// caller says so ([#stepCompleted]), then tells each sequence ([SequenceMemory#computed]). Where there is nothing to run but
/// [#hasWork], a step of nothing but copies has to be launched, since a sequence may wait for it.
///
/// **Promises.** *Committed* is what running sequences hold or are promised, in blocks, a state counting as a frame of them:
/// their slots, their blocks, what of the tree their paths keep, and promises. It never exceeds the pool. All else is free,
/// fenced, or in the tree and can be evicted, so a sequence within its promise never waits for another one, at most for
/// steps under way. That the sum can be done in blocks is shown at [FramePool].
///
/// **Order of eviction.** What nobody can use goes first, then states by their worth; a new state only displaces one that
/// is worth less. What runs is never taken from here.
public final class FrameCache {

    private static final int NONE = Checkpoints.NONE;

    private final FrameShape shape;
    private final StepFence fence = new StepFence();
    private final FramePool pool;
    private final PrefixIndex index;
    private final FrameSupply supply;

    private final List<StateCopy> restores = new ArrayList<>();
    private final List<StateCopy> stores = new ArrayList<>();
    private int promised;
    private int sequences;

    private long lookups;
    private long hits;
    private long promptTokens;
    private long kvTokens;
    private long reusedTokens;
    private long storedStates;
    private long refusedStates;
    private long takenOverStates;

    /// @param random for the keys of hashes: unpredictable in a server, seeded in a test
    public FrameCache(FrameShape shape, ReuseEstimate estimate, RandomGenerator random) {
        this.shape = shape;
        pool = new FramePool(shape, fence);
        index = new PrefixIndex(pool, estimate, random);
        supply = new FrameSupply(pool, index);
    }

    public FramePool pool() {
        return pool;
    }

    /// Sequences that hold memory.
    public int sequences() {
        return sequences;
    }

    /// States in the prefix tree.
    public int keptStates() {
        return index.checkpoints().size();
    }

    /// Blocks in the prefix tree, those that running sequences share included.
    public int keptBlocks() {
        return index.blocks();
    }

    public CacheCounts counts() {
        return new CacheCounts(lookups, hits, promptTokens, kvTokens, reusedTokens, storedStates, refusedStates, supply.evictedStates(),
                takenOverStates);
    }

    /// What running sequences hold or are promised, in blocks.
    public int committedBlocks() {
        int runningSlots = pool.heldSlots() - index.checkpoints().size();
        return runningSlots * shape.blocksPerFrame() + pool.heldBlocks() - index.unlockedBlocks() + promised;
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

    /// The states that are kept, with what each is worth, those that go last in front. For operators, not for each step.
    public List<KeptState> keptStateList() {
        return index.keptStates();
    }

    /// Gives a sequence a slot, what the tree has of its prompt, and a promise of the blocks it asks for.
    public MemoryAdmission admit(MemoryWish wish) {
        var refusal = shape.neverFits(wish.promiseTokens());
        if (refusal.isPresent()) {
            return new NeverFits(refusal.get());
        }
        int blocks = CacheShape.blocksFor(wish.promiseTokens());
        int mostShared = wish.partition().isPresent() ? (wish.promptTokens() - 1) / CacheShape.BLOCK_TOKENS : 0;
        if (!canCommit(Math.max(0, blocks - mostShared))) {
            return new WaitForOthers();
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
        if (!canCommit(missing)) {
            return new WaitForOthers();
        }
        int slot = supply.takeSlot(match.slot());
        if (slot == NONE) {
            return new WaitForSteps();
        }
        if (wish.partition().isPresent()) {
            countLookup(wish, match);
        }
        if (match.hasState() && slot == match.slot()) {
            index.detach(slot);
            takenOverStates++;
        } else if (match.hasState()) {
            copyState(restores, match.slot(), slot);
        }
        int[] names = new int[Math.max(shared, Math.min(blocks, 16))];
        if (shared > 0) {
            index.path(node, names);
        }
        for (int i = 0; i < shared; i++) {
            pool.hold(names[i]);
        }
        promised += missing;
        sequences++;
        return new Granted(new SequenceMemory(this, slot, match.stateTokens(), names, shared, missing, node));
    }

    private void countLookup(MemoryWish wish, PrefixMatch match) {
        index.countLookup(match);
        lookups++;
        hits += match.hasState() ? 1 : 0;
        promptTokens += wish.promptTokens();
        kvTokens += match.kvTokens();
        reusedTokens += match.stateTokens();
    }

    /// Whether a sequence with so many blocks of its own, and a state, can be promised them.
    private boolean canCommit(int blocks) {
        return (long) committedBlocks() + shape.blocksPerFrame() + blocks <= shape.blocks();
    }

    private void copyState(List<StateCopy> queue, int from, int to) {
        queue.add(new StateCopy(from, to));
        pool.touchSlot(from, fence.launched() + 1);
        pool.touchSlot(to, fence.launched() + 1);
    }

    Growth grow(SequenceMemory memory, int missing) {
        int unpromised = Math.max(0, missing - memory.promisedBlocks());
        if (committedBlocks() + unpromised > shape.blocks()) {
            return Growth.NO_ROOM;
        }
        if (!supply.makeRoom(missing)) {
            return Growth.AFTER_STEPS;
        }
        for (int i = 0; i < missing; i++) {
            memory.addBlock(pool.takeBlock());
        }
        promised += unpromised - missing;
        memory.addPromise(unpromised - missing);
        return Growth.GRANTED;
    }

    boolean keep(SequenceMemory memory, int position, CheckpointPoint point) {
        int slot = canCommit(0) ? supply.slotToKeep(worth(memory.node(), position, point)) : NONE;
        if (slot == NONE) {
            refusedStates++;
            return false;
        }
        copyState(stores, memory.slot(), slot);
        memory.pending().addLast(new SequenceMemory.Pending(position, slot, point));
        return true;
    }

    private double worth(int node, int position, CheckpointPoint point) {
        int base = index.hasState(node) ? index.depth(node) : index.baseDepth(node);
        return index.checkpoints().worth(point, position / CacheShape.BLOCK_TOKENS, base).value();
    }

    /// Leads a sequence on in the tree, to a depth or deeper.
    int walk(int node, int[] tokens, int depth, int[] names) {
        return index.extend(node, tokens, depth, names);
    }

    int depth(int node) {
        return index.depth(node);
    }

    /// Leads a sequence to a position where its state was kept, and gives the state to the tree.
    int publish(int node, int[] tokens, int[] names, SequenceMemory.Pending pending) {
        int depth = pending.position() / CacheShape.BLOCK_TOKENS;
        int reached = index.extend(node, tokens, depth, names);
        if (index.attach(index.ancestor(reached, depth), pending.slot(), pending.point())) {
            storedStates++;
        } else {
            pool.giveBackSlot(pending.slot());
        }
        return reached;
    }

    MemoryAdmission fork(SequenceMemory memory, int[] tokens, int computed, int promiseTokens) {
        var refusal = shape.neverFits(promiseTokens);
        if (refusal.isPresent()) {
            return new NeverFits(refusal.get());
        }
        if (computed < 1 || CacheShape.blocksFor(computed) > memory.blockCount()) {
            throw new IllegalArgumentException("forked after " + computed + " tokens a sequence of " + memory.blockCount() + " blocks");
        }
        int whole = computed / CacheShape.BLOCK_TOKENS;
        int missing = Math.max(CacheShape.blocksFor(computed), CacheShape.blocksFor(promiseTokens)) - whole;
        if (!canCommit(missing)) {
            return new WaitForOthers();
        }
        int slot = supply.takeSlot(NONE);
        if (slot == NONE) {
            return new WaitForSteps();
        }
        boolean partial = whole < CacheShape.blocksFor(computed);
        if (partial && !supply.makeRoom(1)) {
            pool.giveBackSlot(slot);
            return new WaitForSteps();
        }
        memory.walk(tokens, whole);
        copyState(restores, memory.slot(), slot);
        var names = new int[whole + 1];
        for (int i = 0; i < whole; i++) {
            names[i] = memory.name(i);
            pool.hold(names[i]);
        }
        if (memory.node() != NONE) {
            index.lockPath(memory.node());
        }
        var fork = new SequenceMemory(this, slot, computed, names, whole, missing, memory.node());
        promised += missing;
        sequences++;
        if (partial) {
            fork.reserve(whole * CacheShape.BLOCK_TOKENS, computed);
            copyBlock(memory.name(whole), fork.name(whole));
        }
        return new Granted(fork);
    }

    private void copyBlock(int from, int to) {
        supply.copies().add(new BlockCopy(pool.place(from), pool.place(to)));
        pool.touchBlock(from, fence.launched() + 1);
        pool.touchBlock(to, fence.launched() + 1);
    }

    void giveBack(SequenceMemory memory) {
        // A copy that is queued still runs, for nothing: both slots are marked as touched by the step to come.
        for (SequenceMemory.Pending pending : memory.pending()) {
            pool.giveBackSlot(pending.slot());
        }
        promised -= memory.promisedBlocks();
        // The last block first: blocks given back last are taken first, and the first block of a sequence is touched most.
        for (int i = memory.blockCount() - 1; i >= 0; i--) {
            pool.touchBlock(memory.name(i), fence.launched());
            pool.letGo(memory.name(i));
        }
        pool.touchSlot(memory.slot(), fence.launched());
        pool.giveBackSlot(memory.slot());
        if (memory.node() != NONE) {
            index.leave(memory.node());
        }
        sequences--;
    }

    /// Whether copies are queued that no step has been launched with.
    public boolean hasWork() {
        return !supply.copies().isEmpty() || !restores.isEmpty() || !stores.isEmpty();
    }

    /// A step is launched: it may touch everything that is held now, and takes all queued copies with it.
    ///
    /// @param step its number, above all earlier ones
    /// @return what to copy with it
    public MemoryWork launch(long step) {
        supply.prepare();
        MemoryWork work = hasWork() ? new MemoryWork(supply.copies(), restores, stores) : MemoryWork.NONE;
        supply.copies().clear();
        restores.clear();
        stores.clear();
        fence.launch(step);
        return work;
    }

    /// A step has completed: what only it and earlier ones could touch is free. Steps complete in the order of their launch.
    public void stepCompleted(long step) {
        fence.complete(step);
        pool.completed();
    }

    /// Drops everything that no running sequence shares.
    public void evictAll() {
        supply.evictAll();
    }

    /// @throws IllegalStateException when the books do not balance
    public void checkInvariants() {
        pool.checkInvariants();
        index.checkInvariants();
        if (promised < 0 || committedBlocks() > shape.blocks()) {
            throw new IllegalStateException(committedBlocks() + " blocks are committed, " + promised + " of them promised, of "
                    + shape.blocks());
        }
        if (fence.open() && !hasWork() && (pool.comingFrames() > 0 || pool.comingBlocks() > 0)) {
            throw new IllegalStateException("no step is under way and none is due, and yet memory waits for one: " + pool.use());
        }
    }
}
