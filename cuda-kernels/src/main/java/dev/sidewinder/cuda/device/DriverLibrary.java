package dev.sidewinder.cuda.device;

import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.util.List;
import jcuda.driver.JCudaDriver;

/// Loads `libcuda.so.1` and JCuda's native library behind it, once per process.
///
/// The driver is loaded first, by us: the dynamic linker then satisfies JCuda's need of a `libcuda.so.1` by that soname,
/// whichever file it came from. Loaded libraries cannot be unloaded, so what was loaded is the one static of this module
/// that changes; it changes once.
final class DriverLibrary {

    /// What we call through JCuda. A symbol that is missing when JCuda calls it ends the process without a word, so it is
    /// looked for beforehand. The names are those that JCuda 12.6 imports.
    private static final List<String> NEEDED_BY_JCUDA = List.of(
            "cuInit", "cuDriverGetVersion", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetAttribute", "cuDeviceTotalMem_v2",
            "cuDevicePrimaryCtxRetain", "cuDevicePrimaryCtxRelease_v2", "cuCtxSetCurrent",
            "cuCtxSynchronize", "cuMemGetInfo_v2", "cuMemAlloc_v2", "cuMemFree_v2", "cuMemHostAlloc", "cuMemFreeHost",
            "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuMemcpyDtoDAsync_v2", "cuMemsetD8Async", "cuMemsetD32Async",
            "cuStreamCreate", "cuStreamDestroy_v2", "cuStreamSynchronize", "cuStreamQuery", "cuStreamWaitEvent",
            "cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuEventCreate", "cuEventDestroy_v2", "cuEventRecord",
            "cuEventQuery", "cuEventSynchronize", "cuEventElapsedTime", "cuModuleLoadData", "cuModuleUnload",
            "cuModuleGetFunction", "cuFuncGetAttribute", "cuFuncSetAttribute",
            "cuOccupancyMaxActiveBlocksPerMultiprocessor", "cuGraphInstantiateWithFlags", "cuGraphExecDestroy",
            "cuGraphDestroy", "cuGraphLaunch", "cuGraphUpload");

    private static DriverLibrary loaded;

    private final Driver driver;
    private final DriverCalls calls;

    private DriverLibrary(Driver driver, DriverCalls calls) {
        this.driver = driver;
        this.calls = calls;
    }

    /// @throws CudaUnavailableException saying why this driver cannot be used
    static synchronized DriverCalls load(Driver driver) {
        if (loaded == null) {
            SymbolLookup symbols = symbols(driver);
            for (String name : NEEDED_BY_JCUDA) {
                if (symbols.find(name).isEmpty()) {
                    throw tooOld(driver, name);
                }
            }
            DriverCalls calls = DriverCalls.bind(symbols)
                    .orElseThrow(() -> tooOld(driver, "cuLaunchKernelEx, no cuTensorMapEncodeTiled or no cuGetErrorName"));
            JcudaNatives.load("JCuda", () -> JCudaDriver.setExceptionsEnabled(false));
            loaded = new DriverLibrary(driver, calls);
        } else if (!loaded.driver.equals(driver)) {
            throw new CudaUnavailableException("this process has loaded the driver " + loaded.driver
                    + " and cannot load " + driver + " beside it; start another process");
        }
        return loaded.calls;
    }

    private static SymbolLookup symbols(Driver driver) {
        try {
            return driver.library().isPresent()
                    ? SymbolLookup.libraryLookup(driver.library().get(), Arena.global())
                    : SymbolLookup.libraryLookup("libcuda.so.1", Arena.global());
        } catch (IllegalArgumentException e) {
            throw new CudaUnavailableException(driver.library().isPresent()
                    ? "the driver library " + driver + " does not load; check that the file is there and is for this system"
                    : "there is no libcuda.so.1 here; install the NVIDIA driver, or use the CPU", e);
        }
    }

    private static CudaUnavailableException tooOld(Driver driver, String name) {
        return new CudaUnavailableException(
                "the driver " + driver + " has no " + name + "; a driver for CUDA 12.0 or later (525 or later) is needed");
    }
}
