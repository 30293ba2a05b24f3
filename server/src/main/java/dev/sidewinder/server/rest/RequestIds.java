package dev.sidewinder.server.rest;

import java.security.SecureRandom;
import java.util.regex.Pattern;

/// Names for requests: the client's own where it is fit for logs and headers, otherwise a new one.
final class RequestIds {

    private static final Pattern FIT = Pattern.compile("[A-Za-z0-9._-]{1,128}");
    private static final String ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private static final int LENGTH = 24;

    private final SecureRandom random = new SecureRandom();

    static boolean isFit(String id) {
        return id != null && id.length() <= 128 && FIT.matcher(id).matches();
    }

    String next() {
        var id = new StringBuilder(LENGTH);
        for (int i = 0; i < LENGTH; i++) {
            id.append(ALPHABET.charAt(random.nextInt(ALPHABET.length())));
        }
        return id.toString();
    }
}
