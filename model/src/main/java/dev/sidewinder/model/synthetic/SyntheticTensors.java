package dev.sidewinder.model.synthetic;

import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.checkpoint.StoredTensor;
import dev.sidewinder.model.checkpoint.TensorSet;
import dev.sidewinder.model.checkpoint.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;

/// Random tensors, each made in memory outside the heap when it is first read, or all of them by [#makeAll]. Owns that
/// memory.
final class SyntheticTensors implements TensorSet {

    /// Large tensors are made in pieces of this size. A multiple of every element and of every NVFP4 block.
    private static final long PIECE_BYTES = 1 << 20;

    /// Tensors begin on cache lines.
    private static final long ALIGNMENT = 64;

    private final SyntheticModel model;
    private final Arena arena = Arena.ofShared();
    private final List<TensorView> tensors = new ArrayList<>();
    private final AtomicLong madeBytes = new AtomicLong();

    /// Makes nothing yet.
    SyntheticTensors(SyntheticModel model) {
        this.model = model;
        RandomTensors numbers = model.numbers();
        for (StoredTensor tensor : model.layout()) {
            tensors.add(new TensorView(tensor.name(), tensor.type(), tensor.shape(),
                    new RandomTensor(tensor, numbers, this::make)));
        }
    }

    @Override
    public void makeAll() {
        checkMemory(tensors.stream().mapToLong(TensorView::bytes).sum());
        tensors.parallelStream().forEach(TensorView::data);
    }

    private MemorySegment make(RandomTensor tensor) {
        long bytes = tensor.bytes();
        checkMemory(madeBytes.addAndGet(bytes));
        MemorySegment data = arena.allocate(bytes, ALIGNMENT);
        int pieces = Math.toIntExact(Math.ceilDiv(bytes, PIECE_BYTES));
        IntStream.range(0, pieces).parallel().forEach(piece -> {
            long from = piece * PIECE_BYTES;
            tensor.write(from, data.asSlice(from, Math.min(PIECE_BYTES, bytes - from)));
        });
        return data.asReadOnly();
    }

    /// Asks first: an allocation beyond the machine's memory would be granted, and the process ended later without a word.
    private void checkMemory(long bytes) {
        if (ManagementFactory.getOperatingSystemMXBean() instanceof com.sun.management.OperatingSystemMXBean system
                && bytes > system.getTotalMemorySize()) {
            throw new CheckpointException(String.format(Locale.ROOT, "%s%s in %s takes %.1f GB of memory, this machine "
                    + "has %.1f GB; write it to a folder and open that, or choose a smaller shape", SyntheticModel.PREFIX,
                    model.shape().name(), model.format(), bytes / 1e9, system.getTotalMemorySize() / 1e9));
        }
    }

    /// Bytes of the tensors that are in memory.
    long madeBytes() {
        return madeBytes.get();
    }

    @Override
    public Collection<TensorView> tensors() {
        return tensors;
    }

    @Override
    public String origin(String tensor) {
        return SyntheticModel.PREFIX + model.shape().name();
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
