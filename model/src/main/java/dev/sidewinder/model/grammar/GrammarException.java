package dev.sidewinder.model.grammar;

/// A grammar that cannot be enforced, in words for whoever wrote it.
public final class GrammarException extends RuntimeException {
    private static final long serialVersionUID = 1;

    public enum Kind {
        /// it asks for something that is not offered
        UNSUPPORTED,
        /// it makes no sense, or nothing fits it
        INVALID,
        /// it is beyond our bounds
        TOO_COMPLEX
    }

    private final Kind kind;

    public GrammarException(Kind kind, String message) {
        super(message);
        this.kind = kind;
    }

    public Kind kind() {
        return kind;
    }
}
