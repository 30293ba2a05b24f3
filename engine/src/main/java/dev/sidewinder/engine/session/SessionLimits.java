package dev.sidewinder.engine.session;

/// Bounds of the sessions of an engine.
///
/// @param sessions          in all
/// @param sessionsPerTenant of one owner
public record SessionLimits(int sessions, int sessionsPerTenant) {

    public static final SessionLimits DEFAULT = new SessionLimits(10_000, 1_000);

    public SessionLimits {
        if (sessions < 1 || sessionsPerTenant < 1) {
            throw new IllegalArgumentException("room for " + sessions + " sessions, " + sessionsPerTenant + " of one owner");
        }
    }
}
