package dev.sidewinder.engine.cpu;

import java.lang.foreign.MemorySegment;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;

/// The oneDNN products of one backend: one for each shape of a weight tile, checked before use.
///
/// We rely on a row's bits being the same for every number of rows. oneDNN does not promise that, so [DnnlCheck] tries it
/// on every shape when the backend is built.
final class DnnlKernels implements AutoCloseable {

    /// Inputs and outputs of a weight tile.
    record Shape(int inputs, int outputs) {}

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
        String implementations = products.values().stream().map(DnnlProduct::implementation).distinct().sorted()
                .collect(Collectors.joining(", "));
        long fixed = products.values().stream().filter(DnnlProduct::hasFixedRows).count();
        return "oneDNN " + engine.library().versionText() + " (" + implementations
                + (fixed == 0 ? "" : ", " + fixed + " of " + products.size() + " shapes in blocks of "
                        + DnnlProduct.FIXED_ROWS + " rows only") + ")";
    }

    /// Runs `rows` rows in as few calls as there is code for.
    ///
    /// @param source address of bf16 `[rows, inputs]`, with readable memory behind it for padding rows
    /// @param result fp32 `[rows, outputs]`, with room for padding rows
    void multiply(DnnlProduct product, long source, int rows, long weights, MemorySegment result, int worker) {
        int done = 0;
        while (done < rows) {
            int index = product.indexFor(Math.min(rows - done, Linear.ROW_BLOCK));
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
            new DnnlCheck(product, workers[worker], memory).run();
        }
    }

    @Override
    public void close() {
        engine.close();
    }
}
