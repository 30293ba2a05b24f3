package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;

/// Launches `rms_norm.cu`: adds to rows of the residual stream where asked, and normalises them.
///
/// A row is normalised by a block of 64 to 256 threads when its width is a multiple of 4 above 256, and by a warp
/// otherwise; the choice, and with it the order of sums, depends on the width alone. Asynchronous: buffers stay alive until
/// the stream has passed.
public final class RmsNorm {

    private static final String FAMILY = "rms_norm";
    /// Below this a warp has a row as quickly as a block, which would mostly wait at its barrier.
    private static final int WIDEST_BY_WARP = 256;
    private static final int VECTOR = 4;
    private static final int VECTOR_BYTES = 16;
    private static final int WARP_ROWS = 4;
    private static final int WARP_THREADS = 128;
    /// As few threads as hold a row in registers, 16 values each: a narrow row needs no more.
    private static final int VALUES_PER_THREAD = 16;
    private static final int FEWEST_THREADS = 64;
    private static final int MOST_THREADS = 256;

    /// Which rows to normalise.
    ///
    /// @param residual fp32 `[.., width]`; written when something is added
    /// @param added fp32 `[.., width]`, added to the residual first; 0 for nothing
    /// @param index int32 `[rows]`, the row of the residual behind each row of the result, -1 for a padded row that is
    ///     neither read nor written; 0 for all rows in their order
    public record Rows(long residual, long added, long index, int rows, int width) {

        public Rows {
            if (rows < 1 || width < 1) {
                throw new IllegalArgumentException("RMSNorm of " + rows + " rows of width " + width + "; each is at least 1");
            }
            if (residual == 0) {
                throw new IllegalArgumentException("RMSNorm without a residual");
            }
        }

        public static Rows all(long residual, int rows, int width) {
            return new Rows(residual, 0, 0, rows, width);
        }

        public Rows adding(long what) {
            return new Rows(residual, what, index, rows, width);
        }

        public Rows at(long rowIndex) {
            return new Rows(residual, added, rowIndex, rows, width);
        }
    }

    /// A norm's weight `[width]` and epsilon.
    public record Weight(long address, WeightType type, float epsilon) {

        public Weight {
            if (address == 0) {
                throw new IllegalArgumentException("RMSNorm without a weight");
            }
        }
    }

    public enum WeightType { BF16, F32 }

    private record Pair(Kernel bf16, Kernel f32) {

        static Pair of(Kernels kernels, String name) {
            return new Pair(kernels.get(FAMILY, name + "_weight_bf16"), kernels.get(FAMILY, name + "_weight_f32"));
        }

        Arguments arguments(WeightType type) {
            return switch (type) {
                case BF16 -> bf16.arguments();
                case F32 -> f32.arguments();
            };
        }
    }

    private final Pair blockToBf16;
    private final Pair blockToE4m3;
    private final Pair blockToF32;
    private final Pair warpToBf16;
    private final Pair warpToE4m3;
    private final Pair warpToF32;

    public RmsNorm(Kernels kernels) {
        blockToBf16 = Pair.of(kernels, "rms_norm_by_block_bf16");
        blockToE4m3 = Pair.of(kernels, "rms_norm_by_block_e4m3");
        blockToF32 = Pair.of(kernels, "rms_norm_by_block_f32");
        warpToBf16 = Pair.of(kernels, "rms_norm_by_warp_bf16");
        warpToE4m3 = Pair.of(kernels, "rms_norm_by_warp_e4m3");
        warpToF32 = Pair.of(kernels, "rms_norm_by_warp_f32");
    }

    /// @param out bf16 `[rows, width]`
    /// @param low bf16 `[rows, width]`, what rounding `out` lost, rounded itself; 0 for none
    public void toBf16(Stream stream, long out, long low, Rows rows, Weight weight) {
        boolean byBlock = isByBlock(rows.width());
        checkAligned(byBlock, rows, weight, out, low);
        Arguments arguments = (byBlock ? blockToBf16 : warpToBf16).arguments(weight.type()).pointer(out).pointer(low);
        launch(stream, arguments, byBlock, rows, weight);
    }

    /// @param out e4m3 `[rows, width]`, the values divided by `inputScale`
    public void toE4m3(Stream stream, long out, float inputScale, Rows rows, Weight weight) {
        float inverse = 1 / inputScale;
        if (!(inputScale > 0) || Float.isInfinite(inverse)) {
            throw new IllegalArgumentException("RMSNorm to e4m3 with the input scale " + inputScale
                    + "; it needs one above 0 whose inverse is finite");
        }
        boolean byBlock = isByBlock(rows.width());
        checkAligned(byBlock, rows, weight, out, 0);
        Arguments arguments = (byBlock ? blockToE4m3 : warpToE4m3).arguments(weight.type()).pointer(out);
        common(arguments, byBlock, rows, weight).float32(inverse).launchOverlapping(stream, shape(byBlock, rows));
    }

    /// @param out fp32 `[rows, width]`; not the residual itself
    public void toF32(Stream stream, long out, Rows rows, Weight weight) {
        boolean byBlock = isByBlock(rows.width());
        checkAligned(byBlock, rows, weight, out, 0);
        Arguments arguments = (byBlock ? blockToF32 : warpToF32).arguments(weight.type()).pointer(out);
        launch(stream, arguments, byBlock, rows, weight);
    }

    private static void launch(Stream stream, Arguments arguments, boolean byBlock, Rows rows, Weight weight) {
        common(arguments, byBlock, rows, weight).launchOverlapping(stream, shape(byBlock, rows));
    }

    private static Arguments common(Arguments arguments, boolean byBlock, Rows rows, Weight weight) {
        arguments.pointer(rows.residual()).pointer(rows.added()).pointer(rows.index()).pointer(weight.address());
        if (!byBlock) {
            arguments.int32(rows.rows());
        }
        return arguments.int32(rows.width()).float32(1f / rows.width()).float32(weight.epsilon());
    }

    /// Whether a block normalises a row of this width, and not a warp.
    static boolean isByBlock(int width) {
        return width > WIDEST_BY_WARP && width % VECTOR == 0;
    }

    private static LaunchShape shape(boolean byBlock, Rows rows) {
        if (!byBlock) {
            return LaunchShape.of((rows.rows() - 1) / WARP_ROWS + 1, WARP_THREADS);
        }
        return LaunchShape.of(rows.rows(), blockThreads(rows.width()));
    }

    /// Threads that normalise a row of this width.
    static int blockThreads(int width) {
        int threads = FEWEST_THREADS;
        while (threads < MOST_THREADS && threads * VALUES_PER_THREAD < width) {
            threads *= 2;
        }
        return threads;
    }

    private static void checkAligned(boolean byBlock, Rows rows, Weight weight, long out, long low) {
        if (out == 0) {
            throw new IllegalArgumentException("RMSNorm without a result");
        }
        if (byBlock && (rows.residual() | rows.added() | weight.address() | out | low) % VECTOR_BYTES != 0) {
            throw new IllegalArgumentException(
                    "RMSNorm of width %d reads 16 bytes at a time; residual 0x%x, added 0x%x, weight 0x%x, result 0x%x and its low part 0x%x must be multiples of that"
                            .formatted(rows.width(), rows.residual(), rows.added(), weight.address(), out, low));
        }
    }
}
