package dev.sidewinder.bench.gpu;

import dev.sidewinder.bench.gpu.Ceilings.Arithmetic;
import dev.sidewinder.bench.gpu.Operator.Work;
import dev.sidewinder.cuda.device.Blas;
import dev.sidewinder.cuda.kernel.Kernels;
import dev.sidewinder.cuda.kernel.Linear;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import dev.sidewinder.cuda.kernel.Sm90Linear;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntConsumer;

/// Products with the matrices of a model.
final class LinearOperators {

    static final String FAMILY = "linear";

    /// A matrix of the model.
    ///
    /// @param inputs  columns of the matrix
    /// @param outputs its rows
    /// @param adds    whether the product is added to the residual stream
    record Matrix(String name, int inputs, int outputs, boolean adds) {

        Product product(int tokens) {
            return new Product(this, tokens);
        }
    }

    /// A product with so many tokens in bf16, for us and for others.
    record Product(Matrix matrix, int tokens) {

        String shape() {
            return matrix.name() + " M=" + tokens;
        }

        Work work() {
            return LinearOperators.work(matrix, tokens, Numbers.BF16, false);
        }

        long weightBytes() {
            return 2L * matrix.outputs() * matrix.inputs();
        }
    }

    private LinearOperators() {}

    static List<Operator> all(ModelSizes sizes) {
        List<Operator> operators = new ArrayList<>();
        for (Numbers numbers : List.of(Numbers.E4M3, Numbers.BF16, Numbers.NVFP4)) {
            for (Matrix matrix : matrices(sizes)) {
                for (int tokens : sizes.tokens()) {
                    if (isOfInterest(matrix, numbers, tokens, sizes)) {
                        operators.add(operator(matrix, numbers, tokens, false, sizes));
                    }
                }
            }
        }
        for (int tokens : sizes.tokens()) {
            operators.add(operator(mambaIn(sizes), Numbers.BF16, tokens, true, sizes));
        }
        return operators;
    }

    /// Products that others have too.
    static List<Product> inBf16(ModelSizes sizes) {
        List<Product> products = new ArrayList<>();
        for (Matrix matrix : matrices(sizes)) {
            for (int tokens : sizes.tokens()) {
                if (isOfInterest(matrix, Numbers.BF16, tokens, sizes)) {
                    products.add(matrix.product(tokens));
                }
            }
        }
        return products;
    }

    private static Matrix mambaIn(ModelSizes sizes) {
        return new Matrix("in-proj", sizes.hidden(), sizes.mamba().rowWidth(), false);
    }

    private static List<Matrix> matrices(ModelSizes sizes) {
        return List.of(mambaIn(sizes),
                new Matrix("out-proj", sizes.mamba().innerDim(), sizes.hidden(), true),
                new Matrix("QKV", sizes.hidden(), sizes.projections(), false),
                new Matrix("O", sizes.attended(), sizes.hidden(), true),
                head(sizes));
    }

    private static Matrix head(ModelSizes sizes) {
        return new Matrix("LM head", sizes.hidden(), sizes.vocabulary(), false);
    }

    /// The head of a prompt has few rows, and attention and head stay bf16 in the published checkpoints.
    private static boolean isOfInterest(Matrix matrix, Numbers numbers, int tokens, ModelSizes sizes) {
        boolean onlyBf16 = matrix.name().equals("QKV") || matrix.name().equals("O") || matrix.equals(head(sizes));
        if (onlyBf16 && numbers != Numbers.BF16) {
            return false;
        }
        return !matrix.equals(head(sizes)) || sizes.decode().contains(tokens);
    }

    private static String name(Numbers numbers, boolean pair) {
        return "linear " + switch (numbers) {
            case BF16 -> pair ? "bf16, x in pairs" : "bf16";
            case E4M3 -> "fp8";
            case E4M3_BF16 -> "fp8, x in bf16";
            case NVFP4 -> "nvfp4, x in bf16";
        };
    }

    private static Work work(Matrix matrix, int tokens, Numbers numbers, boolean pair) {
        double weights = (double) matrix.outputs() * matrix.inputs();
        double blockScales = numbers == Numbers.NVFP4 ? weights / 16 : 0;
        double source = (pair ? 2.0 : 1.0) * tokens * matrix.inputs() * numbers.sourceBits() / 8;
        // fp32 stored, or read, added to and written
        double results = (double) tokens * matrix.outputs() * (matrix.adds() ? 8 : 4);
        return new Work(weights * numbers.weightBits() / 8 + blockScales + source + results,
                2.0 * tokens * weights * (pair ? 2 : 1), numbers == Numbers.E4M3 ? Arithmetic.FP8 : Arithmetic.BF16);
    }

    private static Operator operator(Matrix matrix, Numbers numbers, int tokens, boolean pair, ModelSizes sizes) {
        boolean prompt = sizes.prompt().contains(tokens);
        long weightBytes = (long) matrix.outputs() * matrix.inputs() * numbers.weightBits() / 8;
        return new Operator(FAMILY, name(numbers, pair), matrix.name() + " M=" + tokens, work(matrix, tokens, numbers, pair),
                weightBytes, (kernels, memory, turns) -> prepare(matrix, numbers, tokens, pair, prompt, kernels, memory, turns));
    }

    private static IntConsumer prepare(Matrix matrix, Numbers numbers, int tokens, boolean pair, boolean prompt, Kernels kernels,
            BenchMemory memory, int turns) {
        long elements = (long) matrix.outputs() * matrix.inputs();
        Linear.Weights[] weights = new Linear.Weights[turns];
        for (int turn = 0; turn < turns; turn++) {
            weights[turn] = switch (numbers) {
                case BF16 -> new Linear.Weights(numbers, memory.bf16(elements), 0, matrix.outputs(), matrix.inputs(), 1);
                case E4M3, E4M3_BF16 ->
                    new Linear.Weights(numbers, memory.e4m3(elements), 0, matrix.outputs(), matrix.inputs(), 0.01f);
                case NVFP4 -> new Linear.Weights(numbers, memory.random(BenchMemory.Kind.E2M1, elements / 2),
                        memory.e4m3(elements / 16), matrix.outputs(), matrix.inputs(), 0.01f);
            };
        }
        long inputs = (long) tokens * matrix.inputs();
        boolean narrow = numbers.sourceBits() == 8;
        Linear.Source source = Linear.Source.of(narrow ? memory.e4m3(inputs) : memory.bf16(inputs), tokens)
                .scaled(narrow ? 0.01f : 1);
        Linear.Source given = pair ? source.withLow(memory.bf16(inputs)) : source;
        Linear.Output output = new Linear.Output(memory.f32((long) tokens * matrix.outputs()), matrix.outputs(),
                matrix.adds() ? Finish.ADD_F32 : Finish.STORE_F32);
        Optional<IntConsumer> onWarpgroups = prompt ? onWarpgroups(kernels, given, weights, output) : Optional.empty();
        if (onWarpgroups.isPresent()) {
            return onWarpgroups.get();
        }
        long workspaceBytes = Linear.workspaceBytes(kernels, numbers, tokens, matrix.outputs(), matrix.inputs());
        var linear = new Linear(kernels, kernels.device().stream(), workspaceBytes == 0 ? 0 : memory.zeros(workspaceBytes),
                workspaceBytes);
        return turn -> linear.multiply(kernels.device().stream(), given, weights[turn], output);
    }

    /// By the kernels for prompts, where the device has them and they take the product: as the backend chooses.
    static Optional<IntConsumer> onWarpgroups(Kernels kernels, Linear.Source source, Linear.Weights[] weights, Linear.Output output) {
        return Sm90Linear.on(kernels).filter(prompts -> prompts.takes(source, List.of(new Linear.Part(weights[0], output))))
                .map(prompts -> turn -> prompts.multiply(kernels.device().stream(), source,
                        List.of(new Linear.Part(weights[turn], output))));
    }

    /// The same product by cuBLAS.
    static IntConsumer prepare(Product product, Blas blas, Kernels kernels, BenchMemory memory, int turns) {
        Matrix matrix = product.matrix();
        long[] weights = new long[turns];
        for (int turn = 0; turn < turns; turn++) {
            weights[turn] = memory.bf16((long) matrix.outputs() * matrix.inputs());
        }
        long x = memory.bf16((long) product.tokens() * matrix.inputs());
        long y = memory.f32((long) product.tokens() * matrix.outputs());
        Blas.Result result = matrix.adds() ? Blas.Result.ADDED_TO_F32 : Blas.Result.F32;
        return turn -> blas.multiply(kernels.device().stream(), new Blas.Product(y, result, x, weights[turn], product.tokens(),
                matrix.outputs(), matrix.inputs()));
    }
}
