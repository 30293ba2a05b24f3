package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.WeightReader;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// Makes stored matrices ready for products. `load` plans, [#prepare()] does the work over the pool: a matrix must not be
/// used in between.
///
/// What can be used as it lies in the file stays there (bf16 always, fp32 in fp32 arithmetic); everything else is
/// expanded once.
final class LinearLoader {

    private final WorkerPool pool;
    private final NativeMemory memory;
    private final CpuMath math;
    private final Arithmetic arithmetic;
    private final float[][] productScratch;
    private final List<Task> tasks = new ArrayList<>();
    private long preparedBytes;

    /// The expansion of one tile of a matrix.
    private record Task(Runnable work, long bytes) {}

    LinearLoader(WorkerPool pool, NativeMemory memory, CpuMath math, Arithmetic arithmetic) {
        this.pool = pool;
        this.memory = memory;
        this.math = math;
        this.arithmetic = arithmetic;
        productScratch = new float[pool.workers()][CpuMath.PRODUCT_SCRATCH];
    }

    Linear load(LinearWeight weight) {
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
        return new VectorLinear(math, data, bf16, weight.outputs(), weight.inputs(), productScratch);
    }

    private Linear expanded(LinearWeight weight) {
        boolean bf16 = arithmetic == Arithmetic.BF16;
        long rowBytes = (bf16 ? 2L : 4L) * weight.inputs();
        MemorySegment data = memory.allocate(weight.outputs() * rowBytes);
        for (int first = 0; first < weight.outputs(); first += Linear.TILE_COLUMNS) {
            int from = first;
            int to = Math.min(weight.outputs(), first + Linear.TILE_COLUMNS);
            tasks.add(new Task(() -> expandRows(weight, from, to, data, rowBytes, bf16), (to - from) * rowBytes));
        }
        return new VectorLinear(math, data, bf16, weight.outputs(), weight.inputs(), productScratch);
    }

    private void expandRows(LinearWeight weight, int from, int to, MemorySegment data, long rowBytes, boolean bf16) {
        var reader = new WeightReader();
        float[] values = new float[weight.inputs()];
        for (int row = from; row < to; row++) {
            reader.readRow(weight, row, values, 0);
            if (bf16) {
                math.toBf16(values, 0, data, row * rowBytes, values.length);
            } else {
                MemorySegment.copy(values, 0, data, JAVA_FLOAT, row * rowBytes, values.length);
            }
        }
    }

    /// Does what the matrices loaded since the last call need.
    ///
    /// @return bytes prepared so far in all
    long prepare() {
        pool.run(tasks.size(), (unit, worker) -> tasks.get(unit).work().run());
        for (Task task : tasks) {
            preparedBytes += task.bytes();
        }
        tasks.clear();
        return preparedBytes;
    }
}
