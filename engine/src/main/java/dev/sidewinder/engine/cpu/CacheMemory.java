package dev.sidewinder.engine.cpu;

import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.BlockCopy;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.kvcache.StateCopy;
import java.lang.foreign.MemorySegment;

/// States, keys and values of all sequences in one region of frames, and the host area beside it.
///
/// Slot `s` begins at byte `s * frameBytes`, block `b` at `b * blockBytes`; what lies where within them says
/// [CpuCacheLayout]. The region is mapped, so it costs memory only where it has been written to. The host area is ordinary
/// memory too: on a CPU it is a second region of its own, so that suspending a sequence frees frames.
///
/// Layers read and write the region from many threads, each its own places; copies are for the thread that owns the
/// backend, between two steps.
final class CacheMemory {

    private final CpuCacheLayout layout;
    private final BackendMemory shape;
    private final int firstSlot;
    private final long frameBytes;
    private final MemorySegment frames;
    private final MemorySegment hostStates;
    private final MemorySegment hostBlocks;

    /// @param memory    owns what is allocated here
    /// @param firstSlot frame of slot 0: 0, unless slots and blocks are counted apart
    CacheMemory(NativeMemory memory, CpuCacheLayout layout, BackendMemory shape, int firstSlot) {
        this.layout = layout;
        this.shape = shape;
        this.firstSlot = firstSlot;
        frameBytes = layout.frameBytes(shape.frames());
        if (frameBytes < layout.slotBytes()) {
            throw new IllegalArgumentException("frames of " + shape.frames().blocksPerFrame() + " blocks of " + layout.blockBytes()
                    + " bytes do not hold a state of " + layout.slotBytes());
        }
        frames = memory.allocate(Math.multiplyExact(shape.frames().frames(), frameBytes));
        hostStates = memory.allocate(Math.multiplyExact(shape.host().states(), layout.slotBytes()));
        hostBlocks = memory.allocate(Math.multiplyExact(shape.host().blocks(), layout.blockBytes()));
    }

    CpuCacheLayout layout() {
        return layout;
    }

    BackendMemory shape() {
        return shape;
    }

    /// The whole region.
    MemorySegment frames() {
        return frames;
    }

    /// First byte of a slot in the region.
    long slotAt(int slot) {
        return (firstSlot + slot) * frameBytes;
    }

    /// First byte of a block in the region.
    long blockAt(int block) {
        return block * layout.blockBytes();
    }

    /// Copies what has to be in place before a step.
    void before(MemoryWork work) {
        for (BlockCopy copy : work.blocks()) {
            block(copy.to()).copyFrom(block(copy.from()));
        }
        for (StateCopy copy : work.restores()) {
            slot(copy.to()).copyFrom(slot(copy.from()));
        }
        for (HostCopy copy : work.ins()) {
            device(copy).copyFrom(host(copy));
        }
        for (HostCopy copy : work.outs()) {
            host(copy).copyFrom(device(copy));
        }
    }

    /// Copies what is to be kept of the states that a step leaves.
    void after(MemoryWork work) {
        for (StateCopy copy : work.stores()) {
            slot(copy.to()).copyFrom(slot(copy.from()));
        }
    }

    /// Fills what a sequence holds with zeros.
    void erase(Allocation memory) {
        slot(memory.slot()).fill((byte) 0);
        for (int i = 0; i < memory.blockCount(); i++) {
            block(memory.block(i)).fill((byte) 0);
        }
    }

    /// The state at a place of the host area.
    MemorySegment hostState(int place) {
        return part(hostStates, place, shape.host().states(), layout.slotBytes(), "host state");
    }

    /// The block at a place of the host area.
    MemorySegment hostBlock(int place) {
        return part(hostBlocks, place, shape.host().blocks(), layout.blockBytes(), "host block");
    }

    /// The state in a slot, without what its frame has more.
    MemorySegment slot(int slot) {
        requirePlace(slot, shape.frames().frames() - firstSlot, "slot");
        return frames.asSlice(slotAt(slot), layout.slotBytes());
    }

    /// The keys and values in a block.
    MemorySegment block(int block) {
        return part(frames, block, shape.frames().blocks(), layout.blockBytes(), "block");
    }

    private MemorySegment device(HostCopy copy) {
        return switch (copy.kind()) {
            case STATE -> slot(copy.device());
            case BLOCK -> block(copy.device());
        };
    }

    private MemorySegment host(HostCopy copy) {
        return switch (copy.kind()) {
            case STATE -> hostState(copy.host());
            case BLOCK -> hostBlock(copy.host());
        };
    }

    private static MemorySegment part(MemorySegment region, int place, int places, long bytes, String kind) {
        requirePlace(place, places, kind);
        return region.asSlice(place * bytes, bytes);
    }

    private static void requirePlace(int place, int places, String kind) {
        if (place < 0 || place >= places) {
            throw new IllegalArgumentException(kind + " " + place + " of " + places);
        }
    }
}
