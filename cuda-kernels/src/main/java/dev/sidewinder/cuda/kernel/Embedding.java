package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;

/// Launches `embedding.cu`: rows of the embedding table to rows of the residual stream.
///
/// Four values at a time when the width is a multiple of 4, else one; a copy either way, bit for bit. Asynchronous: buffers
/// stay alive until the stream has passed.
public final class Embedding {

    private static final String FAMILY = "embedding";
    private static final int VECTOR = 4;
    private static final int VECTOR_BYTES = 16;
    private static final int THREADS = 128;
    /// What one block copies of a row.
    private static final int COLUMNS = 4096;

    public enum TableType { BF16, F32 }

    /// @param address of `[vocabulary, width]`
    public record Table(long address, TableType type, int vocabulary, int width) {

        public Table {
            if (address == 0 || vocabulary < 1 || width < 1) {
                throw new IllegalArgumentException("an embedding table of %d rows of width %d at 0x%x"
                        .formatted(vocabulary, width, address));
            }
        }
    }

    private final Kernel bf16;
    private final Kernel f32;
    private final Kernel bf16ByFour;
    private final Kernel f32ByFour;

    public Embedding(Kernels kernels) {
        bf16 = kernels.get(FAMILY, "embedding_bf16");
        f32 = kernels.get(FAMILY, "embedding_f32");
        bf16ByFour = kernels.get(FAMILY, "embedding_by_four_bf16");
        f32ByFour = kernels.get(FAMILY, "embedding_by_four_f32");
    }

    /// @param residual fp32 `[rows, width]`, written
    /// @param tokens int32 `[rows]` on the device: ids below `vocabulary`, which whoever wrote them has checked, or -1 for a
    ///     padded row, which becomes zeros. Any other id gives a row of NaN
    public void lookUp(Stream stream, long residual, long tokens, int rows, Table table) {
        if (rows < 1 || residual == 0 || tokens == 0) {
            throw new IllegalArgumentException("embedding of %d rows from tokens at 0x%x to 0x%x"
                    .formatted(rows, tokens, residual));
        }
        boolean byFour = table.width() % VECTOR == 0;
        if (byFour && (residual | table.address()) % VECTOR_BYTES != 0) {
            throw new IllegalArgumentException(
                    "embedding of width %d copies 16 bytes at a time; residual 0x%x and table 0x%x must be multiples of that"
                            .formatted(table.width(), residual, table.address()));
        }
        Kernel kernel = switch (table.type()) {
            case BF16 -> byFour ? bf16ByFour : bf16;
            case F32 -> byFour ? f32ByFour : f32;
        };
        // In order, at the head of a step: the kernels behind it may read the step's tables before they wait for their
        // predecessor, so whatever writes those has to have ended when this one begins.
        kernel.arguments()
                .pointer(residual)
                .pointer(tokens)
                .pointer(table.address())
                .int32(table.width())
                .int32(table.vocabulary())
                .launch(stream, new LaunchShape(rows, (table.width() - 1) / COLUMNS + 1, 1, THREADS, 0));
    }
}
