package dev.sidewinder.bench.gpu;

import dev.sidewinder.bench.gpu.Operator.Work;
import dev.sidewinder.cuda.kernel.Embedding;
import dev.sidewinder.cuda.kernel.FiniteRows;
import dev.sidewinder.cuda.kernel.RmsNorm;
import dev.sidewinder.cuda.kernel.Sample;
import dev.sidewinder.cuda.kernel.SampleResults;
import dev.sidewinder.cuda.kernel.SampleRows;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/// What happens row by row: norms, embedding, sampling.
final class RowOperators {

    private static final float EPSILON = 1e-5f;
    private static final float SCALE = 0.01f;

    private RowOperators() {}

    static List<Operator> all(ModelSizes sizes) {
        List<Operator> operators = new ArrayList<>();
        for (int rows : sizes.tokens()) {
            operators.add(norm(sizes.hidden(), rows));
        }
        for (int rows : sizes.tokens()) {
            operators.add(embedding(sizes, rows));
        }
        for (int rows : sizes.tokens()) {
            operators.add(finiteRows(sizes.hidden(), rows));
        }
        for (int rows : sizes.decode()) {
            operators.add(sample(sizes.vocabulary(), rows, "greedy", _ -> {}));
            operators.add(sample(sizes.vocabulary(), rows, "temperature", row -> row.draw(0.8, 0, 1, 0)));
            operators.add(sample(sizes.vocabulary(), rows, "top-p", row -> row.draw(0.8, 0, 0.95, 0)));
            operators.add(sample(sizes.vocabulary(), rows, "top-k and logprobs", row -> row.draw(0.8, 50, 0.95, 0).logprobs(5)));
        }
        return operators;
    }

    private static Operator norm(int width, int rows) {
        double bytes = (double) rows * width * (4 + 1);
        return new Operator("rms_norm", "norm to fp8", "M=" + rows, Work.moving(bytes), (long) bytes, (kernels, memory, turns) -> {
            var norm = new RmsNorm(kernels);
            var weight = new RmsNorm.Weight(memory.bf16(width), RmsNorm.WeightType.BF16, EPSILON);
            long out = memory.zeros((long) rows * width);
            long[] residuals = new long[turns];
            for (int turn = 0; turn < turns; turn++) {
                residuals[turn] = memory.f32((long) rows * width);
            }
            return turn -> norm.toE4m3(kernels.device().stream(), out, SCALE, RmsNorm.Rows.all(residuals[turn], rows, width), weight);
        });
    }

    private static Operator embedding(ModelSizes sizes, int rows) {
        double bytes = (double) rows * sizes.hidden() * (2 + 4);
        return new Operator("embedding", "embedding bf16", "M=" + rows, Work.moving(bytes), (long) bytes, (kernels, memory, turns) -> {
            var embedding = new Embedding(kernels);
            var table = new Embedding.Table(memory.bf16((long) sizes.vocabulary() * sizes.hidden()), Embedding.TableType.BF16,
                    sizes.vocabulary(), sizes.hidden());
            long residual = memory.zeros(4L * rows * sizes.hidden());
            long[] tokens = new long[turns];
            for (int turn = 0; turn < turns; turn++) {
                tokens[turn] = memory.ints(memory.random().ints(rows, 0, sizes.vocabulary()).toArray());
            }
            return turn -> embedding.lookUp(kernels.device().stream(), residual, tokens[turn], rows, table);
        });
    }

    private static Operator finiteRows(int width, int rows) {
        double bytes = (double) rows * width * 4;
        return new Operator("finite_rows", "look for NaN", "M=" + rows, Work.moving(bytes), (long) bytes, (kernels, memory, turns) -> {
            var finiteRows = new FiniteRows(kernels);
            long spoiled = memory.zeros(Integer.BYTES);
            long start = memory.ints(new int[] {0, rows});
            long[] residuals = new long[turns];
            for (int turn = 0; turn < turns; turn++) {
                residuals[turn] = memory.f32((long) rows * width);
            }
            return turn -> finiteRows.find(kernels.device().stream(), spoiled, residuals[turn], start, rows, width, 1);
        });
    }

    /// @param parameters of a row
    private static Operator sample(int vocabulary, int rows, String name, Consumer<SampleRows> parameters) {
        double bytes = 4.0 * rows * vocabulary;
        return new Operator("sample", "sample", name + " B=" + rows, Work.moving(bytes), (long) bytes, (kernels, memory, turns) -> {
            var sample = new Sample(kernels, vocabulary);
            long described = describe(memory, vocabulary, rows, parameters);
            long lists = memory.zeros(Long.BYTES);
            long saved = memory.zeros(Long.BYTES);
            long slots = memory.zeros(4L * rows);
            long results = memory.zeros((long) SampleResults.ROW_BYTES * rows);
            long tokens = memory.zeros(4L * rows);
            var tensors = new Sample.Tensors[turns];
            for (int turn = 0; turn < turns; turn++) {
                tensors[turn] = new Sample.Tensors(results, tokens, logits(memory, rows, vocabulary), vocabulary, described, lists,
                        saved, slots);
            }
            return turn -> sample.choose(kernels.device().stream(), tensors[turn], rows);
        });
    }

    private static long describe(BenchMemory memory, int vocabulary, int rows, Consumer<SampleRows> parameters) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment described = arena.allocate((long) SampleRows.ROW_BYTES * rows, Long.BYTES);
            var writer = new SampleRows(described, arena.allocate(Long.BYTES, Long.BYTES), arena.allocate(Long.BYTES, Long.BYTES), 0,
                    vocabulary);
            for (int row = 0; row < rows; row++) {
                parameters.accept(writer.begin(row).random(memory.random().nextLong(), 0, row));
            }
            return memory.upload(described);
        }
    }

    /// Normally distributed with a deviation of 3, about as a trained head's are. One row, and copies of it turned round.
    private static long logits(BenchMemory memory, int rows, int vocabulary) {
        float[] values = new float[rows * vocabulary];
        for (int i = 0; i < vocabulary; i++) {
            double sum = -6;
            for (int draw = 0; draw < 12; draw++) {
                sum += memory.random().nextDouble();
            }
            values[i] = (float) (3 * sum);
        }
        for (int row = 1; row < rows; row++) {
            int shift = memory.random().nextInt(vocabulary);
            System.arraycopy(values, 0, values, row * vocabulary + shift, vocabulary - shift);
            System.arraycopy(values, vocabulary - shift, values, row * vocabulary, shift);
        }
        return memory.floats(values);
    }
}
