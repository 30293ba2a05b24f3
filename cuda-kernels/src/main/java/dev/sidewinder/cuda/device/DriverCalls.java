package dev.sidewinder.cuda.device;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.Optional;
import java.util.OptionalInt;

/// Our own bindings to the driver, for what JCuda lacks or is slow at, and the one check of every return code.
///
/// Handles and device addresses are plain numbers here: no object is made for a launch. Safe for use by many threads.
/// Source of names and constants: CUDA 12.4, `cuda.h`.
final class DriverCalls {

    static final int SUCCESS = 0;
    static final int INVALID_VALUE = 1;
    static final int NOT_READY = 600;
    private static final int GRAPH_UPDATE_FAILED = 910;
    // CUtensorMapDataType, CUtensorMapSwizzle and CUtensorMapL2promotion.
    private static final int TENSOR_OF_BYTES = 0;
    private static final int TENSOR_SWIZZLE_128 = 3;
    private static final int TENSOR_PROMOTION_128 = 2;
    /// `CUgraphExecUpdateResultInfo`: a result and two nodes.
    private static final long UPDATE_RESULT_BYTES = 24;
    private static final long LONGEST_TEXT_BYTES = 1 << 16;
    private static final int LONGEST_NAME_BYTES = 256;

    private final MethodHandle errorName;
    private final MethodHandle errorString;
    private final MethodHandle deviceName;
    private final MethodHandle launchKernelEx;
    /// Null where the driver is older than CUDA 12.4.
    private final MethodHandle functionParameterInfo;
    /// Null where the driver has no such call.
    private final MethodHandle graphUpdate;
    private final MethodHandle encodeTensorMap;
    private final MethodHandle allocateHost;
    private final MethodHandle freeHost;
    /// Null with a real driver.
    private final MethodHandle emulatorReport;

    private DriverCalls(SymbolLookup symbols) {
        errorName = find(symbols, "cuGetErrorName", JAVA_INT, JAVA_INT, ADDRESS).orElseThrow();
        errorString = find(symbols, "cuGetErrorString", JAVA_INT, JAVA_INT, ADDRESS).orElseThrow();
        deviceName = find(symbols, "cuDeviceGetName", JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT).orElseThrow();
        launchKernelEx = find(symbols, "cuLaunchKernelEx", JAVA_INT, JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_LONG)
                .orElseThrow();
        functionParameterInfo =
                find(symbols, "cuFuncGetParamInfo", JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS, ADDRESS).orElse(null);
        graphUpdate = find(symbols, "cuGraphExecUpdate_v2", JAVA_INT, JAVA_LONG, JAVA_LONG, ADDRESS).orElse(null);
        encodeTensorMap = find(symbols, "cuTensorMapEncodeTiled", JAVA_INT, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_LONG,
                JAVA_LONG, JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT).orElseThrow();
        allocateHost = find(symbols, "cuMemHostAlloc", JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT).orElseThrow();
        freeHost = find(symbols, "cuMemFreeHost", JAVA_INT, JAVA_LONG).orElseThrow();
        emulatorReport = find(symbols, "sidewinder_emulator_report", ADDRESS).orElse(null);
    }

    /// Empty when the driver lacks a call that nothing can replace.
    static Optional<DriverCalls> bind(SymbolLookup symbols) {
        for (String name : new String[] {"cuGetErrorName", "cuGetErrorString", "cuDeviceGetName", "cuLaunchKernelEx",
                "cuTensorMapEncodeTiled", "cuMemHostAlloc", "cuMemFreeHost"}) {
            if (symbols.find(name).isEmpty()) {
                return Optional.empty();
            }
        }
        return Optional.of(new DriverCalls(symbols));
    }

    private static Optional<MethodHandle> find(SymbolLookup symbols, String name, MemoryLayout result,
            MemoryLayout... arguments) {
        return symbols.find(name).map(address ->
                Linker.nativeLinker().downcallHandle(address, FunctionDescriptor.of(result, arguments)));
    }

    /// Every return code passes here.
    ///
    /// @param call what was called, for the message
    /// @throws CudaException when `code` is not success
    void check(String call, int code) {
        if (code != SUCCESS) {
            throw new CudaException(call, code, describe(code));
        }
    }

    /// Name, number and text of a code, and what the emulator has to say about it.
    String describe(int code) {
        String known = text(errorName, code).orElse("an unknown error") + " (" + code + ")"
                + text(errorString, code).map(text -> ": " + text).orElse("");
        return emulatorText().map(report -> known + "\n" + report).orElse(known);
    }

    private Optional<String> text(MethodHandle getter, int code) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment result = arena.allocate(ADDRESS);
            int outcome = (int) getter.invokeExact(code, result);
            return outcome == SUCCESS ? text(result.get(ADDRESS, 0)) : Optional.empty();
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    private Optional<String> emulatorText() {
        if (emulatorReport == null) {
            return Optional.empty();
        }
        try {
            return text((MemorySegment) emulatorReport.invokeExact()).filter(text -> !text.isBlank());
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    private static Optional<String> text(MemorySegment characters) {
        return characters.address() == 0
                ? Optional.empty()
                : Optional.of(characters.reinterpret(LONGEST_TEXT_BYTES).getString(0));
    }

    /// `cuDeviceGetName`. Not through JCuda, whose copy into a Java array comes back as zeros under `-Xcheck:jni`.
    String deviceName(int device) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocate(LONGEST_NAME_BYTES);
            check("cuDeviceGetName", (int) deviceName.invokeExact(name, LONGEST_NAME_BYTES, device));
            return name.getString(0);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    /// `cuLaunchKernelEx`: three addresses of memory that the caller keeps.
    int launch(long config, long function, long argumentPointers) {
        try {
            return (int) launchKernelEx.invokeExact(config, function, argumentPointers, 0L);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    /// `cuTensorMapEncodeTiled` for three dimensions of bytes with a swizzle of 128 bytes and zeros outside: addresses of
    /// memory that the caller keeps. The device is not touched.
    int encodeTensorMap(long map, long address, long sizes, long strides, long box, long steps) {
        try {
            return (int) encodeTensorMap.invokeExact(map, TENSOR_OF_BYTES, 3, address, sizes, strides, box, steps, 0,
                    TENSOR_SWIZZLE_128, TENSOR_PROMOTION_128, 0);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    /// `cuMemHostAlloc`. Not through JCuda, which wraps the memory in a byte buffer and so refuses more than 2 GiB.
    ///
    /// @return its address
    long allocateHost(long bytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(ADDRESS);
            check("cuMemHostAlloc of " + bytes + " bytes", (int) allocateHost.invokeExact(address, bytes, 0));
            return address.get(ADDRESS, 0).address();
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    /// `cuMemFreeHost`.
    int freeHost(long address) {
        try {
            return (int) freeHost.invokeExact(address);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    boolean knowsParameters() {
        return functionParameterInfo != null;
    }

    /// The size of a function's parameter in bytes; empty behind the last one. Only where [#knowsParameters].
    OptionalInt parameterBytes(long function, int index) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment offset = arena.allocate(JAVA_LONG);
            MemorySegment size = arena.allocate(JAVA_LONG);
            int code = (int) functionParameterInfo.invokeExact(function, (long) index, offset, size);
            if (code == INVALID_VALUE) {
                return OptionalInt.empty();
            }
            check("cuFuncGetParamInfo", code);
            return OptionalInt.of(Math.toIntExact(size.get(JAVA_LONG, 0)));
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    /// `cuGraphExecUpdate`: puts the arguments of `graph` into an executable graph of the same form.
    ///
    /// @return false when the form differs, or the driver cannot: the graph must be instantiated anew
    boolean update(long executable, long graph) {
        if (graphUpdate == null) {
            return false;
        }
        try (Arena arena = Arena.ofConfined()) {
            int code = (int) graphUpdate.invokeExact(executable, graph, arena.allocate(UPDATE_RESULT_BYTES, 8));
            if (code == GRAPH_UPDATE_FAILED) {
                return false;
            }
            check("cuGraphExecUpdate", code);
            return true;
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    private static RuntimeException failed(Throwable cause) {
        return switch (cause) {
            case RuntimeException e -> e;
            case Error e -> throw e;
            default -> new IllegalStateException(cause);
        };
    }
}
