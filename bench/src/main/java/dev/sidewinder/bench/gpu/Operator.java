package dev.sidewinder.bench.gpu;

import dev.sidewinder.bench.gpu.Ceilings.Arithmetic;
import dev.sidewinder.cuda.kernel.Kernels;
import java.util.function.IntConsumer;

/// A kernel at one size, to be timed.
///
/// @param family     name of the `.cu` file
/// @param name       with the number format
/// @param shape      for people; its last word is what varies from row to row
/// @param work       what it has to do at least
/// @param turnBytes  of one set of data: what must not be found in the cache
/// @param preparation
record Operator(String family, String name, String shape, Work work, long turnBytes, Preparation preparation) {

    /// Bytes to move (each input read once, each output written once) and operations to do.
    record Work(double bytes, double flops, Arithmetic arithmetic) {

        static Work moving(double bytes) {
            return new Work(bytes, 0, Arithmetic.BF16);
        }
    }

    /// Puts the operands of a number of launches into device memory.
    @FunctionalInterface
    interface Preparation {

        /// @param turns sets of data
        /// @return launches the work on one of them
        IntConsumer prepare(Kernels kernels, BenchMemory memory, int turns);
    }
}
