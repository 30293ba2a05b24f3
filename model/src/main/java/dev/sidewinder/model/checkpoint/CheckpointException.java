package dev.sidewinder.model.checkpoint;

/// The model's files are not what they should be. The message names the file and, where there is one, the tensor or
/// field; start-up stops.
public final class CheckpointException extends RuntimeException {
    public CheckpointException(String message) {
        super(message);
    }

    public CheckpointException(String message, Throwable cause) {
        super(message, cause);
    }
}
