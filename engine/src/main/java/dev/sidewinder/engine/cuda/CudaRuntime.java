package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.Kernels;

/// What the layers of one backend share.
///
/// @param products       of decode steps and of the head
/// @param promptProducts of passes over prompts
/// @param residual fp32 `[rows, hidden]`, the residual stream
/// @param slots    address of the first state slot; 0 without Mamba layers
/// @param blocks   address of the first KV block; 0 without attention layers
/// @param hidden   its width
record CudaRuntime(Kernels kernels, Stream stream, Products products, Products promptProducts, Workspace workspace,
        CudaOptions options, CacheLayout layout, long residual, long slots, long blocks, int hidden, float epsilon) {

    /// The products of a pass. Which kernels they run on follows from its kind.
    Products products(Pass pass) {
        return switch (pass) {
            case Pass.Decode _ -> products;
            case Pass.Prompt _ -> promptProducts;
        };
    }

    /// Scratch memory for `[rows, width]` numbers of so many bytes each.
    long scratch(int width, int bytes) {
        return workspace.scratch((long) options.rows() * width * bytes);
    }
}
