package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.Kernels;

/// What the layers of one backend share.
///
/// @param products       of decode steps and of the head
/// @param promptProducts of passes over prompts
/// @param slots          address of slot 0
/// @param frameBytes     from frame to frame, which is from slot to slot
/// @param blocks         address of block 0, which is the first frame
/// @param residual       fp32 `[rows, hidden]`, the residual stream
/// @param hidden         its width
record CudaRuntime(Kernels kernels, Stream stream, Products products, Products promptProducts, Workspace workspace,
        CudaOptions options, CacheLayout layout, long slots, long frameBytes, long blocks, long residual, int hidden, float epsilon) {

    /// The products of a pass. Which kernels they run on follows from its kind.
    Products products(Pass pass) {
        return switch (pass) {
            case Pass.Decode _ -> products;
            case Pass.Prompt _ -> promptProducts;
            case Pass.Mixed mixed -> keepsRowsApart() ? promptProducts.behind(mixed.decode().rows()) : promptProducts;
        };
    }

    /// Whether generated tokens keep to the kernels that they run on alone, also where prompts beside them run on others. It
    /// costs reading weights twice, so it is done only where bits must not depend on what else is in a batch.
    boolean keepsRowsApart() {
        return options.batchInvariant();
    }

    /// Scratch memory for `[rows, width]` numbers of so many bytes each.
    long scratch(int width, int bytes) {
        return workspace.scratch((long) options.rows() * width * bytes);
    }
}
