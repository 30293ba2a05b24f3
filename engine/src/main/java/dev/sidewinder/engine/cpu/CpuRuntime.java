package dev.sidewinder.engine.cpu;

/// What the layers of one backend share. Owned and closed by [CpuBackend].
///
/// @param maxRows tokens in one batch at most
record CpuRuntime(WorkerPool pool, CpuMath math, NativeMemory memory, CacheMemory cache, ProductRegion products,
        Workspace workspace, LinearLoader loader, Arithmetic arithmetic, int maxRows) {

    /// Rows that one unit of row-wise work takes.
    private static final int ROWS_PER_UNIT = 16;

    /// Work on single rows.
    @FunctionalInterface
    interface RowWork {
        void run(int row, int worker);
    }

    /// Runs row-wise work over the pool.
    void forRows(int rows, RowWork work) {
        pool.run(Math.ceilDiv(rows, ROWS_PER_UNIT), (unit, worker) -> {
            int end = Math.min(rows, (unit + 1) * ROWS_PER_UNIT);
            for (int row = unit * ROWS_PER_UNIT; row < end; row++) {
                work.run(row, worker);
            }
        });
    }

    /// Normalises every row of the residual stream into sources of a product.
    void normalise(Step step, RmsNorm norm, SourceRows target) {
        forRows(step.rows(), (row, worker) -> norm.apply(step.residual(), row, target, row, worker));
    }
}
