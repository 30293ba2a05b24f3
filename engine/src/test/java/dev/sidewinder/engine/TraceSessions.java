package dev.sidewinder.engine;

import dev.sidewinder.engine.SessionDesk.TurnEnd;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiPredicate;

/// The sessions of a trace: what [dev.sidewinder.engine.session.Sessions] does with memory, done on the engine thread between two
/// steps, so that a trace plays the same way every time. For that thread.
final class TraceSessions {

    private static final class Session {
        private int[] history = {};
        private Optional<SessionMemory> memory = Optional.empty();
        private boolean busy;

        void hold(Optional<SessionMemory> next) {
            memory.ifPresent(before -> before.places().close());
            memory = next;
        }
    }

    private final Trace trace;
    private final Map<Integer, Session> sessions = new HashMap<>();
    private int turns;
    private int forks;

    TraceSessions(Trace trace) {
        this.trace = trace;
    }

    int turns() {
        return turns;
    }

    int forks() {
        return forks;
    }

    /// The request of a turn, unless its session is busy or as long as can be.
    ///
    /// @param submit takes the request and what ties it to its session, and says whether it was let in
    void begin(Trace.Action.Turn turn, BiPredicate<GenerationRequest, SessionLink> submit) {
        int mostTokens = trace.limits().maxModelTokens();
        Session session = sessions.computeIfAbsent(turn.session(), _ -> new Session());
        int length = session.history.length + turn.added().length();
        if (session.busy || length >= mostTokens) {
            return;
        }
        int[] prompt = Arrays.copyOf(session.history, length);
        int[] added = turn.added().tokens(trace.vocabSize(), trace.poisonToken());
        System.arraycopy(added, 0, prompt, session.history.length, added.length);
        var request = new GenerationRequest("s" + turn.session() + " turn " + ++turns, prompt, Math.min(turn.maxTokens(), mostTokens - length),
                0, Set.of(), 1, -1, TraceRequest.withoutPoison(turn.sampling(), trace.poisonToken()));
        Optional<SessionMemory> base = session.memory.map(TraceSessions::share);
        session.busy = submit.test(request, new SessionLink(base, length));
        if (!session.busy) {
            base.ifPresent(memory -> memory.places().close());
        }
    }

    /// What a turn has left becomes the session's, as far as it is kept.
    void ended(Trace.Action.Turn turn, TurnEnd end) {
        Session session = sessions.get(turn.session());
        session.busy = false;
        int prompt = session.history.length + turn.added().length();
        int kept = prompt + (int) ((end.tokens().length - prompt) * turn.keptShare());
        boolean keeps = end.failure().isEmpty() && turn.keptShare() > 0;
        if (keeps) {
            session.history = Arrays.copyOf(end.tokens(), kept);
        }
        // Where less is kept than was computed, the memory from before the turn remains.
        if (keeps && end.memory().isPresent() && end.memory().get().computed() <= kept) {
            session.hold(end.memory());
        } else {
            end.memory().ifPresent(memory -> memory.places().close());
        }
    }

    /// The second session goes on by itself from where the first one stands.
    void fork(Trace.Action.Fork fork) {
        Session from = sessions.get(fork.session());
        Session to = sessions.computeIfAbsent(fork.to(), _ -> new Session());
        if (from == null || from == to || to.busy) {
            return;
        }
        to.hold(from.memory.map(TraceSessions::share));
        to.history = from.history;
        forks++;
    }

    /// A session that is not busy begins anew.
    void forget(int which) {
        Session session = sessions.get(which);
        if (session != null && !session.busy) {
            session.hold(Optional.empty());
            session.history = new int[0];
        }
    }

    void forgetAll() {
        sessions.keySet().forEach(this::forget);
    }

    private static SessionMemory share(SessionMemory memory) {
        return new SessionMemory(memory.places().share(), memory.computed());
    }
}
