package dev.sidewinder.server.auth;

/// A file of keys cannot be used. The message names file and line and repeats nothing of the line: somebody may have written a
/// key where its digest belongs.
public final class KeyFileException extends RuntimeException {

    KeyFileException(String message) {
        super(message);
    }
}
