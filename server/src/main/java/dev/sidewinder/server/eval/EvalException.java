package dev.sidewinder.server.eval;

/// An evaluation cannot go on, for a reason its user can act on: a test set that is not as it should be, a server that
/// fails. The message is shown as it is.
public final class EvalException extends RuntimeException {

    public EvalException(String message) {
        super(message);
    }
}
