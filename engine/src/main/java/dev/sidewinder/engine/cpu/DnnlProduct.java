package dev.sidewinder.engine.cpu;

import java.lang.foreign.MemorySegment;

/// bf16 products with weights of one shape: primitives for a few numbers of rows, and for packing the weights.
///
/// Native code is generated when this is made. Using it takes a [DnnlWorker]; different workers may use it at once, after
/// [DnnlCheck] has decided how.
final class DnnlProduct {

    /// Numbers of rows there is code for. Few rows are padded up: they cost the same, the weights have to be read anyway.
    static final int[] ROWS = {1, 2, 4, 8, 16, 32, 48, 64, 96, 128};
    private static final int FIXED_INDEX = 4;
    static final int FIXED_ROWS = ROWS[FIXED_INDEX];
    private static final int ALWAYS_PADDED_UP_TO = 16;
    private static final double ACCEPTED_WASTE = 1.25;

    private final int inputs;
    private final int outputs;
    private final long packedBytes;
    private final Primitive packing;
    private final Primitive[] products = new Primitive[ROWS.length];
    private boolean fixed;

    /// A primitive with the memory descriptions of its arguments.
    ///
    /// @param weights description of the weights; NULL for a packing
    record Primitive(MemorySegment primitive, MemorySegment source, MemorySegment weights, MemorySegment target,
            MemorySegment scratchpad, long scratchpadBytes, String implementation) {}

    DnnlProduct(DnnlEngine engine, int inputs, int outputs) {
        this.inputs = inputs;
        this.outputs = outputs;
        int largest = ROWS.length - 1;
        products[largest] = engine.matmul(ROWS[largest], inputs, outputs, MemorySegment.NULL);
        MemorySegment packedDescription = products[largest].weights();
        packedBytes = engine.bytes(packedDescription);
        for (int i = 0; i < largest; i++) {
            products[i] = engine.matmul(ROWS[i], inputs, outputs, packedDescription);
        }
        packing = engine.packing(inputs, outputs, packedDescription);
    }

    int inputs() {
        return inputs;
    }

    int outputs() {
        return outputs;
    }

    /// Bytes of a packed weight matrix.
    long packedBytes() {
        return packedBytes;
    }

    /// What oneDNN calls the code it chose, for the largest number of rows.
    String implementation() {
        return products[ROWS.length - 1].implementation();
    }

    Primitive packing() {
        return packing;
    }

    Primitive product(int index) {
        return products[index];
    }

    /// From now on runs every row in a block of [#FIXED_ROWS] rows: for shapes whose bits depend on the number of rows.
    void fixRows() {
        fixed = true;
    }

    boolean hasFixedRows() {
        return fixed;
    }

    /// Which of [#ROWS] to run when `remaining` rows are left.
    int indexFor(int remaining) {
        return fixed ? FIXED_INDEX : cheapestIndexFor(remaining);
    }

    static int cheapestIndexFor(int remaining) {
        int index = 0;
        while (ROWS[index] < remaining) {
            index++;
        }
        boolean pad = remaining <= ALWAYS_PADDED_UP_TO || ROWS[index] <= remaining * ACCEPTED_WASTE;
        return pad ? index : index - 1;
    }
}
