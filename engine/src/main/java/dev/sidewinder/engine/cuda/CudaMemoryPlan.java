package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.CudaUnavailableException;
import dev.sidewinder.engine.MemoryPlan;

/// How the memory of a device is cut up at start: weights, workspace, and the rest for frames of states and KV blocks.
///
/// @param weightBytes    of all weights
/// @param workspaceBytes what lies between kernels, step tables and logits
/// @param caches         frames of states and KV blocks, and the host area
/// @param freeBytes      what the device had before anything was allocated
public record CudaMemoryPlan(long weightBytes, long workspaceBytes, MemoryPlan caches, long freeBytes) {

    /// Left to the driver, which takes memory for captured graphs and kernels' stacks: of a device of 80 GB half a GiB, of
    /// smaller ones a sixteenth.
    private static final long DRIVER_BYTES = 512L << 20;
    private static final int DRIVER_SHARE = 16;

    /// What is asked for.
    ///
    /// @param cacheBytes     for states and blocks; 0 = all that is free
    /// @param hostBytes      of the host, for suspended sequences
    /// @param sequences      that are to run at once; 0 = as many as fit, at most `mostSequences`
    /// @param maxModelTokens longest sequence wanted
    public record Wish(long cacheBytes, long hostBytes, int sequences, int mostSequences, int maxModelTokens) {}

    /// @throws CudaUnavailableException when it does not fit; the message has both numbers
    static CudaMemoryPlan of(long freeBytes, long weightBytes, long workspaceBytes, CacheLayout layout, Wish wish) {
        long driverBytes = driverBytes(freeBytes);
        long left = freeBytes - driverBytes - weightBytes - workspaceBytes;
        long cacheBytes = wish.cacheBytes() > 0 ? wish.cacheBytes() : left;
        String needs = mebibytes(weightBytes) + " for weights and " + mebibytes(workspaceBytes) + " of workspace";
        if (left <= 0 || cacheBytes > left) {
            throw new CudaUnavailableException("the device has " + mebibytes(freeBytes) + " free, of which the driver keeps "
                    + mebibytes(driverBytes) + "; the model needs " + needs
                    + (wish.cacheBytes() > 0 ? ", and " + mebibytes(cacheBytes) + " were asked for as cache" : ""));
        }
        try {
            return new CudaMemoryPlan(weightBytes, workspaceBytes, MemoryPlan.of(layout.slotBytes(), layout.blockBytes(),
                    new MemoryPlan.Wish(cacheBytes, wish.hostBytes(), wish.sequences(), wish.mostSequences(), wish.maxModelTokens())), freeBytes);
        } catch (IllegalArgumentException e) {
            throw new CudaUnavailableException("the device has " + mebibytes(freeBytes) + " free, beside " + needs + ", "
                    + e.getMessage(), e);
        }
    }

    /// What is left to the driver of a device with so many bytes free.
    static long driverBytes(long freeBytes) {
        return Math.min(DRIVER_BYTES, freeBytes / DRIVER_SHARE);
    }

    /// Everything that is allocated at start.
    public long bytes() {
        return weightBytes + workspaceBytes + caches.bytes();
    }

    /// One line for an operator.
    @Override
    public String toString() {
        return mebibytes(weightBytes) + " weights, " + mebibytes(workspaceBytes) + " workspace, " + mebibytes(caches.bytes())
                + " cache of " + mebibytes(freeBytes) + " free";
    }

    private static String mebibytes(long bytes) {
        return Math.ceilDiv(bytes, 1L << 20) + " MiB";
    }
}
