package dev.sidewinder.server.settings;

/// A setting is unknown, malformed, out of range or contradicts another one. Stops the start; the message is for the
/// operator and stands alone.
public final class SettingsException extends RuntimeException {
    public SettingsException(String message) {
        super(message);
    }
}
