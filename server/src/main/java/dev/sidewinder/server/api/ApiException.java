package dev.sidewinder.server.api;

/// A request ends with this error. Made by [ApiErrors] and [Problems].
public final class ApiException extends RuntimeException {

    private final transient ApiError error;

    public ApiException(ApiError error) {
        this(error, null);
    }

    /// @param cause for the log; nothing of it reaches the client
    public ApiException(ApiError error, Throwable cause) {
        // a client's mistake is no bug of ours: where it was found is in the error, a stack trace would only cost
        super(error.message(), cause, false, error.status() == 500);
        this.error = error;
    }

    public ApiError error() {
        return error;
    }
}
