package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.DeviceFunction;
import dev.sidewinder.cuda.device.Stream;

/// A kernel to launch: `kernel.arguments().pointer(y).pointer(x).int32(width).launch(stream, shape)`.
///
/// Its arguments live in memory of its own, laid out once: a launch makes no objects. One launch is put together at a time.
public final class Kernel {

    private final DeviceFunction function;
    private final int sharedBytesPerBlock;
    private final Arguments arguments;

    Kernel(DeviceFunction function, int sharedBytesPerBlock) {
        this.function = function;
        this.sharedBytesPerBlock = sharedBytesPerBlock;
        this.arguments = new Arguments(this, function);
    }

    /// The kernel's arguments, none set.
    public Arguments arguments() {
        return arguments.reset();
    }

    /// How many blocks of this size one multiprocessor holds at a time.
    public int blocksPerMultiprocessor(int threads, int sharedBytes) {
        return function.blocksPerMultiprocessor(threads, sharedBytes);
    }

    /// What the driver says of the compiled kernel.
    public DeviceFunction function() {
        return function;
    }

    void launch(Stream stream, LaunchShape shape, DeviceFunction.Start start) {
        if (shape.blockX() > function.threadsPerBlock()) {
            throw new IllegalArgumentException("kernel %s: a block of %d threads; it was compiled for up to %d"
                    .formatted(function.name(), shape.blockX(), function.threadsPerBlock()));
        }
        if (shape.sharedBytes() > sharedBytesPerBlock - function.staticSharedBytes()) {
            throw new IllegalArgumentException("kernel %s: %d bytes of dynamic shared memory beside %d static ones; this device has %d"
                    .formatted(function.name(), shape.sharedBytes(), function.staticSharedBytes(), sharedBytesPerBlock));
        }
        function.launch(stream, shape.gridX(), shape.gridY(), shape.gridZ(), shape.blockX(), shape.sharedBytes(), start);
    }

    @Override
    public String toString() {
        return function.toString();
    }
}
