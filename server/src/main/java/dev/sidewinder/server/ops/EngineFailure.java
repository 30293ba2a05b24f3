package dev.sidewinder.server.ops;

import dev.sidewinder.engine.cuda.DeviceFault;
import java.util.Optional;

/// The end of a process whose engine has failed.
///
/// @param exitCode tells a supervisor whether to start it again
/// @param message  one line for the operator
record EngineFailure(int exitCode, String message) {

    /// @param cause what the engine failed with; empty where it computed nonsense without noticing
    static EngineFailure of(Optional<Throwable> cause) {
        String what = "the engine has failed" + cause.map(thrown -> ": " + firstLine(thrown)).orElse("");
        return cause.flatMap(DeviceFault::of).filter(DeviceFault.HARDWARE::equals).isPresent()
                ? new EngineFailure(ServeApplication.HARDWARE_FAULT, what + "; the device is broken, the process ends and is not "
                        + "to be started again on this machine")
                : new EngineFailure(ServeApplication.ENGINE_FAILED, what + "; the process ends");
    }

    /// Why a model could not be brought onto a device.
    ///
    /// @param location of the model
    static StartException atStart(String location, DeviceFault fault, Throwable cause) {
        String what = "cannot load " + location + ": " + firstLine(cause);
        return switch (fault) {
            case OUT_OF_MEMORY -> new StartException(ServeApplication.REFUSED_TO_START, what + "; something else takes memory of "
                    + "the device: free some, or lower sidewinder.engine.cache-size");
            case HARDWARE -> new StartException(ServeApplication.HARDWARE_FAULT, what
                    + "; the device is broken, do not start again on this machine");
            case PROGRAM -> new StartException(ServeApplication.ENGINE_FAILED, what);
        };
    }

    private static String firstLine(Throwable thrown) {
        // the driver's account speaks for itself; of anything else its kind may be all there is
        String text = DeviceFault.of(thrown).isPresent() ? thrown.getMessage() : thrown.toString();
        return text.lines().findFirst().orElse("");
    }
}
