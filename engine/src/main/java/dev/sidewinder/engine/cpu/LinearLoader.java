package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.WeightReader;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/// Makes stored matrices ready for products. `load` plans, [#prepare()] does the work over the pool: a matrix must not be
/// used in between.
///
/// For our own kernel, what can be used as it lies in the file stays there (bf16 always, fp32 in fp32 arithmetic) and
/// everything else is expanded once. For oneDNN every matrix is packed once, on request by the first product that uses it:
/// most weights of a large model belong to experts, and a server should not wait for them.
final class LinearLoader {

    private final WorkerPool pool;
    private final NativeMemory memory;
    private final CpuMath math;
    private final Arithmetic arithmetic;
    private final Optional<DnnlKernels> dnnl;
    private final float[][] productScratch;
    /// Rows with activations in FP8, for each worker, by their width.
    private final Map<Integer, SourceRows[]> roundedRows = new HashMap<>();
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
        if (dnnl.isEmpty()) {
            return forOurKernel(weight);
        }
        DnnlLinear linear = packed(weight, dnnl.get());
        for (int i = 0; i < linear.tiles(); i++) {
            int tile = i;
            tasks.add(new Task(worker -> linear.pack(tile, worker), 2L * linear.tileColumns(tile) * weight.inputs()));
        }
        return linear;
    }

    /// The same for a matrix that may wait for its first use.
    Linear loadOnFirstUse(LinearWeight weight) {
        if (dnnl.isEmpty()) {
            return forOurKernel(weight);
        }
        preparedBytes += 2L * weight.outputs() * weight.inputs();
        return packed(weight, dnnl.get());
    }

    private Linear forOurKernel(LinearWeight weight) {
        if (arithmetic == Arithmetic.FP8 && Fp8Linear.isFor(weight)) {
            return withRoundedInputs((LinearWeight.Fp8) weight);
        }
        if (isStoredAs(weight, DType.BF16)) {
            return inPlace((LinearWeight.Plain) weight, true);
        }
        if (arithmetic != Arithmetic.BF16 && isStoredAs(weight, DType.F32)) {
            return inPlace((LinearWeight.Plain) weight, false);
        }
        return expanded(weight);
    }

    /// Matrices of one width share their scratch: a worker computes one tile at a time.
    private Linear withRoundedInputs(LinearWeight.Fp8 weight) {
        var codes = new LinearWeight.Fp8(weight.tensor(), weight.offset(), weight.outputs(), weight.inputs(), 1, Float.NaN);
        SourceRows[] rows = roundedRows.computeIfAbsent(weight.inputs(), width -> Stream
                .generate(() -> new SourceRows(memory, math, SourceRows.Form.FLOAT, Linear.ROW_BLOCK, width))
                .limit(pool.workers()).toArray(SourceRows[]::new));
        return new Fp8Linear(weight, expanded(codes), rows);
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

    private DnnlLinear packed(LinearWeight weight, DnnlKernels kernels) {
        return new DnnlLinear(kernels, memory, weight.outputs(), weight.inputs(),
                (first, columns, worker) -> tileRows(weight, first, columns, worker));
    }

    /// Rows of a matrix in bf16: where they lie, or expanded into the worker's scratch.
    private MemorySegment tileRows(LinearWeight weight, int first, int rows, int worker) {
        long bytes = 2L * rows * weight.inputs();
        if (weight instanceof LinearWeight.Plain plain && isStoredAs(weight, DType.BF16)
                && plain.tensor().data().isNative()) {
            return plain.tensor().data().asSlice(2 * (plain.offset() + (long) first * weight.inputs()), bytes);
        }
        if (expandedTiles[worker].byteSize() < bytes) {
            expandedTiles[worker] = memory.allocate(bytes);
        }
        expandRows(weight, first, first + rows, expandedTiles[worker], 2L * weight.inputs(), true);
        return expandedTiles[worker];
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
