package dev.sidewinder.model.chat;

/// The template refused a conversation (`raise_exception`) or ran past its budgets: the client's fault.
public final class ChatTemplateException extends RuntimeException {
    public ChatTemplateException(String message) {
        super(message);
    }
}
