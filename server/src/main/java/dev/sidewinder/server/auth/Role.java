package dev.sidewinder.server.auth;

import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/// What a key opens. One does not include another; a key may have several.
public enum Role {
    /// everything that runs the model or says what is served
    INFERENCE,
    /// what changes the server for everybody
    OPERATOR,
    /// the scrape
    METRICS;

    /// As it is written in the file and in messages.
    public String spelling() {
        return name().toLowerCase(Locale.ROOT);
    }

    static Optional<Role> spelled(String text) {
        return Arrays.stream(values()).filter(role -> role.spelling().equals(text)).findFirst();
    }
}
