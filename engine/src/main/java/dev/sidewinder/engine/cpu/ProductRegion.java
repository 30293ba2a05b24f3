package dev.sidewinder.engine.cpu;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// Several matrix products that run side by side over the pool: collect them with `add…`, then [#run()].
///
/// A unit is one tile of one product for at most [Linear#ROW_BLOCK] rows; it is computed into a small buffer of its
/// worker and goes from there, still in cache, to where it is wanted.
final class ProductRegion {

    private sealed interface Target {
        /// Stores at `values[row * stride + column]`.
        record Store(float[] values, int stride) implements Target {}

        /// Adds there.
        record Add(float[] values, int stride) implements Target {}

        /// Makes it the source of the next product.
        record Source(SourceRows next) implements Target {}

        /// Squares what is positive and makes it the source of the next product.
        record SquaredRelu(SourceRows next) implements Target {}
    }

    private record Product(Linear weight, SourceRows source, int sourceRow, int rows, Target target, int targetRow,
            int firstUnit) {}

    private final WorkerPool pool;
    private final CpuMath math;
    private final MemorySegment[] results;
    private final float[][] rowScratch;
    private final List<Product> products = new ArrayList<>();
    private int[] productOfUnit = new int[64];
    private int units;

    ProductRegion(WorkerPool pool, CpuMath math, NativeMemory memory) {
        this.pool = pool;
        this.math = math;
        results = new MemorySegment[pool.workers()];
        rowScratch = new float[pool.workers()][Linear.TILE_COLUMNS];
        for (int worker = 0; worker < results.length; worker++) {
            results[worker] = memory.allocate(4L * Linear.RESULT_FLOATS);
        }
    }

    /// `values[targetRow + i] = source[sourceRow + i] Wᵀ`
    void addStore(Linear weight, SourceRows source, int sourceRow, int rows, float[] values, int targetRow) {
        add(weight, source, sourceRow, rows, new Target.Store(values, weight.outputs()), targetRow);
    }

    /// `values[targetRow + i] += source[sourceRow + i] Wᵀ`
    void addAdd(Linear weight, SourceRows source, int sourceRow, int rows, float[] values, int targetRow) {
        add(weight, source, sourceRow, rows, new Target.Add(values, weight.outputs()), targetRow);
    }

    /// `next[targetRow + i] = source[sourceRow + i] Wᵀ`
    void addSource(Linear weight, SourceRows source, int sourceRow, int rows, SourceRows next, int targetRow) {
        add(weight, source, sourceRow, rows, new Target.Source(next), targetRow);
    }

    /// `next[targetRow + i] = max(0, source[sourceRow + i] Wᵀ)²`
    void addSquaredRelu(Linear weight, SourceRows source, int sourceRow, int rows, SourceRows next, int targetRow) {
        add(weight, source, sourceRow, rows, new Target.SquaredRelu(next), targetRow);
    }

    private void add(Linear weight, SourceRows source, int sourceRow, int rows, Target target, int targetRow) {
        if (source.width() != weight.inputs()) {
            throw new IllegalArgumentException("a product of " + source.width() + " wide rows with a matrix of "
                    + weight.outputs() + " x " + weight.inputs());
        }
        int first = units;
        units += weight.tiles() * Math.ceilDiv(rows, Linear.ROW_BLOCK);
        if (units > productOfUnit.length) {
            productOfUnit = Arrays.copyOf(productOfUnit, 2 * units);
        }
        Arrays.fill(productOfUnit, first, units, products.size());
        products.add(new Product(weight, source, sourceRow, rows, target, targetRow, first));
    }

    /// Computes everything that was added, and forgets it.
    void run() {
        try {
            pool.run(units, this::unit);
        } finally {
            products.clear();
            units = 0;
        }
    }

    private void unit(int unit, int worker) {
        Product product = products.get(productOfUnit[unit]);
        int rowBlocks = Math.ceilDiv(product.rows(), Linear.ROW_BLOCK);
        int within = unit - product.firstUnit();
        // Row blocks of one tile follow each other: the tile's weights stay in cache.
        int tile = within / rowBlocks;
        int first = within % rowBlocks * Linear.ROW_BLOCK;
        int rows = Math.min(Linear.ROW_BLOCK, product.rows() - first);
        product.weight().multiply(tile, product.source(), product.sourceRow() + first, rows, results[worker], worker);
        deliver(product, tile, product.targetRow() + first, rows, worker);
    }

    private void deliver(Product product, int tile, int targetRow, int rows, int worker) {
        MemorySegment result = results[worker];
        float[] values = rowScratch[worker];
        int columns = product.weight().tileColumns(tile);
        int column = tile * Linear.TILE_COLUMNS;
        for (int row = 0; row < rows; row++) {
            long from = 4L * row * columns;
            switch (product.target()) {
                case Target.Store store -> MemorySegment.copy(result, ValueLayout.JAVA_FLOAT, from, store.values(),
                        (targetRow + row) * store.stride() + column, columns);
                case Target.Add sum -> {
                    MemorySegment.copy(result, ValueLayout.JAVA_FLOAT, from, values, 0, columns);
                    math.addScaled(1, values, 0, sum.values(), (targetRow + row) * sum.stride() + column, columns);
                }
                case Target.Source next -> {
                    MemorySegment.copy(result, ValueLayout.JAVA_FLOAT, from, values, 0, columns);
                    next.next().set(targetRow + row, column, values, 0, columns);
                }
                case Target.SquaredRelu relu -> {
                    MemorySegment.copy(result, ValueLayout.JAVA_FLOAT, from, values, 0, columns);
                    math.squaredRelu(values, 0, values, 0, columns);
                    relu.next().set(targetRow + row, column, values, 0, columns);
                }
            }
        }
    }
}
