package dev.sidewinder.engine;

import java.util.List;

/// A list of things that happen to an engine, each at the beginning of a step: arrivals, next turns of answers, retries, bursts, cancels of requests and of
/// single choices, slow readers, resets of the prefix cache, turns and forks of sessions, pauses, faults, and the end of service. All of
/// it is plain values, so a trace can be made smaller ([TraceShrinker]) and printed as Java ([TraceCode]). [TraceDrawing] draws them.
///
/// @param seed        that it was drawn from, for reports
/// @param limits      of the engine
/// @param vocabSize   of the backend
/// @param poisonToken that makes the model compute NaN; -1 = there is none
/// @param actions     in order of their steps
public record Trace(long seed, EngineLimits limits, int vocabSize, int poisonToken, List<Action> actions) {

    public Trace {
        actions = List.copyOf(actions);
    }

    Trace with(List<Action> others) {
        return new Trace(seed, limits, vocabSize, poisonToken, others);
    }

    Trace with(EngineLimits others) {
        return new Trace(seed, others, vocabSize, poisonToken, actions);
    }

    /// What happens, and at the beginning of which step.
    public sealed interface Action {
        long step();

        /// A request arrives. Other actions name it by its number.
        record Arrive(long step, int request, TraceRequest what) implements Action {}

        /// Its client sends a request again, whatever has become of it; nothing when it has not arrived.
        record Retry(long step, int request) implements Action {}

        /// A request that goes on from an earlier one: its prompt is that one's, then what has come of its first choice so far, then the prompt of
        /// its own, cut where it would get too long. Nothing when the earlier one has not arrived.
        ///
        /// @param before number of the earlier one
        record FollowUp(long step, int request, int before, TraceRequest what) implements Action {}

        /// What a request would begin with that goes on from an earlier one is computed before anybody asks, when there is nothing better to do:
        /// the earlier prompt, what has come of its first choice so far, and tokens behind it. Nothing when the earlier one has not arrived, or
        /// keeps nothing.
        record Prepare(long step, int before, TracePrompt behind) implements Action {}

        /// The same request many times at once.
        record Burst(long step, int request, int times) implements Action {}

        /// The latest of that number is cancelled.
        record Cancel(long step, int request) implements Action {}

        record CancelChoice(long step, int request, int choice) implements Action {}

        /// The reader of the latest of that number takes nothing until a later step.
        record Stall(long step, int request, long untilStep) implements Action {}

        /// The prefix cache is emptied.
        ///
        /// @param partition of this partition only; -1 = all
        record Reset(long step, int partition) implements Action {}

        /// A request of a session, of its history and what is added; not where it has one already.
        ///
        /// @param keptShare of the answer, from its beginning; 0 = nothing of the turn is kept
        record Turn(long step, int session, TracePrompt added, int maxTokens, SamplingParams sampling, double keptShare) implements Action {}

        /// A session goes on as two; whatever the second was before is dropped.
        record Fork(long step, int session, int to) implements Action {}

        /// A session begins anew.
        record Forget(long step, int session) implements Action {}

        /// Nothing is done for so long; what is late then is late.
        record Pause(long step, long millis) implements Action {}

        /// The device fails, and with it the engine.
        record Fault(long step, FaultKind kind) implements Action {}

        /// No new requests are taken; those that were go on.
        record Drain(long step) implements Action {}

        /// The time for draining is over: the engine is closed.
        record Close(long step) implements Action {}
    }

    /// What of a step fails.
    public enum FaultKind {
        /// its launch
        LAUNCH,
        /// the launch of one that copies memory
        COPY,
        /// what is noticed when its tokens are awaited
        AWAIT
    }

    /// How large a trace is.
    ///
    /// @param maxRequests    requests at most
    /// @param maxTokens      answers are mostly shorter than this
    /// @param longestTokens  prompt and answer of a request at most, if the pool has room for them
    /// @param poisonToken    token that stands in some prompts and makes the model compute NaN; -1 = none
    public record Size(int maxRequests, int maxTokens, int longestTokens, int poisonToken) {}

    /// As Java, to be pasted into a test.
    @Override
    public String toString() {
        return TraceCode.of(this);
    }
}
