package dev.sidewinder.cuda.device;

/// CUDA cannot be used here, and the message says why in one sentence: no driver, too old a driver, no device, a build
/// without kernels. Not a failure of the program: `auto` goes on with the CPU.
public final class CudaUnavailableException extends RuntimeException {

    private static final long serialVersionUID = 1;

    public CudaUnavailableException(String reason) {
        super(reason);
    }

    public CudaUnavailableException(String reason, Throwable cause) {
        super(reason, cause);
    }
}
