package dev.sidewinder.engine.session;

/// Names a session: two owners may use the same name, and neither can tell whether the other does.
///
/// @param tenant whose it is, in words that only the server chooses (not the caller's key itself: it is written to files)
/// @param name   what the owner calls it, 1 to 128 visible ASCII characters
public record SessionKey(String tenant, String name) {

    private static final int MOST_CHARACTERS = 128;

    public SessionKey {
        if (tenant.length() > MOST_CHARACTERS) {
            throw new IllegalArgumentException("a tenant of " + tenant.length() + " characters; at most " + MOST_CHARACTERS);
        }
        if (name.isEmpty() || name.length() > MOST_CHARACTERS || !name.chars().allMatch(c -> c > ' ' && c < 0x7f)) {
            throw new IllegalArgumentException("a session's name has 1 to " + MOST_CHARACTERS + " visible ASCII characters");
        }
    }
}
