package dev.sidewinder.bench.gpu;

import dev.sidewinder.bench.gpu.LinearOperators.Product;
import dev.sidewinder.cuda.device.Blas;
import dev.sidewinder.cuda.device.CudaUnavailableException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.IntConsumer;

/// Measures kernels one by one, and cuBLAS beside them. One that fails is told and does not keep the others from running.
final class KernelRun {

    private final Session session;
    private final long seed;
    private final Effort effort;
    private final PrintStream progress;
    private final Consumer<GpuRow> rows;
    private final List<String> failures = new ArrayList<>();
    private final List<String> notReached = new ArrayList<>();
    /// Medians of our products in bf16, by shape.
    private final Map<String, Double> ownMicros = new HashMap<>();

    KernelRun(Session session, long seed, Effort effort, PrintStream progress, Consumer<GpuRow> rows) {
        this.session = session;
        this.seed = seed;
        this.effort = effort;
        this.progress = progress;
        this.rows = rows;
    }

    /// What went wrong, a sentence each.
    List<String> failures() {
        return failures;
    }

    /// What the time was too short for.
    List<String> notReached() {
        return notReached;
    }

    /// Opens cuBLAS, or says why not.
    private Optional<Blas> openBlas(Optional<Path> library) {
        try {
            return Optional.of(Blas.open(session.device(), library));
        } catch (CudaUnavailableException e) {
            progress.println("cuBLAS is left out: " + e.getMessage());
            return Optional.empty();
        }
    }

    /// Measures the limits of the device with a few launches each: they are the same on a warm cache.
    Ceilings limits(Optional<Path> library, long copyBytes, int side) {
        Optional<Blas> blas = openBlas(library);
        try (var pool = new BenchMemory.Pool(session.device(), seed)) {
            return new Limits(session, new KernelTimer(session.device(), effort), pool, copyBytes, side).measure(blas, rows);
        } finally {
            blas.ifPresent(Blas::close);
        }
    }

    void operators(List<Operator> operators, Ceilings ceilings, Deadline deadline) {
        for (int i = 0; i < operators.size(); i++) {
            Operator operator = operators.get(i);
            String what = operator.name() + ", " + operator.shape();
            if (deadline.isPassed()) {
                notReached.add(what);
                continue;
            }
            time("[" + (i + 1) + "/" + operators.size() + "]", what, operator.turnBytes(),
                    (memory, turns) -> operator.preparation().prepare(session.kernels(), memory, turns)).ifPresent(times -> {
                        Operator.Work work = operator.work();
                        rows.accept(new GpuRow(GpuRow.Kind.KERNEL, operator.name(), operator.shape(), times.medianMicros(),
                                times.p95Micros(), work.bytes(), work.flops(),
                                ceilings.floorMicros(work.bytes(), work.flops(), work.arithmetic()), ""));
                        if (operator.name().equals("linear bf16")) {
                            ownMicros.put(operator.shape(), times.medianMicros());
                        }
                    });
        }
    }

    /// Measures products by cuBLAS, where there is one.
    ///
    /// @param choices is told of those that our kernel was measured at too
    void blas(List<Product> products, Optional<Path> library, Ceilings ceilings, Deadline deadline, BlasRecord choices) {
        Optional<Blas> opened = openBlas(library);
        if (opened.isEmpty()) {
            return;
        }
        boolean usable = true;
        for (Product product : products) {
            String what = "cuBLAS, " + product.shape();
            if (deadline.isPassed() || !usable) {
                notReached.add(what);
                continue;
            }
            Optional<Spread> times = time("[cuBLAS]", what, product.weightBytes(), (memory, turns) ->
                    LinearOperators.prepare(product, opened.get(), session.kernels(), memory, turns));
            // after a failure the device was opened anew, and the library belongs to the one before
            usable = times.isPresent();
            times.ifPresent(found -> {
                Operator.Work work = product.work();
                rows.accept(new GpuRow(GpuRow.Kind.CUBLAS, "linear bf16", product.shape(), found.medianMicros(),
                        found.p95Micros(), work.bytes(), work.flops(),
                        ceilings.floorMicros(work.bytes(), work.flops(), work.arithmetic()), ""));
                Double own = ownMicros.get(product.shape());
                if (own != null) {
                    choices.add(product, own, found.medianMicros());
                }
            });
        }
        if (usable) {
            opened.get().close();
        }
    }

    /// Operands of a number of launches.
    private interface Operands {
        IntConsumer prepare(BenchMemory memory, int turns);
    }

    private Optional<Spread> time(String count, String what, long turnBytes, Operands operands) {
        progress.println(count + " " + what);
        try (var pool = new BenchMemory.Pool(session.device(), seed); var memory = new BenchMemory(pool)) {
            int turns = effort.turns(turnBytes, session.device().info().l2Bytes(), session.device().freeBytes());
            IntConsumer launch = operands.prepare(memory, turns);
            session.device().synchronize();
            return Optional.of(new KernelTimer(session.device(), effort).time(turns, launch));
        } catch (RuntimeException e) {
            failures.add(what + ": " + e.getClass().getSimpleName() + ": " + e.getMessage());
            progress.println("    FAILED " + failures.getLast());
            session.reopen();
            return Optional.empty();
        }
    }
}
