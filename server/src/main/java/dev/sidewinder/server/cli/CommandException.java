package dev.sidewinder.server.cli;

/// A command cannot go on, for a reason its user can act on. The message is shown as it is, in one line.
final class CommandException extends RuntimeException {

    private final int status;

    CommandException(String message) {
        this(message, 1);
    }

    private CommandException(String message, int status) {
        super(message);
        this.status = status;
    }

    /// The arguments contradict each other, or say what cannot be.
    static CommandException wrongUsage(String message) {
        return new CommandException(message, 2);
    }

    /// What the process ends with.
    int status() {
        return status;
    }
}
