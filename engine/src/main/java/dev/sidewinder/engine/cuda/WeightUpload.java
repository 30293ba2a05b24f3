package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.device.Event;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.Kernels;
import dev.sidewinder.engine.LoadProgress;
import java.lang.foreign.MemorySegment;
import java.util.stream.IntStream;

/// Brings weights to the device: from where they are stored into one half of pinned memory, on all processors, while the
/// other half is copied to the device. Synthetic ones are made there.
final class WeightUpload implements WeightSink, AutoCloseable {

    /// Half of the staging memory. Copies this long run at the full speed of the bus, and two are quickly allocated.
    static final long STAGING_BYTES = 32L << 20;
    /// What one processor writes at a time: long enough to be worth a task, short enough to keep them all busy.
    private static final long TASK_BYTES = 1L << 20;
    private static final int HALVES = 2;

    private final DeviceBuffer target;
    private final Stream stream;
    private final LoadProgress progress;
    private final long halfBytes;
    private final PinnedMemory staging;
    private final SyntheticMaker maker;
    private final Event[] copied = new Event[HALVES];
    private long reserved;
    private long uploaded;
    private int half;
    private long usedOfHalf;

    /// @param target    receives everything; as many bytes as were counted
    /// @param halfBytes of staging; more than the largest granule of a source
    WeightUpload(Kernels kernels, DeviceBuffer target, long halfBytes, LoadProgress progress) {
        Device device = kernels.device();
        this.target = target;
        this.stream = device.stream();
        this.progress = progress;
        this.halfBytes = halfBytes;
        staging = device.pinned(HALVES * halfBytes);
        for (int i = 0; i < HALVES; i++) {
            copied[i] = device.newEvent();
        }
        maker = new SyntheticMaker(kernels);
    }

    @Override
    public long reserve(long bytes) {
        long address = target.range(reserved, bytes);
        reserved += WeightSink.aligned(bytes);
        return address;
    }

    @Override
    public void fill(long address, WeightSource source) {
        switch (source) {
            case WeightSource.OnHost stored -> copy(address, stored);
            case WeightSource.Drawn drawn -> {
                maker.make(address, drawn);
                uploaded += drawn.bytes();
                progress.prepared(uploaded, target.bytes());
            }
        }
    }

    private void copy(long address, WeightSource.OnHost source) {
        long granule = source.granuleBytes();
        for (long done = 0; done < source.bytes();) {
            long room = (halfBytes - usedOfHalf) / granule * granule;
            if (room == 0) {
                turn();
                room = halfBytes / granule * granule;
            }
            long count = Math.min(source.bytes() - done, room);
            if (count == 0) {
                throw new IllegalArgumentException("weights in granules of " + granule + " bytes; staging has " + halfBytes);
            }
            MemorySegment part = staging.segment().asSlice(half * halfBytes + usedOfHalf, count);
            write(source, done, part);
            stream.copyToDevice(address + done, part, count);
            // Sources of small vectors follow each other: each begins where its numbers are aligned.
            usedOfHalf = Math.min(halfBytes, WeightSink.aligned(usedOfHalf + count));
            done += count;
            uploaded += count;
            progress.prepared(uploaded, target.bytes());
        }
    }

    private static void write(WeightSource.OnHost source, long from, MemorySegment target) {
        long step = Math.ceilDiv(TASK_BYTES, source.granuleBytes()) * source.granuleBytes();
        int tasks = Math.toIntExact(Math.ceilDiv(target.byteSize(), step));
        if (tasks == 1) {
            source.write(from, target);
            return;
        }
        IntStream.range(0, tasks).parallel().forEach(task -> {
            long at = task * step;
            source.write(from + at, target.asSlice(at, Math.min(step, target.byteSize() - at)));
        });
    }

    /// Goes on in the other half, when the device has taken what was in it.
    private void turn() {
        stream.record(copied[half]);
        half = (half + 1) % HALVES;
        copied[half].synchronize();
        usedOfHalf = 0;
    }

    /// Waits until everything has arrived.
    void finish() {
        stream.synchronize();
        progress.prepared(target.bytes(), target.bytes());
    }

    /// Gives the staging memory back; [#finish] came before, or the target is not used.
    @Override
    public void close() {
        for (Event event : copied) {
            event.close();
        }
        staging.close();
        maker.close();
    }
}
