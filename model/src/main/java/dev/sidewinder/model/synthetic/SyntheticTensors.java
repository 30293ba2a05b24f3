package dev.sidewinder.model.synthetic;

import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.checkpoint.StoredTensor;
import dev.sidewinder.model.checkpoint.TensorSet;
import dev.sidewinder.model.checkpoint.TensorView;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/// Random tensors in memory outside the heap. Owns that memory.
final class SyntheticTensors implements TensorSet {

    /// Large tensors are made in pieces of this size. A multiple of every element and of every NVFP4 block.
    private static final long PIECE_BYTES = 1 << 20;

    /// Tensors begin on cache lines.
    private static final long ALIGNMENT = 64;

    private final String name;
    private final Arena arena;
    private final List<TensorView> tensors;

    private SyntheticTensors(String name, Arena arena, List<TensorView> tensors) {
        this.name = name;
        this.arena = arena;
        this.tensors = tensors;
    }

    static SyntheticTensors make(SyntheticModel model) {
        List<StoredTensor> layout = model.layout();
        checkMemory(model, layout.stream().mapToLong(StoredTensor::bytes).sum());
        Arena arena = Arena.ofShared();
        boolean complete = false;
        try {
            RandomTensors numbers = model.numbers();
            TensorView[] views = new TensorView[layout.size()];
            IntStream.range(0, views.length).parallel().forEach(i -> views[i] = make(layout.get(i), arena, numbers));
            complete = true;
            return new SyntheticTensors(SyntheticModel.PREFIX + model.shape().name(), arena, Arrays.asList(views));
        } finally {
            if (!complete) {
                arena.close();
            }
        }
    }

    private static TensorView make(StoredTensor tensor, Arena arena, RandomTensors numbers) {
        long bytes = tensor.bytes();
        MemorySegment data = arena.allocate(bytes, ALIGNMENT);
        int pieces = Math.toIntExact(Math.ceilDiv(bytes, PIECE_BYTES));
        IntStream.range(0, pieces).parallel().forEach(piece -> {
            long from = piece * PIECE_BYTES;
            numbers.fill(tensor, from, data.asSlice(from, Math.min(PIECE_BYTES, bytes - from)));
        });
        return new TensorView(tensor.name(), tensor.type(), tensor.shape(), data.asReadOnly());
    }

    /// Asks first: an allocation beyond the machine's memory would be granted, and the process ended later without a word.
    private static void checkMemory(SyntheticModel model, long bytes) {
        if (ManagementFactory.getOperatingSystemMXBean() instanceof com.sun.management.OperatingSystemMXBean system
                && bytes > system.getTotalMemorySize()) {
            throw new CheckpointException(String.format(Locale.ROOT, "%s%s in %s takes %.1f GB of memory, this machine "
                    + "has %.1f GB; write it to a folder and open that, or choose a smaller shape", SyntheticModel.PREFIX,
                    model.shape().name(), model.format(), bytes / 1e9, system.getTotalMemorySize() / 1e9));
        }
    }

    @Override
    public Collection<TensorView> tensors() {
        return tensors;
    }

    @Override
    public String origin(String tensor) {
        return name;
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
