package dev.sidewinder.cuda.device;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static jcuda.driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES;
import static jcuda.driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
import static jcuda.driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK;
import static jcuda.driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_NUM_REGS;
import static jcuda.driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import jcuda.driver.JCudaDriver;

/// A kernel of a loaded module, with the memory that a launch of it needs: description and arguments are laid out once and
/// overwritten for each launch, so that launching makes no objects.
///
/// The driver copies the arguments during the launch; the memory may be reused at once.
public final class DeviceFunction {

    /// No kernel of ours comes near; a driver that does not tell parameters needs a bound.
    private static final int MOST_ARGUMENTS = 64;
    private static final int ARGUMENT_BYTES = 8;
    /// A `CUtensorMap`, the one parameter that is wider.
    private static final int TENSOR_MAP_BYTES = 128;

    // CUlaunchConfig: grid and block, shared memory, stream, attributes.
    private static final long GRID = 0;
    private static final long BLOCK = 12;
    private static final long SHARED = 24;
    private static final long STREAM = 32;
    private static final long ATTRIBUTES = 40;
    private static final long ATTRIBUTE_COUNT = 48;
    private static final long CONFIG_BYTES = 56;
    // CUlaunchAttribute: which one, and its value.
    private static final long ATTRIBUTE_VALUE = 8;
    private static final long ATTRIBUTE_BYTES = 72;
    private static final int PROGRAMMATIC_STREAM_SERIALIZATION = 6;

    /// What any kernel may have without asking.
    private static final int SHARED_WITHOUT_ASKING = 48 << 10;

    private final Device device;
    private final LoadedModule module;
    private final String name;
    private final Handles.FunctionHandle handle;
    private final Optional<List<Integer>> parameterBytes;
    private final int threadsPerBlock;
    private final int staticSharedBytes;
    private final int registers;
    private final int localBytes;
    private final MemorySegment config;
    private final MemorySegment pointers;
    private final MemorySegment arguments;
    private final TensorMaps tensorMaps;
    private int allowedDynamicBytes;

    DeviceFunction(Device device, LoadedModule module, String name, Handles.FunctionHandle handle, Arena arena) {
        this.device = device;
        this.module = module;
        this.name = name;
        this.handle = handle;
        this.parameterBytes = parameters();
        this.threadsPerBlock = attribute(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
        this.staticSharedBytes = attribute(CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
        this.registers = attribute(CU_FUNC_ATTRIBUTE_NUM_REGS);
        this.localBytes = attribute(CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES);
        this.allowedDynamicBytes = SHARED_WITHOUT_ASKING - staticSharedBytes;
        this.config = arena.allocate(CONFIG_BYTES, ARGUMENT_BYTES);
        this.pointers = arena.allocate(ADDRESS, MOST_ARGUMENTS);
        this.arguments = arena.allocate(ARGUMENT_BYTES * MOST_ARGUMENTS, ARGUMENT_BYTES);
        for (int i = 0; i < MOST_ARGUMENTS; i++) {
            pointers.setAtIndex(ADDRESS, i, arguments.asSlice((long) i * ARGUMENT_BYTES));
        }
        this.tensorMaps = new TensorMaps(device, arena);
        MemorySegment attribute = arena.allocate(ATTRIBUTE_BYTES, ARGUMENT_BYTES);
        attribute.set(JAVA_INT, 0, PROGRAMMATIC_STREAM_SERIALIZATION);
        attribute.set(JAVA_INT, ATTRIBUTE_VALUE, 1);
        config.set(ADDRESS, ATTRIBUTES, attribute);
    }

    private Optional<List<Integer>> parameters() {
        DriverCalls calls = device.calls();
        if (!calls.knowsParameters()) {
            return Optional.empty();
        }
        List<Integer> sizes = new ArrayList<>();
        OptionalInt size = calls.parameterBytes(handle.address(), 0);
        while (size.isPresent()) {
            boolean fits = size.getAsInt() <= ARGUMENT_BYTES || size.getAsInt() == TENSOR_MAP_BYTES;
            if (!fits || sizes.size() == MOST_ARGUMENTS) {
                throw new IllegalStateException("kernel " + name + ": parameter " + sizes.size() + " has "
                        + size.getAsInt() + " bytes; a kernel takes up to " + MOST_ARGUMENTS + " of up to " + ARGUMENT_BYTES
                        + " bytes, or tensor maps");
            }
            sizes.add(size.getAsInt());
            size = calls.parameterBytes(handle.address(), sizes.size());
        }
        return Optional.of(List.copyOf(sizes));
    }

    private int attribute(int which) {
        int[] value = new int[1];
        device.check("cuFuncGetAttribute of " + name, JCudaDriver.cuFuncGetAttribute(value, which, handle));
        return value[0];
    }

    public String name() {
        return name;
    }

    /// The size of each parameter in bytes; empty with a driver older than CUDA 12.4, which does not tell.
    public Optional<List<Integer>> parameterBytes() {
        return parameterBytes;
    }

    /// The largest block that this kernel was compiled for.
    public int threadsPerBlock() {
        return threadsPerBlock;
    }

    public int staticSharedBytes() {
        return staticSharedBytes;
    }

    public int registers() {
        return registers;
    }

    /// Local memory of a thread in bytes: spilled registers and arrays with run-time indices.
    public int localBytes() {
        return localBytes;
    }

    /// How many blocks of this size one multiprocessor holds at a time.
    public int blocksPerMultiprocessor(int threads, int dynamicSharedBytes) {
        module.enter();
        allowShared(dynamicSharedBytes);
        int[] blocks = new int[1];
        device.check("cuOccupancyMaxActiveBlocksPerMultiprocessor of " + name, JCudaDriver
                .cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, handle, threads, dynamicSharedBytes));
        return blocks[0];
    }

    public void argument(int index, int value) {
        arguments.set(JAVA_INT, offset(index), value);
    }

    public void argument(int index, long value) {
        arguments.set(JAVA_LONG, offset(index), value);
    }

    public void argument(int index, float value) {
        arguments.set(JAVA_FLOAT, offset(index), value);
    }

    /// A tensor map, made anew: 128 bytes.
    public void argument(int index, TensorView view) {
        pointers.setAtIndex(ADDRESS, index, tensorMaps.encode(index, view));
    }

    private static long offset(int index) {
        return (long) index * ARGUMENT_BYTES;
    }

    /// Launches with the arguments that were set. Sizes are within the device's limits, which the caller has checked.
    public void launch(Stream stream, int gridX, int gridY, int gridZ, int blockX, int sharedBytes, Start start) {
        module.enter();
        stream.enter();
        allowShared(sharedBytes);
        config.set(JAVA_INT, GRID, gridX);
        config.set(JAVA_INT, GRID + 4, gridY);
        config.set(JAVA_INT, GRID + 8, gridZ);
        config.set(JAVA_INT, BLOCK, blockX);
        config.set(JAVA_INT, BLOCK + 4, 1);
        config.set(JAVA_INT, BLOCK + 8, 1);
        config.set(JAVA_INT, SHARED, sharedBytes);
        config.set(JAVA_LONG, STREAM, stream.address());
        boolean overlapping = start == Start.OVERLAPPING && device.info().hasDependentLaunch();
        config.set(JAVA_INT, ATTRIBUTE_COUNT, overlapping ? 1 : 0);
        device.countLaunch();
        int code = device.calls().launch(config.address(), handle.address(), pointers.address());
        if (code != DriverCalls.SUCCESS) {
            device.check("cuLaunchKernelEx of %s, grid %d x %d x %d, block %d, %d bytes of shared memory".formatted(name,
                    gridX, gridY, gridZ, blockX, sharedBytes), code);
        }
    }

    private void allowShared(int bytes) {
        if (bytes > allowedDynamicBytes) {
            device.check("cuFuncSetAttribute of " + name + ": " + bytes + " bytes of dynamic shared memory",
                    JCudaDriver.cuFuncSetAttribute(handle, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, bytes));
            allowedDynamicBytes = bytes;
        }
    }

    /// When a kernel may start.
    public enum Start {
        /// After everything before it in the stream.
        IN_ORDER,
        /// As soon as its predecessor says so or ends (programmatic dependent launch, from compute 9.0 on; in order below).
        /// Only for kernels that wait for the grid dependency before they touch what a predecessor wrote.
        OVERLAPPING
    }

    @Override
    public String toString() {
        return "kernel " + name;
    }
}
