package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.WeightReader;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/// Makes stored matrices ready for products. `load` plans, [#prepare()] does the work over the pool: a matrix must not be
/// used in between.
///
/// For our own kernel, what can be used as it lies in the file stays there (bf16 always, fp32 in fp32 arithmetic) and
/// everything else is expanded once. For oneDNN every matrix is packed once.
final class LinearLoader {

    private final WorkerPool pool;
    private final NativeMemory memory;
    private final CpuMath math;
    private final Arithmetic arithmetic;
    private final Optional<DnnlKernels> dnnl;
    private final float[][] productScratch;
    private final List<Task> tasks = new ArrayList<>();
    private final MemorySegment[] expandedTiles;
    private final long totalBytes;
    private final LoadProgress progress;
    private long preparedBytes;

    /// The expansion or packing of one tile of a matrix.
    private record Task(TileWork work, long bytes) {}

    @FunctionalInterface
    private interface TileWork {
        void run(int worker);
    }

    /// @param dnnl       absent when our own kernel runs the products
    /// @param totalBytes what `progress` is told as the whole
    LinearLoader(WorkerPool pool, NativeMemory memory, CpuMath math, Arithmetic arithmetic,
            Optional<DnnlKernels> dnnl, long totalBytes, LoadProgress progress) {
        this.pool = pool;
        this.memory = memory;
        this.math = math;
        this.arithmetic = arithmetic;
        this.dnnl = dnnl;
        this.totalBytes = totalBytes;
        this.progress = progress;
        productScratch = new float[pool.workers()][CpuMath.PRODUCT_SCRATCH];
        expandedTiles = new MemorySegment[pool.workers()];
        Arrays.fill(expandedTiles, MemorySegment.NULL);
    }

    /// Bytes a matrix takes when it is ready.
    static long preparedBytes(LinearInventory inventory, Arithmetic arithmetic) {
        return inventory.matrices().stream().mapToLong(matrix -> {
            boolean narrow = arithmetic == Arithmetic.BF16 || isStoredAs(matrix, DType.BF16);
            return (narrow ? 2L : 4L) * matrix.outputs() * matrix.inputs();
        }).sum();
    }

    Linear load(LinearWeight weight) {
        if (dnnl.isPresent()) {
            return packed(weight, dnnl.get());
        }
        if (isStoredAs(weight, DType.BF16)) {
            return inPlace((LinearWeight.Plain) weight, true);
        }
        if (arithmetic == Arithmetic.F32 && isStoredAs(weight, DType.F32)) {
            return inPlace((LinearWeight.Plain) weight, false);
        }
        return expanded(weight);
    }

    private static boolean isStoredAs(LinearWeight weight, DType type) {
        return weight instanceof LinearWeight.Plain plain && plain.tensor().type() == type;
    }

    private Linear inPlace(LinearWeight.Plain weight, boolean bf16) {
        int bytes = weight.tensor().type().bytes();
        MemorySegment data = weight.tensor().data().asSlice(weight.offset() * bytes,
                (long) weight.outputs() * weight.inputs() * bytes);
        preparedBytes += data.byteSize();
        return new VectorLinear(math, data, bf16, weight.outputs(), weight.inputs(), productScratch);
    }

    private Linear expanded(LinearWeight weight) {
        boolean bf16 = arithmetic == Arithmetic.BF16;
        long rowBytes = (bf16 ? 2L : 4L) * weight.inputs();
        MemorySegment data = memory.allocate(weight.outputs() * rowBytes);
        for (int first = 0; first < weight.outputs(); first += Linear.TILE_COLUMNS) {
            int from = first;
            int to = Math.min(weight.outputs(), first + Linear.TILE_COLUMNS);
            MemorySegment part = data.asSlice(from * rowBytes, (to - from) * rowBytes);
            tasks.add(new Task(worker -> expandRows(weight, from, to, part, rowBytes, bf16), part.byteSize()));
        }
        return new VectorLinear(math, data, bf16, weight.outputs(), weight.inputs(), productScratch);
    }

    private Linear packed(LinearWeight weight, DnnlKernels kernels) {
        var linear = new DnnlLinear(kernels, memory, weight.outputs(), weight.inputs());
        for (int i = 0; i < linear.tiles(); i++) {
            int tile = i;
            long bytes = 2L * linear.tileColumns(tile) * weight.inputs();
            tasks.add(new Task(worker -> packTile(weight, linear, tile, bytes, worker), bytes));
        }
        return linear;
    }

    private void packTile(LinearWeight weight, DnnlLinear linear, int tile, long bytes, int worker) {
        int from = tile * Linear.TILE_COLUMNS;
        if (weight instanceof LinearWeight.Plain plain && isStoredAs(weight, DType.BF16)
                && plain.tensor().data().isNative()) {
            long first = 2 * (plain.offset() + (long) from * weight.inputs());
            linear.pack(tile, plain.tensor().data().asSlice(first, bytes), worker);
            return;
        }
        if (expandedTiles[worker].byteSize() < bytes) {
            expandedTiles[worker] = memory.allocate(bytes);
        }
        MemorySegment rows = expandedTiles[worker];
        expandRows(weight, from, from + linear.tileColumns(tile), rows, 2L * weight.inputs(), true);
        linear.pack(tile, rows, worker);
    }

    /// Expands rows `from` to `to` (exclusive) of the matrix to the beginning of `data`.
    private void expandRows(LinearWeight weight, int from, int to, MemorySegment data, long rowBytes, boolean bf16) {
        var reader = new WeightReader();
        float[] values = new float[weight.inputs()];
        for (int row = from; row < to; row++) {
            reader.readRow(weight, row, values, 0);
            if (bf16) {
                math.toBf16(values, 0, data, (row - from) * rowBytes, values.length);
            } else {
                MemorySegment.copy(values, 0, data, JAVA_FLOAT, (row - from) * rowBytes, values.length);
            }
        }
    }

    /// Does what the matrices loaded since the last call need, and reports how far things are.
    void prepare() {
        pool.run(tasks.size(), (unit, worker) -> tasks.get(unit).work().run(worker));
        for (Task task : tasks) {
            preparedBytes += task.bytes();
        }
        tasks.clear();
        progress.prepared(preparedBytes, totalBytes);
    }
}
