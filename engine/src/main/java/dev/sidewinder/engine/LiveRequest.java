package dev.sidewinder.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// A request inside the engine: its choices, its stream of events and its moments. The engine thread's own, but for the
/// stream and the times, which are read by others.
final class LiveRequest {

    private final GenerationRequest request;
    private final Optional<SessionLink> session;
    private final Optional<QueueShare> share;
    private final RequestStream stream;
    private final List<Choice> choices;
    private final TokenLogprobs[] promptLogprobs;

    private final long submittedNanos;
    private volatile long scheduledNanos;
    private volatile long firstTokenNanos;
    private volatile long lastTokenNanos;

    /// Choices that go on.
    private int openChoices;
    /// Whether its owner gave it up as a whole.
    private boolean cancelled;
    private boolean paused;
    /// What the reader had taken when it was last seen to make progress, and when that was.
    private long progressBytes;
    private long progressNanos;

    /// @param firstSequenceId id of the first choice's sequence; the others follow
    LiveRequest(GenerationRequest request, Optional<SessionLink> session, Optional<QueueShare> share, EngineLoop engine,
            long firstSequenceId, int vocabSize, long submittedNanos) {
        this.request = request;
        this.session = session;
        this.share = share;
        this.submittedNanos = submittedNanos;
        this.openChoices = request.choices();
        this.stream = new RequestStream(this, engine);
        this.promptLogprobs = request.scoresPrompt() ? new TokenLogprobs[request.prompt().length] : null;
        this.choices = new ArrayList<>(request.choices());
        for (int i = 0; i < request.choices(); i++) {
            choices.add(new Choice(this, i, firstSequenceId + i, vocabSize));
        }
    }

    GenerationRequest request() {
        return request;
    }

    /// What it belongs to, if anything.
    Optional<SessionLink> session() {
        return session;
    }

    /// What its places in the queue were taken from.
    Optional<QueueShare> share() {
        return share;
    }

    /// Of its tenant.
    int weight() {
        return share.map(QueueShare::weight).orElse(1);
    }

    RequestStream stream() {
        return stream;
    }

    List<Choice> choices() {
        return choices;
    }

    /// Log-probabilities of the prompt as far as it has been scored; null unless asked for.
    TokenLogprobs[] promptLogprobs() {
        return promptLogprobs;
    }

    GenerationTimes times() {
        return new GenerationTimes(submittedNanos, scheduledNanos, firstTokenNanos, lastTokenNanos);
    }

    void scheduled(long now) {
        if (scheduledNanos == 0) {
            scheduledNanos = now;
        }
    }

    void token(long now) {
        if (firstTokenNanos == 0) {
            firstTokenNanos = now;
        }
        lastTokenNanos = now;
    }

    boolean isScheduled() {
        return scheduledNanos != 0;
    }

    boolean hasToken() {
        return firstTokenNanos != 0;
    }

    long ageNanos(long now) {
        return now - submittedNanos;
    }

    /// Notes that a choice has ended.
    ///
    /// @return whether it was the last
    boolean choiceEnded() {
        return --openChoices == 0;
    }

    boolean isCancelled() {
        return cancelled;
    }

    void markCancelled() {
        cancelled = true;
    }

    boolean isPaused() {
        return paused;
    }

    void pause(long now) {
        paused = true;
        progressBytes = stream.takenBytes();
        progressNanos = now;
    }

    void resume() {
        paused = false;
    }

    /// How long the reader of a paused request has taken nothing.
    long stalledNanos(long now) {
        long taken = stream.takenBytes();
        if (taken != progressBytes) {
            progressBytes = taken;
            progressNanos = now;
        }
        return now - progressNanos;
    }
}
