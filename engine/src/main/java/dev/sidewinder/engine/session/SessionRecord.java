package dev.sidewinder.engine.session;

import java.time.Instant;

/// What a session is apart from its memory.
///
/// @param key         whose and which
/// @param tokens      its history; not to be changed
/// @param answerStart where the last answer begins in it: what stands behind counts as generated for a request that goes on with
///                    that answer, as penalties and the least length ask for it
/// @param created     when it was made
record SessionRecord(SessionKey key, int[] tokens, int answerStart, Instant created) {
    SessionRecord {
        if (answerStart < 0 || answerStart > tokens.length) {
            throw new IllegalArgumentException("an answer that begins at token " + answerStart + " of " + tokens.length);
        }
    }
}
