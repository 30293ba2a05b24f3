package dev.sidewinder.server.ops;

/// The server cannot start. The message is one line for the operator.
final class StartException extends RuntimeException {

    private final int exitCode;

    StartException(int exitCode, String message) {
        super(message);
        this.exitCode = exitCode;
    }

    int exitCode() {
        return exitCode;
    }
}
