package dev.sidewinder.engine.cpu;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicIntegerArray;

/// A matrix packed tile by tile into the layout that oneDNN chose, multiplied by oneDNN in bf16.
///
/// A tile is packed once: when it is asked for, or else by the first product that needs it. Packed memory costs nothing
/// until then.
final class DnnlLinear implements Linear {

    /// Where the weights of a tile come from.
    @FunctionalInterface
    interface TileSource {
        /// The tile's weights, bf16 `[columns of the tile, inputs]`; valid until the worker's next call.
        MemorySegment rows(int firstColumn, int columns, int worker);
    }

    private final DnnlKernels kernels;
    private final int outputs;
    private final int inputs;
    private final DnnlProduct wholeTile;
    private final DnnlProduct lastTile;
    private final MemorySegment packed;
    private final TileSource weights;
    /// 1 for a tile that is packed; written after its memory.
    private final AtomicIntegerArray ready;
    /// One for each tile: workers pack the tiles of a matrix side by side.
    private final Object[] locks;

    DnnlLinear(DnnlKernels kernels, NativeMemory memory, int outputs, int inputs, TileSource weights) {
        this.weights = weights;
        this.kernels = kernels;
        this.outputs = outputs;
        this.inputs = inputs;
        wholeTile = kernels.product(inputs, Math.min(outputs, TILE_COLUMNS));
        lastTile = kernels.product(inputs, tileColumns(tiles() - 1));
        packed = memory.allocate((tiles() - 1) * tileBytes() + lastTile.packedBytes());
        ready = new AtomicIntegerArray(tiles());
        locks = new Object[tiles()];
        Arrays.setAll(locks, tile -> new Object());
    }

    private long tileBytes() {
        return (wholeTile.packedBytes() + 63) / 64 * 64;
    }

    private DnnlProduct product(int tile) {
        return tile == tiles() - 1 ? lastTile : wholeTile;
    }

    /// Packs one tile unless that has been done. Workers that need the same tile wait for the one that packs it.
    void pack(int tile, int worker) {
        if (ready.getAcquire(tile) != 0) {
            return;
        }
        synchronized (locks[tile]) {
            if (ready.getPlain(tile) == 0) {
                MemorySegment rows = weights.rows(tile * TILE_COLUMNS, tileColumns(tile), worker);
                kernels.worker(worker).run(product(tile).packing(), rows.address(), 0, packed.address() + tile * tileBytes());
                ready.setRelease(tile, 1);
            }
        }
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
        pack(tile, worker);
        DnnlProduct product = product(tile);
        long tileWeights = packed.address() + tile * tileBytes();
        long from = source.data().address() + source.at(firstRow);
        kernels.multiply(product, from, rows * source.partsPerRow(), tileWeights, result, worker);
        if (source.partsPerRow() == 2) {
            kernels.addPairs(result, rows, product.outputs());
        }
    }
}
