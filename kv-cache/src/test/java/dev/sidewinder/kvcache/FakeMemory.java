package dev.sidewinder.kvcache;

import static dev.sidewinder.kvcache.CacheShape.BLOCK_TOKENS;

import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

/// A device's memory in which every cell really holds what was written, as a hash of the tokens it came from: frames whose
/// bytes are a state or blocks, whichever was written last. A step is worked off when it completes, with places as they were
/// at its launch. Contents depend on the partition and all tokens so far, so whatever reads a wrong block, a stale state or
/// somebody else's memory finds a wrong number.
final class FakeMemory {

    /// A run of tokens of one sequence in a step, with places as of the launch.
    ///
    /// @param writes states that it writes on its way
    record Run(long secret, int[] tokens, int from, int count, int slot, int[] blocks, List<StateWrite> writes) {}

    private record Step(long number, MemoryWork work, List<Run> runs, Set<Integer> places, Set<Integer> slots) {}

    /// A fault that a correct cache would not have.
    enum Fault {
        NONE,
        /// a sequence that begins anew finds what the last one left in its slot
        SLOT_NOT_ZEROED,
        /// a kept state is the one from before the step instead of after it
        STATE_OF_ANOTHER_BOUNDARY,
        /// a state that a step writes on its way is the one a block earlier
        STATE_WRITTEN_EARLY,
        /// a fork's unfinished block is the parent's own
        FORK_WITHOUT_COPY,
        /// states are not copied to who goes on from them
        NO_RESTORE,
        /// the last block of a suspended sequence is left behind
        SUSPENDED_WITHOUT_ITS_LAST_BLOCK
    }

    private static final long GARBAGE = 0xDEAD;

    private final FrameShape shape;
    private final Fault fault;
    private final long[][] blocks;
    private final long[] states;
    private final long[][] hostBlocks;
    private final long[] hostStates;
    private final ArrayDeque<Step> underWay = new ArrayDeque<>();

    FakeMemory(FrameShape shape, HostShape host, Fault fault) {
        this.shape = shape;
        this.fault = fault;
        blocks = new long[shape.blocks()][BLOCK_TOKENS];
        states = new long[shape.frames()];
        hostBlocks = new long[host.blocks()][BLOCK_TOKENS];
        hostStates = new long[host.states()];
    }

    int stepsUnderWay() {
        return underWay.size();
    }

    void launch(long number, MemoryWork work, List<Run> runs) {
        Set<Integer> places = new HashSet<>();
        Set<Integer> slots = new HashSet<>();
        work.blocks().forEach(copy -> places.addAll(List.of(copy.from(), copy.to())));
        work.restores().forEach(copy -> slots.addAll(List.of(copy.from(), copy.to())));
        work.stores().forEach(copy -> slots.addAll(List.of(copy.from(), copy.to())));
        Stream.concat(work.ins().stream(), work.outs().stream())
                .forEach(copy -> (copy.kind() == HostCopy.Kind.STATE ? slots : places).add(copy.device()));
        for (Run run : runs) {
            slots.add(run.slot());
            run.writes().forEach(write -> slots.add(write.slot()));
            Arrays.stream(run.blocks()).forEach(places::add);
        }
        underWay.add(new Step(number, work, runs, places, slots));
    }

    /// Fails when a step under way may touch a slot that is given out now.
    void giveOutSlot(int slot) {
        for (Step step : underWay) {
            require(!step.slots().contains(slot) && step.places().stream().noneMatch(place -> frame(place) == slot),
                    "slot " + slot + " was given out while step " + step.number() + " may touch it");
        }
    }

    /// Fails when a step under way may touch a block that is given out now.
    void giveOutBlock(int place) {
        for (Step step : underWay) {
            require(!step.places().contains(place) && !step.slots().contains(frame(place)),
                    "block " + place + " was given out while step " + step.number() + " may touch it");
        }
    }

    private int frame(int place) {
        return place / shape.blocksPerFrame();
    }

    /// Works off the oldest step.
    ///
    /// @return its number
    long complete() {
        Step step = underWay.remove();
        for (BlockCopy copy : step.work().blocks()) {
            long[] content = blocks[copy.from()].clone();
            for (int i = 0; i < content.length; i++) {
                write(copy.to(), i, content[i]);
            }
        }
        for (StateCopy copy : step.work().restores()) {
            if (fault != Fault.NO_RESTORE) {
                writeState(copy.to(), states[copy.from()]);
            }
        }
        step.work().ins().forEach(this::copyIn);
        List<HostCopy> outs = step.work().outs();
        boolean loses = fault == Fault.SUSPENDED_WITHOUT_ITS_LAST_BLOCK && !outs.isEmpty();
        (loses ? outs.subList(0, outs.size() - 1) : outs).forEach(this::copyOut);
        if (fault == Fault.STATE_OF_ANOTHER_BOUNDARY) {
            store(step);
        }
        step.runs().forEach(this::run);
        if (fault != Fault.STATE_OF_ANOTHER_BOUNDARY) {
            store(step);
        }
        return step.number();
    }

    private void copyIn(HostCopy copy) {
        switch (copy.kind()) {
            case STATE -> writeState(copy.device(), hostStates[copy.host()]);
            case BLOCK -> {
                for (int i = 0; i < BLOCK_TOKENS; i++) {
                    write(copy.device(), i, hostBlocks[copy.host()][i]);
                }
            }
        }
    }

    private void copyOut(HostCopy copy) {
        switch (copy.kind()) {
            case STATE -> hostStates[copy.host()] = states[copy.device()];
            case BLOCK -> hostBlocks[copy.host()] = blocks[copy.device()].clone();
        }
    }

    private void store(Step step) {
        for (StateCopy copy : step.work().stores()) {
            writeState(copy.to(), states[copy.from()]);
        }
    }

    private void run(Run run) {
        if (run.from() == 0 && fault != Fault.SLOT_NOT_ZEROED) {
            writeState(run.slot(), 0);
        }
        long state = 0;
        for (int i = 0; i < run.from(); i++) {
            state = mix(state, run.tokens()[i] + run.secret());
            long found = blocks[run.blocks()[i / BLOCK_TOKENS]][i % BLOCK_TOKENS];
            require(found == mix(state, i), "keys and values of token " + i + " are not its own, for a run from " + run.from());
        }
        require(states[run.slot()] == state, "slot " + run.slot() + " has not the state after " + run.from() + " tokens");
        for (int i = run.from(); i < run.from() + run.count(); i++) {
            state = mix(state, run.tokens()[i] + run.secret());
            write(run.blocks()[i / BLOCK_TOKENS], i % BLOCK_TOKENS, mix(state, i));
            writeState(run.slot(), state);
            int early = fault == Fault.STATE_WRITTEN_EARLY ? BLOCK_TOKENS : 0;
            for (StateWrite write : run.writes()) {
                if (write.position() == i + 1 + early) {
                    writeState(write.slot(), state);
                }
            }
        }
    }

    private void write(int place, int index, long content) {
        blocks[place][index] = content;
        states[frame(place)] = GARBAGE;
    }

    private void writeState(int slot, long state) {
        states[slot] = state;
        for (int place = slot * shape.blocksPerFrame(); place < (slot + 1) * shape.blocksPerFrame(); place++) {
            Arrays.fill(blocks[place], GARBAGE);
        }
    }

    private static long mix(long hash, long value) {
        long z = hash + 0x9E3779B97F4A7C15L * (value + 1);
        z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        return z ^ z >>> 27;
    }

    private static void require(boolean holds, String failure) {
        if (!holds) {
            throw new AssertionError(failure);
        }
    }
}
