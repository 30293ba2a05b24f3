package dev.sidewinder.engine.cpu;

import java.lang.foreign.MemorySegment;

/// A weight matrix made ready for products `y = x Wᵀ`, cut into tiles of output columns.
///
/// The tiles are fixed by the matrix alone, so how work is split never changes a result. A row of the result has the
/// same bits for any number of rows and whatever the other rows hold.
sealed interface Linear permits VectorLinear, DnnlLinear, Fp8Linear {

    /// Output columns of a tile; the last one may be narrower.
    int TILE_COLUMNS = 256;

    /// Rows of one product call at most.
    int ROW_BLOCK = 128;

    /// Floats that a result needs room for: a block of rows, twice for sources that come in two parts.
    int RESULT_FLOATS = 2 * ROW_BLOCK * TILE_COLUMNS;

    int outputs();

    int inputs();

    /// Computes `rows` rows of one tile.
    ///
    /// @param source    rows of width [#inputs()]
    /// @param rows      1 to [#ROW_BLOCK]
    /// @param result    receives fp32 `[rows, columns of the tile]`; has room for [#RESULT_FLOATS]
    /// @param worker    which thread of the pool this is
    void multiply(int tile, SourceRows source, int firstRow, int rows, MemorySegment result, int worker);

    default int tiles() {
        return Math.ceilDiv(outputs(), TILE_COLUMNS);
    }

    default int tileColumns(int tile) {
        return Math.min(TILE_COLUMNS, outputs() - tile * TILE_COLUMNS);
    }
}
