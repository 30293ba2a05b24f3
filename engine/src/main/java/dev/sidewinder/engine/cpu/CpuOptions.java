package dev.sidewinder.engine.cpu;

/// How a [CpuBackend] computes.
///
/// @param arithmetic     number format of the large sums
/// @param threads        threads of `forward`, the caller's included
/// @param maxBatchTokens tokens in one batch at most: workspaces are planned for it
/// @param products       which kernel runs the large products
public record CpuOptions(Arithmetic arithmetic, int threads, int maxBatchTokens, Products products) {

    /// Which kernel runs the large products.
    public enum Products {
        /// oneDNN where it loads, the CPU has AMX for bf16 and the arithmetic is bf16; else our own
        BEST,
        /// our own Vector API kernel
        VECTOR,
        /// our own plain Java kernel; slow, for tests
        SCALAR
    }

    public CpuOptions {
        if (threads < 1 || maxBatchTokens < 1) {
            throw new IllegalArgumentException(
                    "a CPU backend needs threads and batch tokens, got " + threads + " and " + maxBatchTokens);
        }
    }

    /// The usual choice: every processor, best kernels.
    public static CpuOptions of(Arithmetic arithmetic, int maxBatchTokens) {
        return new CpuOptions(arithmetic, Runtime.getRuntime().availableProcessors(), maxBatchTokens, Products.BEST);
    }
}
