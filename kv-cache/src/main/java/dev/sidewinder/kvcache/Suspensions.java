package dev.sidewinder.kvcache;

import java.util.Arrays;
import java.util.Optional;

/// The host area, who is in it, and who is on the way there or back.
final class Suspensions {

    private final StepFence fence;
    private final HostArea states;
    private final HostArea blocks;
    private final HostTraffic traffic;

    Suspensions(HostShape shape, StepFence fence, FramePool pool, PrefixIndex index, WorkQueue work) {
        this.fence = fence;
        states = new HostArea(shape.states(), fence);
        blocks = new HostArea(shape.blocks(), fence);
        traffic = new HostTraffic(pool, index, work, fence, states, blocks, shape.stepBlocks());
    }

    /// Whether there is a host area.
    boolean hasRoom() {
        return states.size() > 0;
    }

    HostTraffic traffic() {
        return traffic;
    }

    boolean hasRoomFor(int count) {
        return states.free() > 0 && blocks.free() >= count;
    }

    /// States in the host area, those included that a step still copies.
    int suspendedStates() {
        return states.size() - states.free();
    }

    int suspendedBlocks() {
        return blocks.size() - blocks.free();
    }

    /// Takes over all that a sequence holds, to bring it to the host; empty when there is no room for it.
    ///
    /// @param shared places of its first blocks, which are there already
    Optional<SuspendedMemory> suspend(FrameCache cache, SequenceMemory memory, Optional<Partition> partition, int[] shared) {
        int count = memory.blockCount();
        if (shared.length > count) {
            throw new IllegalArgumentException("a sequence of " + count + " blocks of which " + shared.length + " are on the host");
        }
        if (states.free() == 0 || blocks.free() < count - shared.length) {
            return Optional.empty();
        }
        int state = states.take();
        int[] copies = Arrays.copyOf(shared, count);
        for (int i = 0; i < count; i++) {
            if (i < shared.length) {
                blocks.share(copies[i]);
            } else {
                copies[i] = blocks.take();
            }
        }
        var departure = new Departure(memory, state, copies, shared.length);
        traffic.depart(departure);
        return Optional.of(new SuspendedMemory(cache, partition, memory.reusedTokens(), state, copies, Optional.of(departure)));
    }

    /// What a sequence goes back to that had not wholly come from there.
    SuspendedMemory turnBack(Arrival arrival) {
        traffic.stop(arrival);
        return arrival.from.again();
    }

    /// Takes places for what somebody writes there; empty when there is no room.
    Optional<SuspendedMemory> adopt(FrameCache cache, Optional<Partition> partition, int count) {
        if (states.free() == 0 || blocks.free() < count) {
            return Optional.empty();
        }
        int state = states.take();
        int[] places = new int[count];
        for (int i = 0; i < count; i++) {
            places[i] = blocks.take();
        }
        return Optional.of(new SuspendedMemory(cache, partition, 0, state, places, Optional.empty()));
    }

    /// A second hold on the same places.
    SuspendedMemory share(SuspendedMemory suspended) {
        states.share(suspended.state());
        for (int block : suspended.blocks()) {
            blocks.share(block);
        }
        return suspended.again();
    }

    /// Whether the copies to the host have been launched, so that copies back can follow.
    boolean isCopied(SuspendedMemory suspended) {
        return suspended.copiedWith() <= fence.launched();
    }

    /// Whether the copies to the host have completed, so that the bytes are there.
    boolean isThere(SuspendedMemory suspended) {
        return suspended.copiedWith() <= fence.completed();
    }

    /// Sends a sequence back into memory that has a slot and as many blocks.
    Arrival resume(SuspendedMemory suspended, SequenceMemory memory) {
        var arrival = new Arrival(memory, suspended);
        traffic.arrive(arrival);
        return arrival;
    }

    /// A sequence ends that had not wholly come back.
    void abandon(Arrival arrival) {
        traffic.stop(arrival);
        traffic.giveBackPlaces(arrival.from, fence.launched());
    }

    void drop(SuspendedMemory suspended) {
        traffic.giveBackPlaces(suspended, Math.min(suspended.copiedWith(), fence.launched()));
        suspended.departure().filter(departure -> !departure.isDone() && isUnwanted(departure)).ifPresent(traffic::cutShort);
    }

    /// Whether nobody holds the state in the host area but the sequence that is on its way there.
    private boolean isUnwanted(Departure departure) {
        return states.holders(departure.state) == (departure.stateLeft ? 0 : 1);
    }

    void completed() {
        states.completed();
        blocks.completed();
    }
}
