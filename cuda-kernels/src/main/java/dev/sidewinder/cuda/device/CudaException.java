package dev.sidewinder.cuda.device;

/// A call into the driver failed. After one the device's memory is in doubt: readiness goes down and the process ends.
public final class CudaException extends RuntimeException {

    private static final long serialVersionUID = 1;
    private static final int OUT_OF_MEMORY = 2;

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
}
