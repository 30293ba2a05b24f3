package dev.sidewinder.cuda.device;

/// A call into the driver failed. After one the device's memory is in doubt: readiness goes down and the process ends.
public final class CudaException extends RuntimeException {

    private static final long serialVersionUID = 1;
    private static final int OUT_OF_MEMORY = 2;
    private static final int INVALID_IMAGE = 200;
    private static final int NO_BINARY_FOR_DEVICE = 209;
    private static final int INVALID_PTX = 218;
    private static final int UNSUPPORTED_PTX_VERSION = 222;
    private static final int ECC_UNCORRECTABLE = 214;
    private static final int NVLINK_UNCORRECTABLE = 220;
    private static final int HARDWARE_STACK_ERROR = 714;

    private final String call;
    private final int code;
    private final String driverText;

    /// @param call what was called, and with what where that helps: `cuMemAlloc of 4096 bytes`
    /// @param code the driver's `CUresult`
    /// @param driverText the driver's name and description of that code, and the emulator's account where there is one
    CudaException(String call, int code, String driverText) {
        super(call + " failed with " + driverText);
        this.call = call;
        this.code = code;
        this.driverText = driverText;
    }

    public String call() {
        return call;
    }

    public int code() {
        return code;
    }

    public String driverText() {
        return driverText;
    }

    /// Whether the device had no memory left. Everything allocated before is still good.
    public boolean isOutOfMemory() {
        return code == OUT_OF_MEMORY;
    }

    /// Whether the driver has nothing to run among the kernels it was given: they are for other devices or newer drivers.
    public boolean isImageRefused() {
        return switch (code) {
            case INVALID_IMAGE, NO_BINARY_FOR_DEVICE, INVALID_PTX, UNSUPPORTED_PTX_VERSION -> true;
            default -> false;
        };
    }

    /// Whether the device is broken, and not the program: it will fail another process too. An error in the hardware's call
    /// stack counts, since our kernels make no calls that could overflow it. Source: CUDA 12.4, `cuda.h`, `CUresult`.
    public boolean isHardwareFault() {
        return switch (code) {
            case ECC_UNCORRECTABLE, NVLINK_UNCORRECTABLE, HARDWARE_STACK_ERROR -> true;
            default -> false;
        };
    }
}
