package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;

/// Launches `finite_rows.cu`: finds the sequences of a pass that have NaN or infinity in one of their rows.
///
/// Asynchronous: buffers stay alive until the stream has passed.
public final class FiniteRows {

    private static final String FAMILY = "finite_rows";
    private static final int WARPS = 8;
    private static final int THREADS = 32 * WARPS;
    private static final int VECTOR = 4;
    private static final int VECTOR_BYTES = VECTOR * Float.BYTES;

    private final Kernel any;
    private final Kernel byFour;

    public FiniteRows(Kernels kernels) {
        any = kernels.get(FAMILY, "finite_rows_f32");
        byFour = kernels.get(FAMILY, "finite_rows_by_four_f32");
    }

    /// @param spoiled   int32 `[sequences]`, zeros before; becomes 1 where a row is not finite
    /// @param rows      fp32 `[count, width]`
    /// @param start     int32 `[sequences + 1]`, first row of each sequence; the last one is `count`
    public void find(Stream stream, long spoiled, long rows, long start, int count, int width, int sequences) {
        if (count < 1 || width < 1 || sequences < 1 || sequences > count) {
            throw new IllegalArgumentException("looking through " + count + " rows of width " + width + " of " + sequences
                    + " sequences; each has a row at least");
        }
        boolean four = width % VECTOR == 0;
        if (spoiled == 0 || rows == 0 || start == 0 || four && rows % VECTOR_BYTES != 0) {
            throw new IllegalArgumentException("looking through rows at 0x%x that begin as said at 0x%x, for 0x%x; rows are at a multiple of %d"
                    .formatted(rows, start, spoiled, VECTOR_BYTES));
        }
        (four ? byFour : any).arguments().pointer(spoiled).pointer(rows).pointer(start).int32(count).int32(width).int32(sequences)
                .launchOverlapping(stream, LaunchShape.of(Math.ceilDiv(count, WARPS), THREADS));
    }
}
