package dev.sidewinder.engine.session;

import dev.sidewinder.engine.SessionMemory;
import java.time.Instant;
import java.util.Optional;

/// One session in this process. Its [Sessions] guards it by its lock, but for what only the holder of `busy` touches: history
/// and memory.
final class Session {

    final SessionKey key;
    final Instant created;
    Instant used;
    /// Whether somebody works with it.
    boolean busy;
    /// Whether history and memory are here; otherwise they are in its file.
    boolean live;
    /// What was last known of its length.
    int tokens;
    int computed;
    long bytes;

    private SessionRecord history;
    private Optional<SessionMemory> memory = Optional.empty();

    Session(SessionKey key, Instant created) {
        this.key = key;
        this.created = created;
        this.used = created;
    }

    /// History and memory are here now.
    ///
    /// @param bytes that the memory takes
    void hold(SessionRecord history, Optional<SessionMemory> memory, long bytes) {
        this.history = history;
        this.memory = memory;
        this.bytes = bytes;
        live = true;
        tokens = history.tokens().length;
        computed = memory.map(SessionMemory::computed).orElse(0);
    }

    /// History and memory are in the file only.
    ///
    /// @param bytes of the file
    void leave(int tokens, int computed, long bytes) {
        history = null;
        memory = Optional.empty();
        live = false;
        this.tokens = tokens;
        this.computed = computed;
        this.bytes = bytes;
    }

    SessionRecord history() {
        return history;
    }

    Optional<SessionMemory> memory() {
        return memory;
    }

    SessionInfo info() {
        SessionInfo.State state = busy ? SessionInfo.State.BUSY : live ? SessionInfo.State.LIVE : SessionInfo.State.SUSPENDED;
        return new SessionInfo(key, state, tokens, computed, bytes, created, used);
    }
}
