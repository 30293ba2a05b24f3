package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.Kernels;

/// What the layers of one backend share.
///
/// @param residual fp32 `[rows, hidden]`, the residual stream
/// @param slots    address of the first state slot; 0 without Mamba layers
/// @param blocks   address of the first KV block; 0 without attention layers
/// @param hidden   its width
record CudaRuntime(Kernels kernels, Stream stream, Products products, Workspace workspace, CudaOptions options,
        CacheLayout layout, long residual, long slots, long blocks, int hidden, float epsilon) {

    /// Scratch memory for `[rows, width]` numbers of so many bytes each.
    long scratch(int width, int bytes) {
        return workspace.scratch((long) options.rows() * width * bytes);
    }
}
