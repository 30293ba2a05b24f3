package dev.sidewinder.cuda.device;

/// Matrices in device memory as the copy engine reads them: boxes of rows of 128 bytes, zeros for what lies outside.
///
/// @param address     of the first row; a multiple of 16
/// @param rowBytes    bytes of a row that belong to the matrix
/// @param rows        of one matrix
/// @param matrices    how many lie one behind the other
/// @param rowStride   bytes from row to row; a multiple of 16
/// @param matrixStride bytes from matrix to matrix; a multiple of 16
/// @param boxRows     rows that one copy brings, at most 256
public record TensorView(long address, long rowBytes, long rows, long matrices, long rowStride, long matrixStride, int boxRows) {

    /// Bytes of a row that one copy brings.
    public static final int BOX_BYTES = 128;
    private static final int ALIGNMENT = 16;
    private static final int MOST_BOX_ROWS = 256;

    public TensorView {
        boolean counts = rowBytes >= 1 && rows >= 1 && matrices >= 1 && boxRows >= 1 && boxRows <= MOST_BOX_ROWS;
        boolean strides = rowStride >= rowBytes && matrixStride >= (rows - 1) * rowStride + rowBytes;
        if (address == 0 || (address | rowStride | matrixStride) % ALIGNMENT != 0 || !counts || !strides) {
            throw new IllegalArgumentException(("%d matrices of %d rows of %d bytes at 0x%x, %d and %d bytes apart, for boxes of %d "
                    + "rows; the copy engine takes addresses and strides at multiples of %d, and boxes of up to %d rows").formatted(
                    matrices, rows, rowBytes, address, matrixStride, rowStride, boxRows, ALIGNMENT, MOST_BOX_ROWS));
        }
    }

    /// One matrix without gaps between its rows.
    public static TensorView of(long address, long rows, long rowBytes, int boxRows) {
        return new TensorView(address, rowBytes, rows, 1, rowBytes, rows * rowBytes, boxRows);
    }
}
