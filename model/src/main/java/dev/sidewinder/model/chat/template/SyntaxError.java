package dev.sidewinder.model.chat.template;

/// The source is no template that we know. {@link Template} adds the template's name on the way out.
final class SyntaxError extends RuntimeException {
    private final int line;

    SyntaxError(int line, String message) {
        super(message, null, false, false);
        this.line = line;
    }

    int line() {
        return line;
    }
}
