package dev.sidewinder.bench.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sidewinder.bench.gpu.BenchMemory.Kind;
import dev.sidewinder.bench.gpu.LinearOperators.Matrix;
import dev.sidewinder.bench.gpu.LinearOperators.Product;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Effort and formulas of the measurement.
class MeasuringTest {

    @TempDir
    Path folder;

    @Test
    void turnsReadThreeCachesOfOtherDataOrAsMuchAsFits() {
        long l2 = 50L << 20;
        assertThat(Effort.FULL.turns(700L << 20, l2, 80L << 30)).isEqualTo(2);
        assertThat(Effort.FULL.turns(10L << 20, l2, 80L << 30)).isEqualTo(16);
        assertThat(Effort.FULL.turns(1000, l2, 80L << 30)).isEqualTo(Effort.MOST_TURNS);
        assertThat(Effort.FULL.turns(3L << 30, l2, 4L << 30)).isEqualTo(1);
        assertThat(new Effort(1, 0, 0).turns(10, l2, 1 << 30)).isEqualTo(1);
    }

    @Test
    void chainsAreLongEnoughAndGiveEveryTurnTheSame() {
        assertThat(Effort.FULL.chain(3, 10)).isEqualTo(51);
        assertThat(Effort.FULL.chain(2, 5000)).isEqualTo(2);
        assertThat(Effort.FULL.chain(64, 0.01)).isEqualTo(512);
        assertThat(new Effort(1, 0, 0).chain(2, 10)).isEqualTo(2);
    }

    @Test
    void aDeadlinePassesOnce() {
        AtomicLong now = new AtomicLong(-5);
        Deadline deadline = new Deadline(Duration.ofNanos(10), now::get);
        assertThat(deadline.isPassed()).isFalse();
        assertThat(deadline.left()).isEqualTo(Duration.ofNanos(10));
        now.set(5);
        assertThat(deadline.isPassed()).isTrue();
        assertThat(deadline.left()).isZero();
        assertThat(new Deadline(null, now::get).isPassed()).isFalse();
    }

    /// The table of floors that the kernels were designed by: MB of an operator at one token, of the weights alone.
    @Test
    void bytesAndOperationsAreThoseOfTheModel() {
        ModelSizes nano = GpuBench.Sizes.REAL.model();
        List<Operator> linear = LinearOperators.all(nano);
        assertThat(work(linear, "linear fp8", "in-proj M=1").bytes() / 1e6).isEqualTo(27.7, within(0.1));
        assertThat(work(linear, "linear bf16", "in-proj M=1").bytes() / 1e6).isEqualTo(55.4, within(0.1));
        assertThat(work(linear, "linear fp8", "out-proj M=1").bytes() / 1e6).isEqualTo(11.0, within(0.1));
        assertThat(work(linear, "linear bf16", "QKV M=1").bytes() / 1e6).isEqualTo(24.8, within(0.1));
        assertThat(work(linear, "linear bf16", "O M=1").bytes() / 1e6).isEqualTo(22.0, within(0.1));
        assertThat(work(linear, "linear bf16", "LM head M=1").bytes() / 1e6).isEqualTo(704.6, within(1.0));
        assertThat(work(linear, "linear fp8", "in-proj M=8192").flops()).isEqualTo(2.0 * 8192 * 10_304 * 2688);
        // 59.9 MB of six experts and 20.0 of the shared one
        assertThat(work(ExpertOperators.all(nano), "experts fp8", "uniform M=1").bytes() / 1e6).isEqualTo(79.9, within(0.2));
        // the state, 2.1 MB read and written, and 74 KB of the convolution twice
        assertThat(work(MambaOperators.all(nano), "state update", "B=1").bytes() / 1e6).isEqualTo(4.2 + 0.15 + 0.02, within(0.05));
        // 512 bytes a token and layer in fp8
        assertThat(work(AttentionOperators.all(nano), "attention decode fp8", "B=1 L=65536").bytes() / 1e6).isEqualTo(33.6, within(0.1));
        // 49,152 operations a token for each token before it, six layers: a third of 6 x 4 x 4096 / 2
        double pairs = 2048 * 2049 / 2.0;
        assertThat(work(AttentionOperators.all(nano), "attention prompt bf16", "from=0 T=2048").flops()).isEqualTo(pairs * 4 * 4096);
    }

    private static Operator.Work work(List<Operator> operators, String name, String shape) {
        return operators.stream().filter(operator -> operator.name().equals(name) && operator.shape().equals(shape)).findFirst()
                .orElseThrow().work();
    }

    @Test
    void randomBitsBecomeOrdinaryNumbers() {
        Random random = new Random(3);
        for (int i = 0; i < 20_000; i++) {
            long bits = random.nextLong();
            float bf16 = Float.intBitsToFloat((int) (Kind.BF16.of(bits) << 16));
            assertThat(Math.abs(bf16)).isBetween(0x1p-7f, 0x1p-3f);
            assertThat(Math.abs(Float.intBitsToFloat((int) Kind.F32.of(bits)))).isBetween(0x1p-3f, 2f);
            assertThat((int) Kind.E4M3.of(bits) & 0x7f).isLessThan(0x40);
        }
    }

    @Test
    void measurementsAgainstCublasStandForTheTokensAroundThem() throws IOException {
        Path file = folder.resolve("blas-choices.csv");
        BlasRecord record = new BlasRecord(new GpuRun("NVIDIA H100", "580.1, CUDA 13.0", "abc", 1), file, List.of(1, 8, 32, 2048));
        Matrix matrix = new Matrix("O", 4096, 2688, true);
        record.add(matrix.product(1), 10, 11);
        record.add(matrix.product(8), 12.345, 11);
        record.add(matrix.product(32), 20, 21);
        record.add(matrix.product(2048), 100, 99);
        assertThat(Files.readAllLines(file)).containsExactly(BlasRecord.HEADER,
                "NVIDIA H100,1,2,2688,4096,10.00,11.00,580.1 CUDA 13.0,abc",
                "NVIDIA H100,3,16,2688,4096,12.35,11.00,580.1 CUDA 13.0,abc",
                "NVIDIA H100,17,256,2688,4096,20.00,21.00,580.1 CUDA 13.0,abc",
                "NVIDIA H100,257,2048,2688,4096,100.00,99.00,580.1 CUDA 13.0,abc");
        assertThat(new Product(matrix, 8).weightBytes()).isEqualTo(2L * 4096 * 2688);
    }
}
