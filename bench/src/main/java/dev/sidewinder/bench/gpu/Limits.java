package dev.sidewinder.bench.gpu;

import dev.sidewinder.bench.gpu.Ceilings.Arithmetic;
import dev.sidewinder.bench.gpu.LinearOperators.Matrix;
import dev.sidewinder.bench.gpu.LinearOperators.Product;
import dev.sidewinder.cuda.device.Blas;
import dev.sidewinder.cuda.kernel.Linear;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.IntConsumer;

/// Measures what a device can do at most: its copy rate, and its rate of products, by cuBLAS where there is one.
final class Limits {

    /// e4m3 products against bf16 ones on Hopper, as the best known libraries reach them: 1,500 and 790 TFLOP/s.
    private static final double FP8_OVER_BF16 = 1500.0 / 790;

    /// What the maker states for a device.
    private record Datasheet(String device, double bytesPerSecond, double bf16FlopsPerSecond, double fp8FlopsPerSecond) {}

    /// Source: NVIDIA's data sheets of H100 (SXM5, PCIe), H200 (SXM), A100 (80 GB SXM), L40S, L4, without sparsity.
    private static final Datasheet[] DATASHEETS = {
        new Datasheet("H200", 4.8e12, 989e12, 1979e12),
        new Datasheet("H100 PCIe", 2.0e12, 756e12, 1513e12),
        new Datasheet("H100", 3.35e12, 989e12, 1979e12),
        new Datasheet("A100", 2.039e12, 312e12, 0),
        new Datasheet("L40S", 0.864e12, 362e12, 733e12),
        new Datasheet("L4", 0.300e12, 121e12, 242e12)};

    private final Session session;
    private final KernelTimer timer;
    private final BenchMemory.Pool pool;
    private final long copyBytes;
    private final int side;

    /// @param copyBytes of a copy; several times the cache
    /// @param side      of the square matrices that are multiplied
    Limits(Session session, KernelTimer timer, BenchMemory.Pool pool, long copyBytes, int side) {
        this.session = session;
        this.timer = timer;
        this.pool = pool;
        this.copyBytes = copyBytes;
        this.side = side;
    }

    Ceilings measure(Optional<Blas> blas, Consumer<GpuRow> rows) {
        Optional<Datasheet> datasheet = datasheet(session.device().info().name());
        double bytesPerSecond = copyRate(rows, datasheet);
        double own = productRate(Numbers.BF16, rows, datasheet);
        double theirs = blas.map(library -> productRate(library, rows, datasheet)).orElse(0.0);
        double ownFp8 = productRate(Numbers.E4M3, rows, datasheet);
        double bf16 = Math.max(own, theirs);
        return new Ceilings(bytesPerSecond, bf16, Math.max(ownFp8, bf16 * FP8_OVER_BF16));
    }

    static String describe(Ceilings ceilings) {
        return String.format(Locale.ROOT, "floors: %.2f TB/s copied here; %.0f TFLOP/s in bf16, the best product here; %.0f in fp8",
                ceilings.bytesPerSecond() / 1e12, ceilings.bf16FlopsPerSecond() / 1e12, ceilings.fp8FlopsPerSecond() / 1e12);
    }

    private static Optional<Datasheet> datasheet(String device) {
        for (Datasheet datasheet : DATASHEETS) {
            if (Arrays.stream(datasheet.device().split(" ")).allMatch(device::contains)) {
                return Optional.of(datasheet);
            }
        }
        return Optional.empty();
    }

    private static GpuRow row(GpuRow.Kind kind, String name, String shape, Spread times, double bytes, double flops, String note) {
        return new GpuRow(kind, name, shape, times.medianMicros(), times.p95Micros(), bytes, flops, 0, note);
    }

    private double copyRate(Consumer<GpuRow> rows, Optional<Datasheet> datasheet) {
        try (BenchMemory memory = new BenchMemory(pool)) {
            long source = memory.random(BenchMemory.Kind.E4M3, copyBytes);
            long target = memory.zeros(copyBytes);
            Spread times = timer.time(1, _ -> session.device().stream().copy(target, source, copyBytes));
            double bytes = 2.0 * copyBytes;
            rows.accept(row(GpuRow.Kind.CEILING, "copy", (copyBytes >> 20) + " MiB", times, bytes, 0, datasheet
                    .map(sheet -> String.format(Locale.ROOT, "datasheet %,.0f GB/s", sheet.bytesPerSecond() / 1e9)).orElse("")));
            return bytes / times.medianMicros() * 1e6;
        }
    }

    private double flops() {
        return 2.0 * side * side * side;
    }

    private String shape() {
        return "%d x %d x %d".formatted(side, side, side);
    }

    private static String note(Optional<Datasheet> datasheet, Arithmetic arithmetic) {
        return datasheet.map(sheet -> String.format(Locale.ROOT, ", datasheet %.0f TFLOP/s",
                (arithmetic == Arithmetic.FP8 ? sheet.fp8FlopsPerSecond() : sheet.bf16FlopsPerSecond()) / 1e12)).orElse("");
    }

    private double productRate(Numbers numbers, Consumer<GpuRow> rows, Optional<Datasheet> datasheet) {
        try (BenchMemory memory = new BenchMemory(pool)) {
            long elements = (long) side * side;
            boolean narrow = numbers == Numbers.E4M3;
            var weights = new Linear.Weights(numbers, narrow ? memory.e4m3(elements) : memory.bf16(elements), 0, side, side,
                    narrow ? 0.01f : 1);
            var source = Linear.Source.of(narrow ? memory.e4m3(elements) : memory.bf16(elements), side).scaled(narrow ? 0.01f : 1);
            var output = new Linear.Output(memory.zeros(2 * elements), side, Finish.STORE_BF16);
            var linear = new Linear(session.kernels(), session.device().stream(), 0, 0);
            IntConsumer launch = LinearOperators.onWarpgroups(session.kernels(), source, new Linear.Weights[] {weights}, output)
                    .orElse(_ -> linear.multiply(session.device().stream(), source, weights, output));
            Spread times = timer.time(1, launch);
            Arithmetic arithmetic = narrow ? Arithmetic.FP8 : Arithmetic.BF16;
            rows.accept(row(GpuRow.Kind.CEILING, narrow ? "product fp8" : "product bf16", shape(), times,
                    elements * (narrow ? 4.0 : 6.0), flops(), "our kernel" + note(datasheet, arithmetic)));
            return flops() / times.medianMicros() * 1e6;
        }
    }

    private double productRate(Blas blas, Consumer<GpuRow> rows, Optional<Datasheet> datasheet) {
        try (BenchMemory memory = new BenchMemory(pool)) {
            Product product = new Product(new Matrix("square", side, side, false), side);
            Spread times = timer.time(1, LinearOperators.prepare(product, blas, session.kernels(), memory, 1));
            rows.accept(row(GpuRow.Kind.CEILING, "product bf16", shape(), times, 8.0 * side * side, flops(),
                    "cuBLAS" + note(datasheet, Arithmetic.BF16)));
            return flops() / times.medianMicros() * 1e6;
        }
    }
}
