package dev.sidewinder.kvcache;

import dev.sidewinder.kvcache.MemoryAdmission.Granted;
import dev.sidewinder.kvcache.MemoryAdmission.NeverFits;
import dev.sidewinder.kvcache.MemoryAdmission.WaitForOthers;
import dev.sidewinder.kvcache.MemoryAdmission.WaitForSteps;
import dev.sidewinder.kvcache.SequenceMemory.Pending;
import java.util.Optional;

/// What becomes of the memory of a sequence that has some: it grows, forks, goes to the host area and comes back, and ends.
final class MemoryChanges {

    private static final int NONE = PrefixNodes.NONE;

    private final FrameCache owner;
    private final CacheParts cache;
    private final FramePool pool;
    private final PrefixIndex index;
    private final Suspensions suspensions;
    private final Commitments commitments;

    /// @param owner of the memory that is given out
    MemoryChanges(FrameCache owner, CacheParts cache) {
        this.owner = owner;
        this.cache = cache;
        pool = cache.pool();
        index = cache.index();
        suspensions = cache.suspensions();
        commitments = cache.commitments();
    }

    /// Where there is no room: somebody may be on its way to the host area, whose room comes free step by step.
    MemoryAdmission waitForRoom() {
        return suspensions.traffic().isEmptying() ? new WaitForSteps() : new WaitForOthers();
    }

    /// Gives a sequence more blocks, within its promise or beyond.
    Growth grow(SequenceMemory memory, int missing) {
        int unpromised = Math.max(0, missing - memory.promisedBlocks());
        if (!commitments.fits(unpromised)) {
            return suspensions.traffic().isEmptying() ? Growth.AFTER_STEPS : Growth.NO_ROOM;
        }
        if (!cache.supply().makeRoom(missing)) {
            return Growth.AFTER_STEPS;
        }
        for (int i = 0; i < missing; i++) {
            memory.addBlock(pool.takeBlock());
        }
        commitments.promise(unpromised - missing);
        memory.addPromise(unpromised - missing);
        return Growth.GRANTED;
    }

    /// As [SequenceMemory#fork].
    MemoryAdmission fork(SequenceMemory memory, int[] tokens, int computed, int promiseTokens) {
        var refusal = pool.shape().neverFits(promiseTokens);
        if (refusal.isPresent()) {
            return new NeverFits(refusal.get());
        }
        if (computed < 1 || CacheShape.blocksFor(computed) > memory.blockCount()) {
            throw new IllegalArgumentException("forked after " + computed + " tokens a sequence of " + memory.blockCount() + " blocks");
        }
        int whole = computed / CacheShape.BLOCK_TOKENS;
        int missing = Math.max(CacheShape.blocksFor(computed), CacheShape.blocksFor(promiseTokens)) - whole;
        if (!commitments.canBegin(missing)) {
            return waitForRoom();
        }
        boolean partial = whole < CacheShape.blocksFor(computed);
        int slot = memory.isOnItsWay() ? NONE : slotBeside(partial ? 1 : 0);
        if (slot == NONE) {
            return new WaitForSteps();
        }
        memory.walk(tokens, whole);
        cache.work().restore(memory.slot(), slot);
        var names = new int[whole + 1];
        for (int i = 0; i < whole; i++) {
            names[i] = memory.name(i);
            pool.hold(names[i]);
        }
        if (memory.node() != NONE) {
            index.lockPath(memory.node());
        }
        var fork = new SequenceMemory(owner, slot, computed, computed, names, whole, missing, memory.node());
        commitments.begin(missing);
        if (partial) {
            fork.reserve(whole * CacheShape.BLOCK_TOKENS, computed);
            cache.work().copyBlock(memory.name(whole), fork.name(whole));
        }
        return new Granted(fork);
    }

    /// A slot, where so many blocks can be taken besides; [PrefixNodes#NONE] when they come free with steps.
    private int slotBeside(int blocks) {
        int slot = cache.supply().takeSlot(NONE);
        if (slot != NONE && blocks > 0 && !cache.supply().makeRoom(blocks)) {
            pool.giveBackSlot(slot);
            return NONE;
        }
        return slot;
    }

    /// As [SequenceMemory#suspend(SuspendedMemory, int)].
    ///
    /// @param there places of its first blocks, which are in the host area already
    Optional<SuspendedMemory> suspend(SequenceMemory memory, int[] there) {
        if (memory.isOnItsWay()) {
            SuspendedMemory before = suspensions.turnBack(memory.arrival());
            giveBack(memory);
            return Optional.of(before);
        }
        Optional<Partition> partition = memory.node() == NONE ? Optional.empty() : Optional.of(index.partition(memory.node()));
        Optional<SuspendedMemory> suspended = suspensions.suspend(owner, memory, partition, there);
        if (suspended.isPresent()) {
            withdraw(memory);
        }
        return suspended;
    }

    /// As [SuspendedMemory#resume].
    MemoryAdmission resume(SuspendedMemory suspended, int promiseTokens) {
        var refusal = pool.shape().neverFits(promiseTokens);
        if (refusal.isPresent()) {
            return new NeverFits(refusal.get());
        }
        int held = suspended.blockCount();
        int missing = Math.max(held, CacheShape.blocksFor(promiseTokens));
        if (!commitments.canBegin(missing)) {
            return waitForRoom();
        }
        int slot = suspensions.isCopied(suspended) ? slotBeside(held) : NONE;
        if (slot == NONE) {
            return new WaitForSteps();
        }
        int node = suspended.partition().map(index::enter).orElse(NONE);
        var memory = new SequenceMemory(owner, slot, suspended.reusedTokens(), suspended.reusedTokens(), new int[held], 0, missing, node);
        commitments.begin(missing);
        if (held > 0) {
            grow(memory, held);
        }
        memory.isOnItsWay(suspensions.resume(suspended, memory));
        return new Granted(memory);
    }

    /// A sequence ends: what a launched step may touch is free when every step launched so far has completed.
    void giveBack(SequenceMemory memory) {
        giveBack(memory, false);
    }

    /// The same.
    ///
    /// @param slotGiven whether its slot belongs to somebody else by now
    void giveBack(SequenceMemory memory, boolean slotGiven) {
        if (memory.isOnItsWay()) {
            suspensions.abandon(memory.arrival());
        }
        withdraw(memory);
        long launched = cache.fence().launched();
        // The last block first: blocks given back last are taken first, and the first block of a sequence is touched most.
        for (int i = memory.blockCount() - 1; i >= 0; i--) {
            pool.touchBlock(memory.name(i), launched);
            pool.letGo(memory.name(i));
        }
        if (!slotGiven) {
            pool.touchSlot(memory.slot(), launched);
            pool.giveBackSlot(memory.slot());
        }
        if (memory.node() != NONE) {
            index.leave(memory.node());
        }
    }

    /// Takes a sequence out whose slot and blocks somebody else gives back.
    private void withdraw(SequenceMemory memory) {
        // A copy that is queued still runs, for nothing, and so does a step that writes: the slots are marked as touched by it.
        for (Pending pending : memory.pending()) {
            pool.giveBackSlot(pending.slot());
        }
        commitments.end(memory.promisedBlocks());
    }
}
