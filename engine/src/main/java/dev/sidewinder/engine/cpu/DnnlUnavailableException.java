package dev.sidewinder.engine.cpu;

/// oneDNN cannot serve here; the message says why. The backend goes on with its own kernels and says so.
final class DnnlUnavailableException extends Exception {
    private static final long serialVersionUID = 1;

    DnnlUnavailableException(String reason) {
        super(reason);
    }
}
