package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.DeviceFunction.Start;
import dev.sidewinder.cuda.device.DeviceFunction;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.device.TensorView;
import java.util.List;

/// The arguments of one launch, in the kernel's order. Count and sizes are held against the kernel's parameters, where the
/// driver tells them (from CUDA 12.4 on): a size at the call that sets it, the count at the launch.
public final class Arguments {

    private static final int UNKNOWN = -1;
    private static final int TENSOR_MAP_BYTES = 128;

    private final Kernel kernel;
    private final DeviceFunction function;
    private final int[] parameterBytes;
    private final int parameters;
    private int count;

    Arguments(Kernel kernel, DeviceFunction function) {
        this.kernel = kernel;
        this.function = function;
        List<Integer> sizes = function.parameterBytes().orElse(List.of());
        this.parameterBytes = sizes.stream().mapToInt(Integer::intValue).toArray();
        this.parameters = function.parameterBytes().isPresent() ? sizes.size() : UNKNOWN;
    }

    Arguments reset() {
        count = 0;
        return this;
    }

    /// A device address. 0 stands for none, where the kernel allows it.
    public Arguments pointer(long address) {
        function.argument(next(Long.BYTES, "pointer"), address);
        return this;
    }

    public Arguments int32(int value) {
        function.argument(next(Integer.BYTES, "int32"), value);
        return this;
    }

    public Arguments int64(long value) {
        function.argument(next(Long.BYTES, "int64"), value);
        return this;
    }

    public Arguments float32(float value) {
        function.argument(next(Float.BYTES, "float32"), value);
        return this;
    }

    /// A tensor map of matrices on the device, for a parameter `const __grid_constant__ TensorMap`.
    public Arguments tensor(TensorView view) {
        function.argument(next(TENSOR_MAP_BYTES, "a tensor map"), view);
        return this;
    }

    private int next(int bytes, String type) {
        if (parameters != UNKNOWN) {
            if (count == parameters) {
                throw new IllegalArgumentException(kernel + " takes " + parameters + " arguments; one more was given, " + type);
            }
            if (parameterBytes[count] != bytes) {
                throw new IllegalArgumentException(kernel + ": argument " + count + " is " + type + ", " + bytes
                        + " bytes; the kernel's parameter has " + parameterBytes[count]);
            }
        }
        return count++;
    }

    /// Launches the kernel behind everything before it in the stream.
    public void launch(Stream stream, LaunchShape shape) {
        launch(stream, shape, Start.IN_ORDER);
    }

    /// Launches the kernel; it may start while its predecessor still runs (programmatic dependent launch). Only for kernels
    /// that call `grid_dependency_wait()` before they touch what a predecessor wrote, or write what it reads.
    public void launchOverlapping(Stream stream, LaunchShape shape) {
        launch(stream, shape, Start.OVERLAPPING);
    }

    private void launch(Stream stream, LaunchShape shape, Start start) {
        if (parameters != UNKNOWN && count != parameters) {
            throw new IllegalArgumentException(kernel + " takes " + parameters + " arguments; " + count + " were given");
        }
        kernel.launch(stream, shape, start);
    }
}
