package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.CudaException;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.Event;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.BlockCopy;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.kvcache.StateCopy;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/// States and KV blocks of all sequences in one region of the device, and those of suspended ones in pinned memory of the
/// host, states first. Works off what the scheduler wants copied, and launches only.
///
/// Copies within the device run on the step's own stream. Those between device and host have a stream of their own, which waits for
/// all that came before and runs beside the step: they touch nothing that it does ([MemoryWork]), and take from it no more than
/// a fiftieth of the memory's bandwidth. Only a step one of whose sequences they bring waits for them before it begins; every
/// step waits for them before it ends, so whoever reuses memory when the step has completed knows them done.
///
/// Blocks that lie next to each other on both sides are copied in one go: a call costs a few microseconds, as much as copying
/// a hundred KiB from the host.
final class CudaFrames implements AutoCloseable {

    private final Stream stream;
    private final Stream hostStream;
    /// What the copies between device and host wait for, and where they end.
    private final Event begun;
    private final Event copied;
    private boolean copies;
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
        hostStream = device.newStream();
        begun = device.newEvent();
        copied = device.newEvent();
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

    /// Has everything copied that a step is to find, and what is to be copied beside it.
    void prepare(Batch batch) {
        MemoryWork work = batch.memory();
        copyBlocks(work.blocks());
        copyStates(work.restores());
        copies = !work.ins().isEmpty() || !work.outs().isEmpty();
        if (!copies) {
            return;
        }
        stream.record(begun);
        hostStream.waitFor(begun);
        copyIn(work.ins());
        copyOut(work.outs());
        hostStream.record(copied);
        if (brings(work, batch.entries())) {
            stream.waitFor(copied);
        }
    }

    /// Whether a sequence of the step has its state from the host with it.
    private static boolean brings(MemoryWork work, List<BatchEntry> entries) {
        for (HostCopy copy : work.ins()) {
            if (copy.kind() == HostCopy.Kind.STATE && entries.stream().anyMatch(entry -> entry.allocation().slot() == copy.device())) {
                return true;
            }
        }
        return false;
    }

    /// Lets what follows, the end of the step above all, wait for what is copied beside it.
    void finish() {
        if (copies) {
            stream.waitFor(copied);
        }
    }

    /// Has the states copied that are to be kept as the step leaves them.
    void keep(MemoryWork work) {
        copyStates(work.stores());
    }

    /// Fills what a sequence holds with zeros.
    void erase(Allocation memory) {
        finish();
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
                    hostStream.copyToDevice(slot(copy.device()), hostState(copy.host()), layout.slotBytes());
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
        hostStream.copyToDevice(block(run.to()), hostBlocks(run.from(), run.length()), bytes(run));
        run.clear();
    }

    private void copyOut(List<HostCopy> copies) {
        var run = new BlockRun();
        for (HostCopy copy : copies) {
            switch (copy.kind()) {
                case STATE -> {
                    copyOut(run);
                    hostStream.copyToHost(hostState(copy.host()), slot(copy.device()), layout.slotBytes());
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
        hostStream.copyToHost(hostBlocks(run.to(), run.length()), block(run.from()), bytes(run));
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
        waitForTheLast();
        host.ifPresent(PinnedMemory::close);
        copied.close();
        begun.close();
        hostStream.close();
    }

    private void waitForTheLast() {
        try {
            hostStream.synchronize();
        } catch (CudaException e) {
            // The device has failed, and whoever used it knows. Nothing is copied any more.
        }
    }
}
