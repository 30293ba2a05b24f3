package dev.sidewinder.kvcache;

import java.util.ArrayDeque;
import java.util.Deque;

/// Sequences on their way to the host area and back, one behind the other: with each step goes as much of the first ones as a step may
/// copy ([HostShape#stepBlocks]). So a step is as long for a short sequence as for one of a million tokens, and what a long one
/// gives back comes free step by step.
///
/// Who leaves holds its slot and blocks until their copies have been handed out, and its path in the tree as far as these blocks
/// go. From then on the fence of that step holds them. Where something lies is looked up when its copy is handed out, since
/// blocks are moved meanwhile.
final class HostTraffic {

    private static final int NONE = PrefixNodes.NONE;

    private final FramePool pool;
    private final PrefixIndex index;
    private final WorkQueue work;
    private final StepFence fence;
    private final HostArea states;
    private final HostArea blocks;
    private final int stepBlocks;
    private final int stateCost;
    private final Deque<Journey> journeys = new ArrayDeque<>();
    private int departures;

    HostTraffic(FramePool pool, PrefixIndex index, WorkQueue work, StepFence fence, HostArea states, HostArea blocks, int stepBlocks) {
        this.pool = pool;
        this.index = index;
        this.work = work;
        this.fence = fence;
        this.states = states;
        this.blocks = blocks;
        this.stepBlocks = stepBlocks;
        stateCost = pool.shape().blocksPerFrame();
    }

    boolean isEmpty() {
        return journeys.isEmpty();
    }

    /// Whether somebody leaves, so that memory comes free with steps to come.
    boolean isEmptying() {
        return departures > 0;
    }

    /// A sequence leaves for places in the host area that are held for it.
    void depart(Departure departure) {
        states.share(departure.state);
        for (int i = departure.firstMissing; i < departure.held; i++) {
            blocks.share(departure.places[i]);
        }
        journeys.addLast(departure);
        departures++;
    }

    /// A sequence that has its slot and blocks comes back.
    void arrive(Arrival arrival) {
        journeys.addLast(arrival);
    }

    /// Queues what goes with the step to come.
    void handOut() {
        long used = 0;
        while (!journeys.isEmpty()) {
            used = switch (journeys.getFirst()) {
                case Departure departure -> handOut(departure, used);
                case Arrival arrival -> handOut(arrival, used);
            };
            boolean done = switch (journeys.getFirst()) {
                case Departure departure -> departure.isDone();
                case Arrival arrival -> !arrival.memory.isOnItsWay();
            };
            if (!done) {
                return;
            }
            departures -= journeys.removeFirst() instanceof Departure ? 1 : 0;
        }
    }

    /// A single copy is always made.
    private boolean hasRoomForState(long used) {
        return used == 0 || used + stateCost <= stepBlocks;
    }

    private int blocksThatFit(int missing, long used) {
        return (int) Math.clamp(stepBlocks - used, 0, missing);
    }

    /// @param used what goes with the step before it, in blocks
    /// @return the same with it
    private long handOut(Departure departure, long used) {
        long sum = used;
        if (!departure.stateLeft) {
            if (!hasRoomForState(sum)) {
                return sum;
            }
            work.copyOut(HostCopy.Kind.STATE, departure.slot, departure.state);
            giveBackState(departure, nextStep());
            sum += stateCost;
        }
        int count = blocksThatFit(departure.missing(), sum);
        for (int i = departure.held - count; i < departure.held; i++) {
            work.copyOut(HostCopy.Kind.BLOCK, pool.place(departure.names[i]), departure.places[i]);
        }
        letGo(departure, departure.held - count, nextStep());
        if (departure.missing() == 0) {
            letGo(departure, 0, fence.launched());
            leave(departure);
            departure.done(nextStep());
        }
        return sum + count;
    }

    private void giveBackState(Departure departure, long step) {
        pool.touchSlot(departure.slot, step);
        pool.giveBackSlot(departure.slot);
        states.giveBack(departure.state, step);
        departure.stateLeft = true;
    }

    /// Gives blocks back from the last one on: those given back last are taken first, and the first block of a sequence is touched most.
    ///
    /// @param rest how many it keeps
    /// @param step that may touch them
    private void letGo(Departure departure, int rest, long step) {
        if (departure.node != NONE && index.depth(departure.node) > rest) {
            departure.node = index.retreat(departure.node, rest);
        }
        while (departure.held > rest) {
            int last = --departure.held;
            pool.touchBlock(departure.names[last], step);
            pool.letGo(departure.names[last]);
            if (last >= departure.firstMissing) {
                blocks.giveBack(departure.places[last], step);
            }
        }
    }

    private void leave(Departure departure) {
        if (departure.node != NONE) {
            index.leave(departure.node);
            departure.node = NONE;
        }
    }

    private long handOut(Arrival arrival, long used) {
        int count = blocksThatFit(arrival.missing(), used);
        SequenceMemory memory = arrival.memory;
        for (int i = arrival.come; i < arrival.come + count; i++) {
            work.copyIn(HostCopy.Kind.BLOCK, memory.block(i), arrival.from.blocks()[i]);
            pool.touchBlock(memory.name(i), nextStep());
        }
        arrival.come += count;
        long sum = used + count;
        if (arrival.missing() > 0 || !hasRoomForState(sum)) {
            return sum;
        }
        work.copyIn(HostCopy.Kind.STATE, memory.slot(), arrival.from.state());
        pool.touchSlot(memory.slot(), nextStep());
        giveBackPlaces(arrival.from, nextStep());
        memory.isHere();
        return sum + stateCost;
    }

    /// Whether the step to come brings the last of a sequence.
    boolean comesNext(Arrival arrival) {
        long used = 0;
        for (Journey each : journeys) {
            used = withWhole(each, used);
            if (used < 0 || each == arrival) {
                return used >= 0;
            }
        }
        throw new IllegalStateException("a sequence that comes back is not on its way: slot " + arrival.memory.slot());
    }

    /// What goes with a step when all that is left of a journey does; negative when that is too much.
    private long withWhole(Journey journey, long used) {
        return switch (journey) {
            case Departure departure -> {
                long sum = used + (departure.stateLeft ? 0 : stateCost);
                boolean fits = departure.stateLeft || hasRoomForState(used);
                yield fits && blocksThatFit(departure.missing(), sum) == departure.missing() ? sum + departure.missing() : -1;
            }
            case Arrival arrival -> {
                long sum = used + arrival.missing();
                yield blocksThatFit(arrival.missing(), used) == arrival.missing() && hasRoomForState(sum) ? sum + stateCost : -1;
            }
        };
    }

    /// Nobody will resume a sequence that leaves: what it still holds comes free at once, or with the steps under way.
    void cutShort(Departure departure) {
        journeys.remove(departure);
        departures--;
        if (!departure.stateLeft) {
            giveBackState(departure, fence.launched());
        }
        letGo(departure, 0, fence.launched());
        leave(departure);
        departure.done(fence.launched());
    }

    /// A sequence that comes back stops, and its memory is given back by the caller; what it came from stays as it is, and is the caller's.
    void stop(Arrival arrival) {
        journeys.remove(arrival);
        arrival.memory.isHere();
    }

    /// Those of a suspended sequence that is no more.
    void giveBackPlaces(SuspendedMemory suspended, long step) {
        states.giveBack(suspended.state(), step);
        for (int block : suspended.blocks()) {
            blocks.giveBack(block, step);
        }
    }

    /// The least number that the step to come can have.
    private long nextStep() {
        return fence.launched() + 1;
    }
}
