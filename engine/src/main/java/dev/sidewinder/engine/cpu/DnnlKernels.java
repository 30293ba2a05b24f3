package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.sidewinder.model.checkpoint.Bf16;
import java.lang.foreign.MemorySegment;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;

/// The oneDNN products of one backend: one for each shape of a weight tile, checked before use.
///
/// We rely on a row's bits being the same for every number of rows. oneDNN does not promise that, so it is tried on every
/// shape when the backend is built; where it does not hold, oneDNN is not used.
final class DnnlKernels implements AutoCloseable {

    /// Inputs and outputs of a weight tile.
    record Shape(int inputs, int outputs) {}

    /// Products of numbers in [-1, 1) with fp32 sums: far above rounding, far below a wrong result.
    private static final double PLAUSIBLE_DIFFERENCE = 1e-2;

    private final DnnlEngine engine;
    private final CpuMath math;
    private final DnnlWorker[] workers;
    private final Map<Shape, DnnlProduct> products = new ConcurrentHashMap<>();

    /// Loads oneDNN and makes code for these shapes.
    ///
    /// @throws DnnlUnavailableException when it does not load, the CPU lacks AMX for bf16, or a check fails
    static DnnlKernels open(Collection<Shape> shapes, WorkerPool pool, NativeMemory memory, CpuMath math)
            throws DnnlUnavailableException {
        DnnlLibrary library;
        try {
            library = DnnlLibrary.open();
        } catch (IllegalStateException e) {
            throw new DnnlUnavailableException(e.getMessage());
        }
        if (!library.hasAmxBf16()) {
            throw new DnnlUnavailableException("this CPU has no AMX for bf16");
        }
        var kernels = new DnnlKernels(new DnnlEngine(library), pool.workers(), memory, math);
        boolean complete = false;
        try {
            kernels.make(List.copyOf(shapes), pool);
            complete = true;
            return kernels;
        } catch (IllegalStateException e) {
            throw new DnnlUnavailableException(e.getMessage());
        } finally {
            if (!complete) {
                kernels.close();
            }
        }
    }

    private DnnlKernels(DnnlEngine engine, int workers, NativeMemory memory, CpuMath math) {
        this.engine = engine;
        this.math = math;
        this.workers = new DnnlWorker[workers];
        for (int i = 0; i < workers; i++) {
            this.workers[i] = new DnnlWorker(engine, memory);
        }
    }

    /// Code is generated on the pool's threads: oneDNN plans for as many threads as OpenMP would use there, one.
    private void make(List<Shape> shapes, WorkerPool pool) {
        pool.run(shapes.size(), (unit, worker) -> {
            engine.library().useOnlyThisThread();
            Shape shape = shapes.get(unit);
            var product = new DnnlProduct(engine, shape.inputs(), shape.outputs());
            check(product, worker);
            products.put(shape, product);
        });
    }

    DnnlProduct product(int inputs, int outputs) {
        DnnlProduct product = products.get(new Shape(inputs, outputs));
        if (product == null) {
            throw new IllegalStateException("no oneDNN product was planned for " + inputs + " x " + outputs);
        }
        return product;
    }

    DnnlWorker worker(int worker) {
        return workers[worker];
    }

    String description() {
        String implementation = products.values().iterator().next().implementation();
        return "oneDNN " + engine.library().versionText() + " (" + implementation + ")";
    }

    /// Runs `rows` rows in as few calls as there is code for.
    ///
    /// @param source address of bf16 `[rows, inputs]`, with readable memory behind it for padding rows
    /// @param result fp32 `[rows, outputs]`, with room for padding rows
    void multiply(DnnlProduct product, long source, int rows, long weights, MemorySegment result, int worker) {
        int done = 0;
        while (done < rows) {
            int index = DnnlProduct.indexFor(Math.min(rows - done, Linear.ROW_BLOCK));
            workers[worker].run(product.product(index), source + 2L * done * product.inputs(), weights,
                    result.address() + 4L * done * product.outputs());
            done += DnnlProduct.ROWS[index];
        }
    }

    void addPairs(MemorySegment result, int rows, int columns) {
        math.addPairs(result, rows, columns);
    }

    private void check(DnnlProduct product, int worker) {
        try (var memory = new NativeMemory()) {
            new DnnlCheck(product, this, memory, worker).run();
        }
    }

    @Override
    public void close() {
        engine.close();
    }

    /// Compares rows among others with the same rows alone, and some results with plain sums.
    private static final class DnnlCheck {
        private final DnnlProduct product;
        private final DnnlKernels kernels;
        private final int worker;
        private final MemorySegment source;
        private final MemorySegment weights;
        private final MemorySegment packed;
        private final MemorySegment expected;
        private final MemorySegment found;

        DnnlCheck(DnnlProduct product, DnnlKernels kernels, NativeMemory memory, int worker) {
            this.product = product;
            this.kernels = kernels;
            this.worker = worker;
            var random = new SplittableRandom(product.inputs() * 31L + product.outputs());
            source = randomBf16(memory, random, (long) Linear.ROW_BLOCK * product.inputs());
            weights = randomBf16(memory, random, (long) product.outputs() * product.inputs());
            packed = memory.allocate(product.packedBytes());
            expected = memory.allocate(4L * Linear.ROW_BLOCK * product.outputs());
            found = memory.allocate(4L * Linear.ROW_BLOCK * product.outputs());
        }

        private static MemorySegment randomBf16(NativeMemory memory, SplittableRandom random, long count) {
            MemorySegment segment = memory.allocate(2 * count);
            for (long i = 0; i < count; i++) {
                segment.setAtIndex(JAVA_SHORT, i, Bf16.encode((random.nextInt() >> 8) * 0x1p-23f));
            }
            return segment;
        }

        void run() {
            DnnlWorker calls = kernels.worker(worker);
            calls.run(product.packing(), source(weights, 0), 0, packed.address());
            int last = DnnlProduct.ROWS.length - 1;
            calls.run(product.product(last), source(source, 0), packed.address(), expected.address());
            for (int row : new int[] {0, Linear.ROW_BLOCK - 1}) {
                for (int column : new int[] {0, product.outputs() / 2, product.outputs() - 1}) {
                    checkSum(row, column);
                }
            }
            for (int index = 0; index < last; index++) {
                int rows = DnnlProduct.ROWS[index];
                checkRows(calls, index, 0);
                checkRows(calls, index, Linear.ROW_BLOCK - rows);
            }
        }

        private static long source(MemorySegment segment, long at) {
            return segment.address() + at;
        }

        private void checkSum(int row, int column) {
            double sum = 0;
            for (int i = 0; i < product.inputs(); i++) {
                sum += (double) value(source, (long) row * product.inputs() + i)
                        * value(weights, (long) column * product.inputs() + i);
            }
            float actual = expected.getAtIndex(JAVA_FLOAT, (long) row * product.outputs() + column);
            if (!(Math.abs(actual - sum) < PLAUSIBLE_DIFFERENCE)) {
                throw new IllegalStateException("oneDNN computes " + actual + " where " + sum + " is right (" + shape()
                        + ")");
            }
        }

        private static float value(MemorySegment bf16, long index) {
            return Bf16.decode(bf16.getAtIndex(JAVA_SHORT, index));
        }

        private void checkRows(DnnlWorker calls, int index, int firstRow) {
            int rows = DnnlProduct.ROWS[index];
            calls.run(product.product(index), source(source, 2L * firstRow * product.inputs()), packed.address(),
                    found.address());
            long bytes = 4L * rows * product.outputs();
            long from = 4L * firstRow * product.outputs();
            if (MemorySegment.mismatch(found, 0, bytes, expected, from, from + bytes) >= 0) {
                throw new IllegalStateException("oneDNN gives a row other bits among " + rows + " rows than among "
                        + Linear.ROW_BLOCK + " (" + shape() + ")");
            }
        }

        private String shape() {
            return product.inputs() + " x " + product.outputs() + ", " + product.implementation();
        }
    }
}
