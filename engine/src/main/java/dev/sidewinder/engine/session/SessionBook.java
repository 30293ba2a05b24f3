package dev.sidewinder.engine.session;

import dev.sidewinder.engine.SessionMemory;
import dev.sidewinder.engine.session.SessionException.Kind;
import java.time.InstantSource;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The sessions of a process by their names, and who of them is in use. One lock, never held while files are written or the engine
/// is waited for; headers of files are read under it.
final class SessionBook {

    private final SessionLimits limits;
    private final Optional<SessionFolder> folder;
    private final InstantSource clock;
    private final Map<SessionKey, Session> sessions = new HashMap<>();
    private boolean closed;

    SessionBook(SessionLimits limits, Optional<SessionFolder> folder, InstantSource clock) {
        this.limits = limits;
        this.folder = folder;
        this.clock = clock;
    }

    /// Makes a session and takes it.
    ///
    /// @throws SessionException `EXISTS`, `TOO_MANY`
    synchronized Session enter(SessionKey key) {
        requireOpen();
        look(key);
        if (sessions.containsKey(key)) {
            throw new SessionException(Kind.EXISTS, "there is a session \"" + key.name() + "\" already");
        }
        long own = sessions.keySet().stream().filter(each -> each.tenant().equals(key.tenant())).count();
        if (sessions.size() >= limits.sessions() || own >= limits.sessionsPerTenant()) {
            throw new SessionException(Kind.TOO_MANY, "there are as many sessions as there may be: " + limits.sessionsPerTenant()
                    + " of one owner, " + limits.sessions() + " in all; delete one");
        }
        var session = new Session(key, clock.instant());
        session.busy = true;
        sessions.put(key, session);
        return session;
    }

    /// Takes a session.
    ///
    /// @throws SessionException `NOT_FOUND`, `BUSY`
    synchronized Session acquire(SessionKey key) {
        requireOpen();
        Session session = find(key);
        if (session.busy) {
            throw new SessionException(Kind.BUSY, "session \"" + key.name() + "\" has a request that has not ended");
        }
        session.busy = true;
        return session;
    }

    /// Gives a session back, which was used.
    synchronized SessionInfo release(Session session) {
        session.busy = false;
        session.used = clock.instant();
        return session.info();
    }

    /// Gives a session back that only had to move.
    synchronized void settle(Session session) {
        session.busy = false;
    }

    /// There is no such session any more.
    synchronized void leave(Session session) {
        sessions.remove(session.key);
    }

    synchronized SessionInfo info(SessionKey key) {
        return find(key).info();
    }

    synchronized List<SessionInfo> list(String tenant) {
        folder.ifPresent(each -> each.list(tenant).forEach(this::know));
        return sessions.values().stream().filter(session -> session.key.tenant().equals(tenant)).map(Session::info)
                .sorted(Comparator.comparing(info -> info.key().name())).toList();
    }

    synchronized Sessions.Counts counts() {
        int live = 0;
        long liveBytes = 0;
        long suspendedBytes = 0;
        for (Session session : sessions.values()) {
            live += session.live ? 1 : 0;
            liveBytes += session.live ? session.bytes : 0;
            suspendedBytes += session.live ? 0 : session.bytes;
        }
        return new Sessions.Counts(live, liveBytes, sessions.size() - live, suspendedBytes);
    }

    /// History and memory of a session are here now. Its holder only.
    synchronized void hold(Session session, SessionRecord history, Optional<SessionMemory> memory, long bytes) {
        session.hold(history, memory, bytes);
    }

    /// They are in its file only. Its holder only.
    synchronized void store(Session session, int tokens, int computed, long bytes) {
        session.leave(tokens, computed, bytes);
    }

    /// Takes the session in the host area that was not used for longest, unless there is room.
    ///
    /// @param mostStates that sessions may have there, one of them for who asks
    /// @param mostBlocks the same
    /// @param blocks     for who asks
    /// @return empty when there is room, or nobody can go
    synchronized Optional<Session> takeOldest(int mostStates, int mostBlocks, int blocks) {
        int states = 0;
        long held = 0;
        for (Session session : sessions.values()) {
            states += session.memory().isPresent() ? 1 : 0;
            held += session.memory().map(SessionMemory::blocks).orElse(0);
        }
        if (states < mostStates && held + blocks <= mostBlocks) {
            return Optional.empty();
        }
        Optional<Session> oldest = sessions.values().stream().filter(session -> !session.busy && session.memory().isPresent())
                .min(Comparator.comparing(session -> session.used));
        oldest.ifPresent(session -> session.busy = true);
        return oldest;
    }

    /// Nobody takes a session any more.
    ///
    /// @return the live ones that nobody has, taken; none when it was closed before
    synchronized List<Session> close() {
        List<Session> live = closed ? List.of() : sessions.values().stream().filter(session -> session.live && !session.busy).toList();
        live.forEach(session -> session.busy = true);
        closed = true;
        return live;
    }

    private Session find(SessionKey key) {
        look(key);
        Session session = sessions.get(key);
        if (session == null) {
            throw new SessionException(Kind.NOT_FOUND, "there is no session \"" + key.name() + "\"");
        }
        return session;
    }

    /// A session may be in a file that this process has not seen.
    private void look(SessionKey key) {
        if (!sessions.containsKey(key)) {
            folder.flatMap(each -> each.find(key)).ifPresent(this::know);
        }
    }

    private void know(SessionFile.Label label) {
        sessions.computeIfAbsent(label.key(), key -> {
            var session = new Session(key, label.created());
            session.leave(label.tokens(), label.computed(), label.bytes());
            return session;
        });
    }

    private void requireOpen() {
        if (closed) {
            throw new SessionException(Kind.UNSUPPORTED, "the sessions of this process have been closed");
        }
    }
}
