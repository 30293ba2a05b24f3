package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.BlockCopy;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.kvcache.StateCopy;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/// States and KV blocks of all sequences in one region of the device, and those of suspended ones in pinned memory of the
/// host, states first. Works off what the scheduler wants copied: launches only, on the step's own stream, so that a copy waits
/// for the steps before it and the steps behind wait for it.
///
/// Blocks that lie next to each other on both sides are copied in one go: a call costs a few microseconds, as much as copying
/// a hundred KiB from the host.
final class CudaFrames implements AutoCloseable {

    private final Stream stream;
    private final CacheLayout layout;
    private final HostShape hostShape;
    private final long region;
    private final int firstSlot;
    private final long frameBytes;
    /// Absent when nothing can be suspended.
    private final Optional<PinnedMemory> host;

    /// @param region    device memory of [#regionBytes]
    /// @param firstSlot frame of slot 0: 0, unless slots and blocks are counted apart
    CudaFrames(Device device, CacheLayout layout, BackendMemory memory, long region, int firstSlot) {
        this.stream = device.stream();
        this.layout = layout;
        this.region = region;
        this.firstSlot = firstSlot;
        hostShape = memory.host();
        frameBytes = layout.frameBytes(memory.frames());
        long hostBytes = hostBytes(layout, hostShape);
        host = hostBytes == 0 ? Optional.empty() : Optional.of(device.pinned(hostBytes));
    }

    /// Device memory for all frames.
    static long regionBytes(CacheLayout layout, BackendMemory memory) {
        return Math.multiplyExact(memory.frames().frames(), layout.frameBytes(memory.frames()));
    }

    /// Host memory for what is suspended.
    static long hostBytes(CacheLayout layout, HostShape shape) {
        return Math.addExact(Math.multiplyExact(shape.states(), layout.slotBytes()),
                Math.multiplyExact(shape.blocks(), layout.blockBytes()));
    }

    /// Has everything copied that the step is to find.
    void prepare(MemoryWork work) {
        copyIn(work.ins());
        copyBlocks(work.blocks());
        copyStates(work.restores());
        copyOut(work.outs());
    }

    /// Has the states copied that are to be kept as the step leaves them.
    void keep(MemoryWork work) {
        copyStates(work.stores());
    }

    /// Fills what a sequence holds with zeros.
    void erase(Allocation memory) {
        stream.fill(slot(memory.slot()), (byte) 0, layout.slotBytes());
        for (int i = 0; i < memory.blockCount(); i++) {
            stream.fill(block(memory.block(i)), (byte) 0, layout.blockBytes());
        }
    }

    private void copyStates(List<StateCopy> copies) {
        for (StateCopy copy : copies) {
            stream.copy(slot(copy.to()), slot(copy.from()), layout.slotBytes());
        }
    }

    private void copyBlocks(List<BlockCopy> copies) {
        var run = new BlockRun();
        for (BlockCopy copy : copies) {
            // Where a copy reads what one before it wrote they stay two.
            if (!run.canTake(copy.from(), copy.to()) || run.wouldOverlap(copy.from(), copy.to())) {
                copy(run);
            }
            run.take(copy.from(), copy.to());
        }
        copy(run);
    }

    private void copy(BlockRun run) {
        stream.copy(block(run.to()), block(run.from()), bytes(run));
        run.clear();
    }

    private void copyIn(List<HostCopy> copies) {
        var run = new BlockRun();
        for (HostCopy copy : copies) {
            switch (copy.kind()) {
                case STATE -> {
                    copyIn(run);
                    stream.copyToDevice(slot(copy.device()), hostState(copy.host()), layout.slotBytes());
                }
                case BLOCK -> {
                    if (!run.canTake(copy.host(), copy.device())) {
                        copyIn(run);
                    }
                    run.take(copy.host(), copy.device());
                }
            }
        }
        copyIn(run);
    }

    private void copyIn(BlockRun run) {
        stream.copyToDevice(block(run.to()), hostBlocks(run.from(), run.length()), bytes(run));
        run.clear();
    }

    private void copyOut(List<HostCopy> copies) {
        var run = new BlockRun();
        for (HostCopy copy : copies) {
            switch (copy.kind()) {
                case STATE -> {
                    copyOut(run);
                    stream.copyToHost(hostState(copy.host()), slot(copy.device()), layout.slotBytes());
                }
                case BLOCK -> {
                    if (!run.canTake(copy.device(), copy.host())) {
                        copyOut(run);
                    }
                    run.take(copy.device(), copy.host());
                }
            }
        }
        copyOut(run);
    }

    private void copyOut(BlockRun run) {
        stream.copyToHost(hostBlocks(run.to(), run.length()), block(run.from()), bytes(run));
        run.clear();
    }

    private long slot(int slot) {
        return region + (firstSlot + slot) * frameBytes;
    }

    private long block(int block) {
        return region + block * layout.blockBytes();
    }

    private long bytes(BlockRun run) {
        return run.length() * layout.blockBytes();
    }

    /// A state in the host area.
    MemorySegment hostState(int place) {
        if (place < 0 || place >= hostShape.states()) {
            throw new IllegalArgumentException("state " + place + " of a host area for " + hostShape.states());
        }
        return host(place * layout.slotBytes(), layout.slotBytes());
    }

    /// A block in the host area.
    MemorySegment hostBlock(int place) {
        return hostBlocks(place, 1);
    }

    private MemorySegment hostBlocks(int first, int count) {
        if (first < 0 || first > hostShape.blocks() - count) {
            throw new IllegalArgumentException("blocks " + first + " to " + (first + count) + " of a host area for " + hostShape.blocks());
        }
        return host(hostShape.states() * layout.slotBytes() + first * layout.blockBytes(), count * layout.blockBytes());
    }

    /// Of nothing there is nothing, also where there is no host area.
    private MemorySegment host(long offset, long bytes) {
        return host.map(memory -> memory.segment().asSlice(offset, bytes)).orElse(MemorySegment.NULL);
    }

    @Override
    public void close() {
        host.ifPresent(PinnedMemory::close);
    }
}
