package dev.sidewinder.engine.session;

import java.time.Instant;

/// What there is to know of a session, as of a moment.
///
/// @param key      whose and which
/// @param state    where it is
/// @param tokens   of its history
/// @param computed of them, whose state, keys and values are held; the rest is computed by the next request
/// @param bytes    that it takes in the host area, or of its file
/// @param created  when it was made or forked
/// @param used     when it was last continued, read or written
public record SessionInfo(SessionKey key, State state, int tokens, int computed, long bytes, Instant created, Instant used) {

    /// Where a session is.
    public enum State {
        /// in memory, to be continued at once
        LIVE,
        /// a request of it runs, or it is being written or read
        BUSY,
        /// in its file; a request brings it back first
        SUSPENDED
    }
}
