package dev.sidewinder.kvcache;

import dev.sidewinder.kvcache.MemoryAdmission.Granted;
import dev.sidewinder.kvcache.MemoryAdmission.NeverFits;
import dev.sidewinder.kvcache.MemoryAdmission.WaitForOthers;
import dev.sidewinder.kvcache.MemoryAdmission.WaitForSteps;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.SplittableRandom;
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
/// **Suspension** moves a sequence to the host area and frees all it has here, step by step ([HostTraffic]); it comes back bit for bit.
/// Whom to suspend is the scheduler's choice; as long as one is leaving, those that lack room are told to wait for steps.
///
/// **Order of eviction.** What nobody can use goes first, then states by their worth; a new state only displaces one that
/// is worth less. What runs is never taken from here.
public final class FrameCache {

    private static final int NONE = Checkpoints.NONE;

    private final FrameShape shape;
    private final StepFence fence = new StepFence();
    private final FramePool pool;
    private final PrefixIndex index;
    private final WorkQueue work;
    private final FrameSupply supply;
    private final Suspensions suspensions;

    private int promised;
    private int sequences;

    private final CacheTally tally = new CacheTally();

    /// @param host   room for suspended sequences
    /// @param random for the keys of hashes: unpredictable in a server, seeded in a test
    public FrameCache(FrameShape shape, HostShape host, ReuseEstimate estimate, RandomGenerator random) {
        this.shape = shape;
        pool = new FramePool(shape, fence);
        index = new PrefixIndex(pool, estimate, random);
        work = new WorkQueue(pool, fence);
        supply = new FrameSupply(pool, index, work, tally);
        suspensions = new Suspensions(host, fence, pool, index, work);
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
        return promised;
    }

    /// Blocks that only the prefix tree holds: eviction can free all of them.
    public int evictableBlocks() {
        return index.unlockedBlocks();
    }

    /// What there is and who has it.
    public CacheUse use() {
        return new CacheUse(shape, pool.use(), committedBlocks(), promised, keptStates(), evictableBlocks(), suspendedSequences(),
                suspendedBlocks(), counts());
    }

    /// Sequences that hold memory.
    public int sequences() {
        return sequences;
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
        return index.checkpoints().size();
    }

    /// Blocks in the prefix tree, those that running sequences share included.
    public int keptBlocks() {
        return index.blocks();
    }

    public CacheCounts counts() {
        return tally.counts();
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
        int fewest = wish.leastBlocks(Math.max(0, blocks - mostShared));
        if (!canPromise(fewest + wish.spareBlocks())) {
            return waitForRoom();
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
            return waitForRoom();
        }
        CacheExplanation found = explain(wish);
        int slot = supply.takeSlot(match.slot());
        if (slot == NONE) {
            return new WaitForSteps();
        }
        if (wish.partition().isPresent()) {
            index.countLookup(match);
            tally.lookup(wish.promptTokens(), found);
        } else {
            tally.noLookup();
        }
        if (match.hasState() && slot == match.slot()) {
            index.detach(slot);
            tally.takenOver();
        } else if (match.hasState()) {
            work.restore(match.slot(), slot);
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
        return new Granted(new SequenceMemory(this, slot, match.stateTokens(), match.kvTokens(), names, shared, missing, node));
    }

    /// Whether somebody could be promised a state and so many blocks of its own.
    public boolean canPromise(int blocks) {
        return (long) committedBlocks() + shape.blocksPerFrame() + blocks <= shape.blocks();
    }

    /// Whether somebody is on its way to the host area, whose room comes free step by step: as long as that is so, nobody else has to
    /// leave.
    public boolean isEmptying() {
        return suspensions.traffic().isEmptying();
    }

    private MemoryAdmission waitForRoom() {
        return isEmptying() ? new WaitForSteps() : new WaitForOthers();
    }

    boolean comesNext(Arrival arrival) {
        return suspensions.traffic().comesNext(arrival);
    }

    Growth grow(SequenceMemory memory, int missing) {
        int unpromised = Math.max(0, missing - memory.promisedBlocks());
        if (committedBlocks() + unpromised > shape.blocks()) {
            return isEmptying() ? Growth.AFTER_STEPS : Growth.NO_ROOM;
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

    /// A slot for a state of a sequence; [#NONE] when there is none that it would be worth.
    ///
    /// @param latest whether it takes the place of the one that was kept so before
    int slotToKeep(SequenceMemory memory, int position, CheckpointPoint point, boolean latest) {
        int slot = canPromise(0) ? chooseSlot(memory, position, point, latest) : NONE;
        if (slot == NONE) {
            tally.refused(point);
        }
        return slot;
    }

    /// A free frame, or where there is none that of the state which the new one would take the place of, or of one that is worth less.
    private int chooseSlot(SequenceMemory memory, int position, CheckpointPoint point, boolean latest) {
        if (latest && memory.latestPosition() > 0 && pool.freeFrames() == 0) {
            int before = supply.takeOverUnlessShared(ancestor(memory, memory.latestPosition()), point);
            if (before != NONE) {
                return before;
            }
        }
        return supply.slotToKeep(worth(memory, position, point));
    }

    private int ancestor(SequenceMemory memory, int position) {
        return index.ancestor(memory.node(), position / CacheShape.BLOCK_TOKENS);
    }

    /// The step to come writes a state.
    void writeInStep(int slot) {
        work.writeInStep(slot);
    }

    /// A state is copied when the step to come has run.
    void copyBehindStep(int from, int to) {
        work.store(from, to);
    }

    /// Without it a sequence would fall back to the state before, which may be one that is about to be kept.
    private double worth(SequenceMemory memory, int position, CheckpointPoint point) {
        int base = baseOf(memory);
        return index.checkpoints().worth(point, position / CacheShape.BLOCK_TOKENS, base).value();
    }

    private int baseOf(SequenceMemory memory) {
        if (!memory.pending().isEmpty()) {
            return memory.pending().getLast().position() / CacheShape.BLOCK_TOKENS;
        }
        int node = memory.node();
        return index.hasState(node) ? index.depth(node) : index.baseDepth(node);
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
        int there = index.ancestor(reached, depth);
        if (index.attach(there, pending.slot(), pending.point())) {
            index.supersedeBefore(there);
            tally.stored(pending.point());
        } else {
            pool.giveBackSlot(pending.slot());
        }
        return reached;
    }

    /// Drops the state at a position on the way to a node that was kept for a reason, if nobody else goes on from there.
    void dropLatest(int node, int position, CheckpointPoint point) {
        if (position > 0) {
            supply.evictUnlessShared(index.ancestor(node, position / CacheShape.BLOCK_TOKENS), point);
        }
    }

    /// Drops all states on the path of a sequence, takes it off the tree, and drops what is of no use then.
    void distrust(SequenceMemory memory) {
        if (memory.node() == NONE) {
            return;
        }
        supply.evictPath(memory.node());
        index.leave(memory.node());
        supply.evictDead();
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
        if (!canPromise(missing)) {
            return waitForRoom();
        }
        int slot = memory.isOnItsWay() ? NONE : supply.takeSlot(NONE);
        if (slot == NONE) {
            return new WaitForSteps();
        }
        boolean partial = whole < CacheShape.blocksFor(computed);
        if (partial && !supply.makeRoom(1)) {
            pool.giveBackSlot(slot);
            return new WaitForSteps();
        }
        memory.walk(tokens, whole);
        work.restore(memory.slot(), slot);
        var names = new int[whole + 1];
        for (int i = 0; i < whole; i++) {
            names[i] = memory.name(i);
            pool.hold(names[i]);
        }
        if (memory.node() != NONE) {
            index.lockPath(memory.node());
        }
        var fork = new SequenceMemory(this, slot, computed, computed, names, whole, missing, memory.node());
        promised += missing;
        sequences++;
        if (partial) {
            fork.reserve(whole * CacheShape.BLOCK_TOKENS, computed);
            work.copyBlock(memory.name(whole), fork.name(whole));
        }
        return new Granted(fork);
    }

    Optional<SuspendedMemory> suspend(SequenceMemory memory, int[] there) {
        if (memory.isOnItsWay()) {
            SuspendedMemory before = suspensions.turnBack(memory.arrival());
            giveBack(memory);
            return Optional.of(before);
        }
        Optional<Partition> partition = memory.node() == NONE ? Optional.empty() : Optional.of(index.partition(memory.node()));
        Optional<SuspendedMemory> suspended = suspensions.suspend(this, memory, partition, there);
        if (suspended.isPresent()) {
            withdraw(memory);
        }
        return suspended;
    }

    MemoryAdmission resume(SuspendedMemory suspended, int promiseTokens) {
        var refusal = shape.neverFits(promiseTokens);
        if (refusal.isPresent()) {
            return new NeverFits(refusal.get());
        }
        int held = suspended.blockCount();
        int missing = Math.max(held, CacheShape.blocksFor(promiseTokens));
        if (!canPromise(missing)) {
            return waitForRoom();
        }
        if (!suspensions.isCopied(suspended)) {
            return new WaitForSteps();
        }
        int slot = supply.takeSlot(NONE);
        if (slot == NONE) {
            return new WaitForSteps();
        }
        if (!supply.makeRoom(held)) {
            pool.giveBackSlot(slot);
            return new WaitForSteps();
        }
        int node = suspended.partition().map(index::enter).orElse(NONE);
        var memory = new SequenceMemory(this, slot, suspended.reusedTokens(), suspended.reusedTokens(), new int[held], 0, missing, node);
        promised += missing;
        sequences++;
        if (held > 0) {
            grow(memory, held);
        }
        memory.isOnItsWay(suspensions.resume(suspended, memory));
        return new Granted(memory);
    }

    /// Takes places in the host area for a sequence that somebody else's bytes are: they are written there before it is resumed.
    /// Empty when there is no room.
    ///
    /// @param partition as in [MemoryWish]
    /// @param blocks    KV blocks of it
    public Optional<SuspendedMemory> adopt(Optional<Partition> partition, int blocks) {
        return suspensions.adopt(this, partition, blocks);
    }

    SuspendedMemory share(SuspendedMemory suspended) {
        return suspensions.share(suspended);
    }

    boolean isThere(SuspendedMemory suspended) {
        return suspensions.isThere(suspended);
    }

    void drop(SuspendedMemory suspended) {
        suspensions.drop(suspended);
    }

    /// Takes a sequence out whose slot and blocks somebody else gives back.
    private void withdraw(SequenceMemory memory) {
        // A copy that is queued still runs, for nothing, and so does a step that writes: the slots are marked as touched by it.
        for (SequenceMemory.Pending pending : memory.pending()) {
            pool.giveBackSlot(pending.slot());
        }
        promised -= memory.promisedBlocks();
        sequences--;
    }

    void giveBack(SequenceMemory memory) {
        if (memory.isOnItsWay()) {
            suspensions.abandon(memory.arrival());
        }
        withdraw(memory);
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
    }

    /// Whether copies are queued, or states to be written, that no step has been launched with.
    public boolean hasWork() {
        return !work.isEmpty() || !suspensions.traffic().isEmpty();
    }

    /// A step is launched: it may touch everything that is held now, and takes all queued copies with it.
    ///
    /// @param step its number, above all earlier ones
    /// @return what to copy with it
    public MemoryWork launch(long step) {
        supply.prepare();
        suspensions.traffic().handOut();
        fence.launch(step);
        return work.take();
    }

    /// A step has completed: what only it and earlier ones could touch is free. Steps complete in the order of their launch.
    public void stepCompleted(long step) {
        fence.complete(step);
        pool.completed();
        suspensions.completed();
    }

    /// Drops everything that no running sequence shares.
    public void evictAll() {
        supply.evictAll(_ -> true);
    }

    /// Drops everything of a partition that no running sequence shares.
    public void evictAll(Partition partition) {
        supply.evictAll(partition::equals);
    }

    /// Drops everything of some partitions that no running sequence shares.
    public void evictAll(Predicate<Partition> which) {
        supply.evictAll(which);
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
