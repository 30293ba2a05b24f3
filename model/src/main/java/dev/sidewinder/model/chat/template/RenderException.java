package dev.sidewinder.model.chat.template;

/// Rendering cannot go on. {@link Template} adds the template's name and the line on the way out.
final class RenderException extends RuntimeException {
    RenderException(String message) {
        super(message, null, false, false);
    }
}
