package dev.sidewinder.engine.session;

import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.EngineException;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.engine.SamplingParams;
import dev.sidewinder.engine.SessionDesk;
import dev.sidewinder.engine.SessionDesk.TurnEnd;
import dev.sidewinder.engine.SessionMemory;
import dev.sidewinder.engine.session.SessionException.Kind;
import dev.sidewinder.kvcache.CacheShape;
import java.lang.System.Logger.Level;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;

/// The named, durable sessions of an engine: create, continue, fork, suspend to a file, resume, delete.
///
/// A session is a history of tokens and, where there was room, the state, keys and values of its beginning. **Live**, it has them
/// in the host area of the engine, never in its frames: between its requests it is in nobody's way. **Suspended**, it is one
/// safetensors file ([SessionFile]) in a folder, from which any process with the same model goes on with the same bits.
///
/// - Sessions have at most half of the host area; the other half is for suspending running requests. Who needs room beyond that
///   sends the one that was not used for longest to its file, or, without a folder, takes its memory: its history remains, and its
///   next request computes that again.
/// - One request at a time: whoever comes meanwhile is refused with `BUSY`.
/// - Forks share what they have in common, in the host area block by block.
/// - [#close] writes every live session to its file.
///
/// ```java
/// try (Sessions sessions = Sessions.open(engine, identity, SessionLimits.DEFAULT, Optional.of(folder))) {
///     var key = new SessionKey(tenant, "travel plans");
///     sessions.create(key);
///     try (SessionTurn turn = sessions.begin(key); Engine.Place place = engine.reserve(1, newTokens.length)) {
///         Generation generation = turn.submit(place, request(concat(turn.tokens(), newTokens)));
///         int tokens = readAll(generation);
///         turn.keep(tokens);
///     }
///     sessions.suspend(key);
/// }
/// ```
///
/// Safe for use by many threads. Calls that read or write files, or bring memory in, take as long as that takes, on the
/// calling thread; the engine goes on. Close it before the engine.
public final class Sessions implements AutoCloseable {

    private static final System.Logger LOG = System.getLogger(Sessions.class.getName());

    private final SessionDesk desk;
    private final Optional<SessionFolder> folder;
    private final SessionBook book;
    private final SessionRoom room;

    private Sessions(SessionDesk desk, SessionIdentity identity, SessionLimits limits, Optional<Path> folder, InstantSource clock) {
        this.desk = desk;
        SessionDesk.Sizes sizes = desk.sizes();
        this.folder = folder.map(path -> new SessionFolder(path, identity,
                new SessionFile.Bounds(sizes.slotBytes(), sizes.blockBytes(), desk.vocabSize(), desk.mostTokens())));
        book = new SessionBook(limits, this.folder, clock);
        room = new SessionRoom(desk, book, this.folder, sizes);
    }

    /// Opens the sessions of an engine. Those in the folder are found when they are named.
    ///
    /// @param folder for files; made where there is none. Empty = sessions live as long as the process, and none can be suspended
    /// @throws SessionException `UNSUPPORTED` when the engine has no host area, `STORAGE` when the folder cannot be made
    public static Sessions open(Engine engine, SessionIdentity identity, SessionLimits limits, Optional<Path> folder) {
        return open(engine, identity, limits, folder, InstantSource.system());
    }

    /// The same with another clock.
    static Sessions open(Engine engine, SessionIdentity identity, SessionLimits limits, Optional<Path> folder, InstantSource clock) {
        SessionDesk desk = engine.sessionDesk();
        if (desk.host().states() == 0 || desk.host().blocks() == 0) {
            throw new SessionException(Kind.UNSUPPORTED, "this engine has no host area, in which sessions rest; plan one");
        }
        return new Sessions(desk, identity, limits, folder, clock);
    }

    /// Makes a session without history.
    ///
    /// @throws SessionException `EXISTS`, `TOO_MANY`
    public SessionInfo create(SessionKey key) {
        Session session = book.enter(key);
        room.hold(session, new SessionRecord(key, new int[0], 0, session.created), Optional.empty());
        return book.release(session);
    }

    /// Makes a session that begins with some tokens, and computes them.
    ///
    /// @param place  for one sequence
    /// @param prefix at least one token
    /// @throws SessionException `EXISTS`, `TOO_MANY`, `TOO_LARGE`
    /// @throws dev.sidewinder.engine.EngineException when they cannot be computed; there is no session then
    public SessionInfo create(SessionKey key, Engine.Place place, int[] prefix) {
        return create(key, place, prefix, 0);
    }

    /// The same with an urgency of its own.
    ///
    /// @param priority of what is computed for it, as that of a request
    public SessionInfo create(SessionKey key, Engine.Place place, int[] prefix, int priority) {
        if (prefix.length == 0) {
            throw new IllegalArgumentException("session " + key + " is to begin with no tokens");
        }
        Session session = book.enter(key);
        boolean complete = false;
        try {
            // The last token is left to the first request, whose logits are those behind it.
            Optional<SessionMemory> memory = prefix.length == 1 ? Optional.empty() : compute(key, place, Arrays.copyOf(prefix, prefix.length - 1), priority);
            room.hold(session, new SessionRecord(key, prefix.clone(), prefix.length, session.created), memory);
            complete = true;
        } finally {
            if (!complete) {
                book.leave(session);
            }
        }
        return book.release(session);
    }

    private Optional<SessionMemory> compute(SessionKey key, Engine.Place place, int[] tokens, int priority) {
        room.makeRoom(CacheShape.blocksFor(tokens.length));
        var request = new GenerationRequest("session", tokens, 0, 0, Set.of(), 1, -1, SamplingParams.greedy())
                .withUrgency(priority, key.tenant());
        SessionDesk.Turn turn = desk.submit(place, request, Optional.empty(), tokens.length);
        TurnEnd end = turn.end().join();
        end.failure().ifPresent(cause -> {
            throw new EngineException(cause.kind(), cause.getMessage());
        });
        return end.memory();
    }

    /// What there is to know of a session.
    ///
    /// @throws SessionException `NOT_FOUND`
    public SessionInfo info(SessionKey key) {
        return book.info(key);
    }

    /// All sessions of an owner, by name.
    public List<SessionInfo> list(String tenant) {
        return book.list(tenant);
    }

    /// Live and suspended sessions that this process knows, and their bytes: for metrics.
    public record Counts(int live, long liveBytes, int suspended, long suspendedBytes) {}

    public Counts counts() {
        return book.counts();
    }

    /// Takes a session for a request; one that is suspended is brought back first.
    ///
    /// @throws SessionException `NOT_FOUND`, `BUSY`, and what [#resume] throws
    public SessionTurn begin(SessionKey key) {
        Session session = book.acquire(key);
        try {
            room.bringBack(session);
            return new SessionTurn(this, session);
        } catch (RuntimeException failed) {
            book.release(session);
            throw failed;
        }
    }

    /// Makes a second session with the same history, which goes on by itself. A session that is suspended is brought back first.
    ///
    /// @param name of the new one; same owner
    /// @throws SessionException `NOT_FOUND`, `BUSY`, `EXISTS`, `TOO_MANY`, and what [#resume] throws
    public SessionInfo fork(SessionKey key, String name) {
        Session session = book.acquire(key);
        try {
            room.bringBack(session);
            Session fork = book.enter(new SessionKey(key.tenant(), name));
            try {
                SessionRecord history = session.history();
                Optional<SessionMemory> memory = session.memory().map(desk::share);
                room.hold(fork, new SessionRecord(fork.key, history.tokens(), history.answerStart(), fork.created), memory);
            } catch (RuntimeException failed) {
                book.leave(fork);
                throw failed;
            }
            return book.release(fork);
        } finally {
            book.release(session);
        }
    }

    /// Writes a session to its file and gives its memory back. One that is suspended already stays as it is.
    ///
    /// @throws SessionException `NOT_FOUND`, `BUSY`, `UNSUPPORTED` without a folder, `STORAGE`
    public SessionInfo suspend(SessionKey key) {
        return with(key, room::putAway);
    }

    /// Brings a session back from its file, which stays. One that is live already stays as it is.
    ///
    /// @throws SessionException `NOT_FOUND`, `BUSY`, `INCOMPATIBLE`, `DAMAGED`, `TOO_LARGE`, `NO_ROOM`, `STORAGE`
    public SessionInfo resume(SessionKey key) {
        return with(key, room::bringBack);
    }

    private SessionInfo with(SessionKey key, Consumer<Session> deed) {
        Session session = book.acquire(key);
        try {
            deed.accept(session);
        } catch (RuntimeException failed) {
            book.release(session);
            throw failed;
        }
        return book.release(session);
    }

    /// Ends a session: its memory is given back and its file deleted.
    ///
    /// @throws SessionException `NOT_FOUND`, `BUSY`, `STORAGE`
    public void delete(SessionKey key) {
        with(key, room::delete);
    }

    /// Writes every live session to its file, where there is a folder; what cannot be written is told in the log. Nothing can be
    /// done with sessions afterwards; requests of them should have ended.
    @Override
    public void close() {
        for (Session session : book.close()) {
            try {
                if (folder.isPresent()) {
                    room.putAway(session);
                }
            } catch (RuntimeException failed) {
                LOG.log(Level.ERROR, () -> "session \"" + session.key.name() + "\" was not written to its file", failed);
            }
        }
    }

    // For turns.

    SessionDesk.Turn submit(Session session, Engine.Place place, GenerationRequest request) {
        long tokens = (long) request.prompt().length + request.maxTokens();
        int blocks = CacheShape.blocksFor((int) Math.min(tokens, desk.mostTokens()));
        int common = session.memory().map(SessionMemory::computed).orElse(0) / CacheShape.BLOCK_TOKENS;
        room.makeRoom(blocks - Math.min(blocks, common));
        // A state after the whole prompt leaves nothing to compute, so there would be no logits: then all is computed again.
        Optional<SessionMemory> from = session.memory().filter(memory -> memory.computed() < request.prompt().length);
        int known = session.history().tokens().length;
        int answerStart = request.prompt().length == known ? session.history().answerStart() : request.prompt().length;
        return desk.submit(place, request, from, answerStart);
    }

    SessionInfo keep(Session session, int[] tokens, int answerStart, Optional<SessionMemory> left) {
        Optional<SessionMemory> useful = left.filter(memory -> memory.computed() <= tokens.length);
        Optional<SessionMemory> before = session.memory();
        (useful.isPresent() ? before : left).ifPresent(desk::drop);
        Optional<SessionMemory> memory = useful.isPresent() ? useful : before;
        room.hold(session, new SessionRecord(session.key, tokens, answerStart, session.created), memory);
        return book.release(session);
    }

    /// Gives back what a turn left that is not kept.
    void forget(TurnEnd end) {
        end.memory().ifPresent(desk::drop);
    }

    void release(Session session) {
        book.release(session);
    }
}
