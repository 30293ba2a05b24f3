package dev.sidewinder.engine;

/// A backend cannot be used here, and the message says why in one sentence. Not a failure of the program: whoever asked
/// takes another one or gives up.
public final class BackendUnavailableException extends RuntimeException {

    private static final long serialVersionUID = 1;

    public BackendUnavailableException(String reason, Throwable cause) {
        super(reason, cause);
    }
}
