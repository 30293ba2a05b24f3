package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/// Launches `linear.cu`: products of activation rows with weight matrices, `y = scale * x Wᵀ`, sums in fp32.
///
/// A product has one to three parts: matrices of the same width, or column ranges of one matrix, each with an output of its
/// own. They are read by one launch.
///
/// **A row's bits depend on its own activations and on the matrix alone**, where matrix means number format, all columns of
/// the product together, and width. They do not depend on how many rows there are, what the others hold, where the row
/// stands, how the work is spread, or the device's size. See the head of `linear.cu` for the order of sums.
///
/// Widths: a multiple of 8 (bf16 weights), 16 (e4m3) or 32 (NVFP4) takes the fast kernels, with weights and activations at
/// multiples of 16 bytes. Any other width (NVFP4: any multiple of 16) takes a plain kernel, with an order of sums of its own.
///
/// Asynchronous: buffers stay alive until the stream has passed. A launch may begin to read weights before the kernel in
/// front of it has ended, so weights are never what that kernel writes. Launches that share a workspace go to one stream.
public final class Linear {

    /// The formats of weights and activations that go together.
    public enum Numbers {
        /// bf16 weights, bf16 activations.
        BF16(16, 16),
        /// e4m3 weights, e4m3 activations.
        E4M3(8, 8),
        /// e4m3 weights, bf16 activations.
        E4M3_BF16(8, 16),
        /// e2m1 codes with an e4m3 scale for 16 of them, bf16 activations.
        NVFP4(4, 16);

        private final int weightBits;
        private final int sourceBits;

        Numbers(int weightBits, int sourceBits) {
            this.weightBits = weightBits;
            this.sourceBits = sourceBits;
        }

        public int weightBits() {
            return weightBits;
        }

        public int sourceBits() {
            return sourceBits;
        }

        /// Weights in 16 bytes.
        int vector() {
            return 128 / weightBits;
        }

        private String suffix() {
            return switch (this) {
                case BF16 -> "bf16";
                case E4M3 -> "e4m3";
                case E4M3_BF16 -> "e4m3_bf16";
                case NVFP4 -> "nvfp4";
            };
        }
    }

    /// A matrix on the device, row-major `[outputs, inputs]`.
    ///
    /// @param blockScales e4m3 `[outputs, inputs / 16]` of NVFP4, 0 for the others
    /// @param scale of the whole matrix; 1 for bf16
    public record Weights(Numbers numbers, long address, long blockScales, int outputs, int inputs, float scale) {

        public Weights {
            if (outputs < 1 || inputs < 1) {
                throw new IllegalArgumentException("a matrix of " + outputs + " x " + inputs + "; each is at least 1");
            }
            if (address == 0 || (numbers == Numbers.NVFP4) != (blockScales != 0)) {
                throw new IllegalArgumentException("a matrix in " + numbers + " at 0x" + Long.toHexString(address)
                        + " with block scales at 0x" + Long.toHexString(blockScales) + "; only NVFP4 has them");
            }
            if (numbers == Numbers.NVFP4 && inputs % 16 != 0) {
                throw new IllegalArgumentException("an NVFP4 matrix of width " + inputs + "; a block of 16 has a scale");
            }
        }

        /// The columns of the product that come from some of the matrix's rows.
        public Weights columns(int from, int count) {
            if (from < 0 || count < 1 || from > outputs - count) {
                throw new IllegalArgumentException("columns %d to %d of a matrix with %d".formatted(from, from + count - 1, outputs));
            }
            long rows = from * (long) inputs;
            return new Weights(numbers, address + rows * numbers.weightBits() / 8, blockScales == 0 ? 0 : blockScales + rows / 16,
                    count, inputs, scale);
        }
    }

    /// Activations `[.., inputs]`.
    ///
    /// @param low bf16, added to the activations: `x + low` is what is multiplied; 0 for none
    /// @param rows int32 `[tokens]`, the row of the activations that each token takes, -1 for a padded one that is neither
    ///     read nor written; 0 for all rows in their order
    /// @param scale of the activations; 1 for bf16
    public record Source(long address, long low, long rows, int tokens, float scale) {

        public Source {
            if (tokens < 1 || address == 0) {
                throw new IllegalArgumentException("a product of " + tokens + " tokens at 0x" + Long.toHexString(address));
            }
        }

        public static Source of(long address, int tokens) {
            return new Source(address, 0, 0, tokens, 1);
        }

        public Source withLow(long lowAddress) {
            return new Source(address, lowAddress, rows, tokens, scale);
        }

        public Source at(long rowIndex) {
            return new Source(address, low, rowIndex, tokens, scale);
        }

        public Source scaled(float inputScale) {
            return new Source(address, low, rows, tokens, inputScale);
        }

        /// Some of the tokens.
        ///
        /// @param rowBytes from row to row of the activations
        public Source tokens(int first, int count, long rowBytes) {
            if (first < 0 || count < 1 || first > tokens - count) {
                throw new IllegalArgumentException("tokens %d to %d of a product with %d".formatted(first, first + count - 1, tokens));
            }
            return rows != 0 ? new Source(address, low, rows + (long) first * Integer.BYTES, count, scale)
                    : new Source(address + first * rowBytes, low == 0 ? 0 : low + first * rowBytes, 0, count, scale);
        }
    }

    /// What becomes of a value. In the order of `Mode` in `linear.cu`.
    public enum Finish {
        STORE_F32(4), STORE_BF16(2), ADD_F32(4), SQUARED_RELU_BF16(2), SQUARED_RELU_E4M3(1);

        private final int bytes;

        Finish(int bytes) {
            this.bytes = bytes;
        }

        /// Of a value.
        int bytes() {
            return bytes;
        }
    }

    /// Where a part's values go: row `t` begins `t * stride` elements behind the address.
    ///
    /// @param scale of values that are stored as e4m3: they are divided by it; 1 for the others
    public record Output(long address, long stride, Finish finish, float scale) {

        public Output {
            if (address == 0 || stride < 1) {
                throw new IllegalArgumentException("an output at 0x" + Long.toHexString(address) + " with rows " + stride + " apart");
            }
            float inverse = 1 / scale;
            if (!(scale > 0) || Float.isInfinite(inverse) || finish != Finish.SQUARED_RELU_E4M3 && scale != 1) {
                throw new IllegalArgumentException("an output " + finish + " with the scale " + scale
                        + "; e4m3 needs one above 0 whose inverse is finite, the others 1");
            }
        }

        public Output(long address, long stride, Finish finish) {
            this(address, stride, finish, 1);
        }

        /// The rows from one on.
        public Output from(int row) {
            return new Output(address + row * stride * finish.bytes(), stride, finish, scale);
        }
    }

    /// Columns of a product.
    public record Part(Weights weights, Output output) {

        /// The same columns of the rows from one on.
        public Part from(int row) {
            return new Part(weights, output.from(row));
        }
    }

    private static final String FAMILY = "linear";
    private static final int MOST_PARTS = 3;
    private static final int ALIGNMENT = 16;
    /// Every block normalises all rows: with more, reading them takes longer than a launch of its own would.
    private static final int MOST_NORMED_TOKENS = 4;

    private final Kernels kernels;
    private final long workspace;
    private final long workspaceBytes;
    private final Map<Numbers, Kernel[]> byNumbers = new EnumMap<>(Numbers.class);

    /// @param stream which clears the workspace's counters
    /// @param workspace device memory for sums of products that are shared out over several blocks, at a multiple of 256;
    ///     its contents between launches belong to this object. 0 for none
    /// @param workspaceBytes what it has; products that need more are not shared out, which changes no bit
    public Linear(Kernels kernels, Stream stream, long workspace, long workspaceBytes) {
        if (workspace % 256 != 0 || workspaceBytes < 0 || (workspace == 0) != (workspaceBytes == 0)) {
            throw new IllegalArgumentException("a workspace of " + workspaceBytes + " bytes at 0x" + Long.toHexString(workspace)
                    + "; it begins at a multiple of 256");
        }
        this.kernels = kernels;
        this.workspace = workspace;
        this.workspaceBytes = workspaceBytes;
        for (Numbers numbers : Numbers.values()) {
            byNumbers.put(numbers, new Kernel[] {
                    kernels.get(FAMILY, "linear_skinny_8_" + numbers.suffix()),
                    kernels.get(FAMILY, "linear_skinny_16_" + numbers.suffix()),
                    kernels.get(FAMILY, "linear_tiled_32_" + numbers.suffix()),
                    kernels.get(FAMILY, "linear_tiled_64_" + numbers.suffix()),
                    kernels.get(FAMILY, "linear_tiled_128_" + numbers.suffix()),
                    kernels.get(FAMILY, "linear_plain_" + numbers.suffix())});
        }
        if (workspaceBytes >= LinearPlan.COUNTERS * Integer.BYTES) {
            stream.fillWords(workspace, 0, LinearPlan.COUNTERS);
        }
    }

    /// What a product of this size would use of a workspace without bounds.
    public static long workspaceBytes(Kernels kernels, Numbers numbers, int tokens, int outputs, int inputs) {
        LinearPlan.Size size = new LinearPlan.Size(numbers, tokens, outputs, inputs, 1);
        return switch (LinearPlan.of(size, kernels.device().info(), Long.MAX_VALUE)) {
            case LinearPlan.Tiled tiled -> LinearPlan.workspaceBytes(size, tiled);
            case LinearPlan.Skinny _, LinearPlan.Plain _ -> 0;
        };
    }

    /// Computes a product of one part.
    public void multiply(Stream stream, Source source, Weights weights, Output output) {
        multiply(stream, source, List.of(new Part(weights, output)));
    }

    /// Computes a product; its columns are those of the parts one after the other.
    public void multiply(Stream stream, Source source, List<Part> parts) {
        LinearPlan.Size size = size(source, parts);
        LinearPlan plan = LinearPlan.of(size, kernels.device().info(), workspaceBytes);
        launch(stream, source, parts, size, plan);
    }

    /// Whether a product can normalise the rows it multiplies itself, see [#multiplyNormed].
    public boolean normalises(Source source, RmsNorm.Rows rows, RmsNorm.Weight weight, List<Part> parts) {
        LinearPlan.Size size = size(source, parts);
        return size.tokens() <= MOST_NORMED_TOKENS && rows.added() == 0 && weight.type() == RmsNorm.WeightType.F32
                && RmsNorm.isByBlock(size.inputs())
                && LinearPlan.of(size, kernels.device().info(), workspaceBytes) instanceof LinearPlan.Skinny;
    }

    /// Computes a product of normalised rows in one launch: the same bits as [RmsNorm] and then [#multiply].
    ///
    /// @param source in which form the rows are multiplied; what its addresses hold is neither read nor written
    /// @param rows   of the residual stream, as many as `source` has tokens
    /// @throws IllegalArgumentException unless [#normalises]
    public void multiplyNormed(Stream stream, Source source, RmsNorm.Rows rows, RmsNorm.Weight weight, List<Part> parts) {
        LinearPlan.Size size = size(source, parts);
        if (!normalises(source, rows, weight, parts) || rows.rows() != source.tokens() || rows.width() != size.inputs()) {
            throw new IllegalArgumentException("a product of %d tokens of width %d that normalises %d rows of width %d with a weight in %s; it takes up to %d rows and a weight in F32"
                    .formatted(source.tokens(), size.inputs(), rows.rows(), rows.width(), weight.type(), MOST_NORMED_TOKENS));
        }
        if ((rows.residual() | weight.address()) % ALIGNMENT != 0) {
            throw new IllegalArgumentException("rows at 0x%x and the weight of their norm at 0x%x; the kernels load 16 bytes at a time"
                    .formatted(rows.residual(), weight.address()));
        }
        launch(stream, source.at(rows.index()), Norm.of(rows, weight), parts, size,
                LinearPlan.of(size, kernels.device().info(), workspaceBytes));
    }

    /// What a product does to rows before it multiplies them.
    private record Norm(long residual, long weight, int threads, float inverseWidth, float epsilon) {

        static final Norm NONE = new Norm(0, 0, 0, 0, 0);

        static Norm of(RmsNorm.Rows rows, RmsNorm.Weight weight) {
            return new Norm(rows.residual(), weight.address(), RmsNorm.blockThreads(rows.width()), 1f / rows.width(), weight.epsilon());
        }
    }

    static LinearPlan.Size size(Source source, List<Part> parts) {
        check(source, parts);
        Weights first = parts.getFirst().weights();
        int outputs = 0;
        for (Part part : parts) {
            outputs = Math.addExact(outputs, part.weights().outputs());
        }
        return new LinearPlan.Size(first.numbers(), source.tokens(), outputs, first.inputs(), source.low() == 0 ? 1 : 2);
    }

    private static void check(Source source, List<Part> parts) {
        if (parts.isEmpty() || parts.size() > MOST_PARTS) {
            throw new IllegalArgumentException("a product of " + parts.size() + " parts; it has 1 to " + MOST_PARTS);
        }
        Weights first = parts.getFirst().weights();
        float outScale = outScale(parts);
        for (Part part : parts) {
            Weights weights = part.weights();
            if (weights.numbers() != first.numbers() || weights.inputs() != first.inputs()) {
                throw new IllegalArgumentException("parts of one product differ: %s of width %d and %s of width %d".formatted(
                        first.numbers(), first.inputs(), weights.numbers(), weights.inputs()));
            }
            if (part.output().finish() == Finish.SQUARED_RELU_E4M3 && part.output().scale() != outScale) {
                throw new IllegalArgumentException("parts of one product have the output scales " + outScale + " and "
                        + part.output().scale() + "; it has one");
            }
            boolean fast = weights.inputs() % weights.numbers().vector() == 0;
            if (fast && (weights.address() % ALIGNMENT != 0 || weights.blockScales() % 2 != 0)) {
                throw new IllegalArgumentException("weights at 0x%x with block scales at 0x%x; the kernels load 16 bytes and 2"
                        .formatted(weights.address(), weights.blockScales()));
            }
            if (fast && (source.address() | source.low()) % ALIGNMENT != 0) {
                throw new IllegalArgumentException("activations at 0x%x and 0x%x; the kernels load 16 bytes at a time"
                        .formatted(source.address(), source.low()));
            }
        }
        if (source.low() != 0 && first.numbers().sourceBits() != 16) {
            throw new IllegalArgumentException("activations in " + first.numbers() + " have no low part; bf16 ones may");
        }
    }

    static float outScale(List<Part> parts) {
        for (Part part : parts) {
            if (part.output().finish() == Finish.SQUARED_RELU_E4M3) {
                return part.output().scale();
            }
        }
        return 1;
    }

    /// Launches by a given plan, which fits the size, the device and the workspace.
    void launch(Stream stream, Source source, List<Part> parts, LinearPlan.Size size, LinearPlan plan) {
        launch(stream, source, Norm.NONE, parts, size, plan);
    }

    private void launch(Stream stream, Source source, Norm norm, List<Part> parts, LinearPlan.Size size, LinearPlan plan) {
        Part first = parts.getFirst();
        Part second = parts.size() > 1 ? parts.get(1) : first;
        Part third = parts.size() > 2 ? parts.get(2) : second;
        int end0 = first.weights().outputs();
        int end1 = parts.size() > 1 ? end0 + second.weights().outputs() : end0;
        kernel(size.numbers(), plan).arguments()
                .pointer(first.output().address()).pointer(second.output().address()).pointer(third.output().address())
                .pointer(source.address()).pointer(source.low()).pointer(source.rows())
                .pointer(first.weights().address()).pointer(second.weights().address()).pointer(third.weights().address())
                .pointer(first.weights().blockScales()).pointer(second.weights().blockScales())
                .pointer(third.weights().blockScales())
                .pointer(workspace == 0 ? 0 : workspace + LinearPlan.COUNTERS * Integer.BYTES).pointer(workspace)
                .int64(first.output().stride()).int64(second.output().stride()).int64(third.output().stride())
                .int32(size.tokens()).int32(end0).int32(end1).int32(size.outputs()).int32(size.inputs())
                .int32(LinearPlan.segment(size.numbers(), size.outputs(), size.inputs()))
                .int32(first.output().finish().ordinal()).int32(second.output().finish().ordinal())
                .int32(third.output().finish().ordinal())
                .float32(first.weights().scale() * source.scale()).float32(second.weights().scale() * source.scale())
                .float32(third.weights().scale() * source.scale())
                .float32(1 / outScale(parts))
                .pointer(norm.residual()).pointer(norm.weight()).int32(norm.threads()).float32(norm.inverseWidth())
                .float32(norm.epsilon()).float32(1 / source.scale())
                .launchOverlapping(stream, LinearPlan.shape(size, plan));
    }

    private Kernel kernel(Numbers numbers, LinearPlan plan) {
        return byNumbers.get(numbers)[switch (plan) {
            case LinearPlan.Skinny skinny -> skinny.tokens() == 8 ? 0 : 1;
            case LinearPlan.Tiled tiled -> tiled.tokens() == 32 ? 2 : tiled.tokens() == 64 ? 3 : 4;
            case LinearPlan.Plain _ -> 5;
        }];
    }
}
