package dev.sidewinder.server.api.answer;

import java.util.random.RandomGenerator;

/// Ids of tool calls: `call_` and 24 letters or digits.
public final class CallIds {

    private static final String BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private static final int CHARS = 24;

    private final RandomGenerator random;

    public CallIds(RandomGenerator random) {
        this.random = random;
    }

    String next() {
        var id = new StringBuilder("call_");
        for (int i = 0; i < CHARS; i++) {
            id.append(BASE62.charAt(random.nextInt(BASE62.length())));
        }
        return id.toString();
    }
}
