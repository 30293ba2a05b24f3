package dev.sidewinder.engine.session;

import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.Generation;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.engine.SessionDesk;
import dev.sidewinder.engine.SessionDesk.TurnEnd;
import java.util.Arrays;

/// One request of a session, which has it alone from [Sessions#begin] until [#keep] or [#close]. For one thread.
///
/// A turn is all or nothing: until `keep` says what of it belongs to the session, the session is what it was before, and a turn that
/// is closed without, because it failed or its client has gone, leaves nothing.
public final class SessionTurn implements AutoCloseable {

    private final Sessions sessions;
    private final Session session;
    private final int[] history;
    private GenerationRequest request;
    private SessionDesk.Turn turn;
    private boolean over;

    SessionTurn(Sessions sessions, Session session) {
        this.sessions = sessions;
        this.session = session;
        this.history = session.history().tokens();
    }

    /// The session's history: a copy.
    public int[] tokens() {
        return history.clone();
    }

    /// Runs a request of the session, once.
    ///
    /// @param place   for one sequence
    /// @param request its prompt is the history and what is new. With nothing new it goes on with the last answer, whose tokens
    ///                count as generated for penalties. One choice; its prompt is not scored
    /// @throws IllegalArgumentException when the prompt does not begin with the history
    /// @throws SessionException         `TOO_LARGE` when the host area cannot hold it, whatever else is there
    /// @throws dev.sidewinder.engine.EngineException as [Engine.Place#submit]
    public Generation submit(Engine.Place place, GenerationRequest request) {
        if (over || turn != null) {
            throw new IllegalStateException("session " + session.key + " has had its request of this turn");
        }
        int[] prompt = request.prompt();
        if (prompt.length < history.length || !Arrays.equals(history, 0, history.length, prompt, 0, history.length)) {
            throw new IllegalArgumentException("the prompt of request " + request.id() + " does not begin with the " + history.length
                    + " tokens of its session");
        }
        this.request = request;
        turn = sessions.submit(session, place, request);
        return turn.generation();
    }

    /// Ends the turn: the prompt and the first `generated` tokens that came are the session's history now. What the request still
    /// does is cancelled. Waits until the engine has let go of it, a step or two.
    ///
    /// A request that ended by itself is kept whole, stop token included: then nothing is ever computed again. Where less is
    /// kept (a stop string was found in the text), the next request computes again what lies behind the turn's beginning.
    ///
    /// @param generated tokens of the answer that belong to the session
    /// @throws IllegalStateException when the request failed, or not so many tokens came
    public SessionInfo keep(int generated) {
        if (over || turn == null) {
            throw new IllegalStateException("session " + session.key + " has no request to keep");
        }
        turn.generation().close();
        TurnEnd end = turn.end().join();
        int length = request.prompt().length + generated;
        if (end.failure().isPresent()) {
            throw new IllegalStateException("request " + request.id() + " failed: nothing of it can be kept in session " + session.key,
                    end.failure().get());
        }
        if (generated < 0 || length > end.tokens().length) {
            throw new IllegalStateException("session " + session.key + " is to keep " + generated + " generated tokens of "
                    + (end.tokens().length - request.prompt().length));
        }
        over = true;
        return sessions.keep(session, Arrays.copyOf(end.tokens(), length), answerStart(), end.memory());
    }

    /// A request without anything new goes on with the answer before.
    private int answerStart() {
        return request.prompt().length == history.length ? session.history().answerStart() : request.prompt().length;
    }

    /// Gives the session back. Without [#keep] it is as before.
    @Override
    public void close() {
        if (over) {
            return;
        }
        over = true;
        if (turn != null) {
            turn.generation().close();
            turn.end().thenAccept(sessions::forget);
        }
        sessions.release(session);
    }
}
