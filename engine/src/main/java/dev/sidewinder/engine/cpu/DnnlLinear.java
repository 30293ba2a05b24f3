package dev.sidewinder.engine.cpu;

import java.lang.foreign.MemorySegment;

/// A matrix packed tile by tile into the layout that oneDNN chose, multiplied by oneDNN in bf16.
final class DnnlLinear implements Linear {

    private final DnnlKernels kernels;
    private final int outputs;
    private final int inputs;
    private final DnnlProduct wholeTile;
    private final DnnlProduct lastTile;
    private final MemorySegment packed;

    DnnlLinear(DnnlKernels kernels, NativeMemory memory, int outputs, int inputs) {
        this.kernels = kernels;
        this.outputs = outputs;
        this.inputs = inputs;
        wholeTile = kernels.product(inputs, Math.min(outputs, TILE_COLUMNS));
        lastTile = kernels.product(inputs, tileColumns(tiles() - 1));
        packed = memory.allocate((tiles() - 1) * tileBytes() + lastTile.packedBytes());
    }

    private long tileBytes() {
        return (wholeTile.packedBytes() + 63) / 64 * 64;
    }

    private DnnlProduct product(int tile) {
        return tile == tiles() - 1 ? lastTile : wholeTile;
    }

    /// Packs one tile.
    ///
    /// @param rows the tile's weights, bf16 `[columns of the tile, inputs]`
    void pack(int tile, MemorySegment rows, int worker) {
        kernels.worker(worker).run(product(tile).packing(), rows.address(), 0, packed.address() + tile * tileBytes());
    }

    @Override
    public int outputs() {
        return outputs;
    }

    @Override
    public int inputs() {
        return inputs;
    }

    @Override
    public void multiply(int tile, SourceRows source, int firstRow, int rows, MemorySegment result, int worker) {
        DnnlProduct product = product(tile);
        long weights = packed.address() + tile * tileBytes();
        long from = source.data().address() + source.at(firstRow);
        kernels.multiply(product, from, rows * source.partsPerRow(), weights, result, worker);
        if (source.partsPerRow() == 2) {
            kernels.addPairs(result, rows, product.outputs());
        }
    }
}
