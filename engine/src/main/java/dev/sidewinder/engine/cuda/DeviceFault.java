package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.CudaException;
import java.util.Optional;

/// What a failed call into the driver means for whoever starts the process again.
public enum DeviceFault {
    /// The device has no room for what was asked: other settings, or a device of which others use less.
    OUT_OF_MEMORY,
    /// The device itself is broken: another start on this machine will end the same way.
    HARDWARE,
    /// A fault of a kernel or of the driver, from which a new process recovers.
    PROGRAM;

    /// Looks for a failed call behind a failure.
    ///
    /// @return empty when it has another reason
    public static Optional<DeviceFault> of(Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (cause instanceof CudaException cuda) {
                return Optional.of(cuda.isOutOfMemory() ? OUT_OF_MEMORY : cuda.isHardwareFault() ? HARDWARE : PROGRAM);
            }
        }
        return Optional.empty();
    }
}
