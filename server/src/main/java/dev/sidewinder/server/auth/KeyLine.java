package dev.sidewinder.server.auth;

import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;

/// A new key, and the line of the file by which a server knows it.
///
/// @param key  for its owner; nobody can compute it from the line
/// @param line for the file
public record KeyLine(String key, String line) {

    private static final String PREFIX = "sk-sw-";
    /// Nobody guesses as many bits, so a plain digest is as good as a slow one.
    private static final int RANDOM_BYTES = 32;

    /// Makes an unpredictable key.
    ///
    /// @param weight        null = the usual one, as for `priorityFloor`
    /// @throws IllegalArgumentException when no file could have such a line; the message says why
    public static KeyLine make(String id, List<String> roles, Integer weight, Integer priorityFloor) {
        byte[] random = new byte[RANDOM_BYTES];
        new SecureRandom().nextBytes(random);
        String key = PREFIX + Base64.getUrlEncoder().withoutPadding().encodeToString(random);
        List<String> options = new ArrayList<>();
        if (weight != null) {
            options.add("weight=" + weight);
        }
        if (priorityFloor != null) {
            options.add("priority-floor=" + priorityFloor);
        }
        String line = id + ":" + String.join(",", roles) + ":" + HexFormat.of().formatHex(ApiKey.digestOf(key))
                + (options.isEmpty() ? "" : ":" + String.join(",", options));
        try {
            KeyFile.parse("the new line", line.getBytes(StandardCharsets.UTF_8));
        } catch (KeyFileException wrong) {
            throw new IllegalArgumentException(wrong.getMessage());
        }
        return new KeyLine(key, line);
    }

    /// Without the key.
    @Override
    public String toString() {
        return "KeyLine[line=" + line + "]";
    }
}
