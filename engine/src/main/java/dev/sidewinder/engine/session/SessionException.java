package dev.sidewinder.engine.session;

/// What a session cannot do. The message is for whoever asked, and says nothing of sessions of others.
public final class SessionException extends RuntimeException {

    private static final long serialVersionUID = 1;

    /// Why.
    public enum Kind {
        /// there is no session of that name
        NOT_FOUND,
        /// there is one of that name already
        EXISTS,
        /// a request of the session has not ended, or it is being written or read
        BUSY,
        /// the file is of another model, revision, number format, layout or owner
        INCOMPATIBLE,
        /// the file is not what was written
        DAMAGED,
        /// as many sessions as there may be
        TOO_MANY,
        /// longer than this engine, or its host area, holds
        TOO_LARGE,
        /// no room in the host area for now: other sessions are in it, and none can go
        NO_ROOM,
        /// no folder for session files is set, or this engine has no host area
        UNSUPPORTED,
        /// the folder cannot be read or written
        STORAGE
    }

    private final Kind kind;

    public SessionException(Kind kind, String message) {
        super(message);
        this.kind = kind;
    }

    public SessionException(Kind kind, String message, Throwable cause) {
        super(message, cause);
        this.kind = kind;
    }

    public Kind kind() {
        return kind;
    }
}
