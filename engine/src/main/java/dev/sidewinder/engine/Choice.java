package dev.sidewinder.engine;

import dev.sidewinder.scheduler.Claim;
import dev.sidewinder.scheduler.Sequence;

/// One of the answers to a request: a sequence, and how its tokens are chosen. The engine thread's own.
final class Choice {

    private final LiveRequest request;
    private final int index;
    private final Sequence<Choice> sequence;
    private final SamplingState sampling;
    private boolean holdsPlace = true;
    private boolean announced;
    private boolean ended;

    Choice(LiveRequest request, int index, long sequenceId, int vocabSize) {
        GenerationRequest wanted = request.request();
        this.request = request;
        this.index = index;
        // All choices have the same prompt: scoring it once is enough.
        boolean scores = wanted.scoresPrompt() && index == 0;
        this.sequence = new Sequence<>(sequenceId, wanted.prompt(), wanted.maxTokens(), scores,
                new Claim(wanted.priority(), wanted.tenant(), request.weight()), wanted.prefixes(), this);
        int answerStart = request.session().map(SessionLink::answerStart).orElse(wanted.prompt().length);
        this.sampling = new SamplingState(wanted, index, vocabSize, answerStart);
    }

    LiveRequest request() {
        return request;
    }

    /// Number among the choices of its request.
    int index() {
        return index;
    }

    Sequence<Choice> sequence() {
        return sequence;
    }

    SamplingState sampling() {
        return sampling;
    }

    /// Whether a place in the queue is still taken for it.
    boolean holdsPlace() {
        return holdsPlace;
    }

    void placeGivenBack() {
        holdsPlace = false;
    }

    /// Whether its reader knows that it has begun.
    boolean isAnnounced() {
        return announced;
    }

    void markAnnounced() {
        announced = true;
    }

    boolean hasEnded() {
        return ended;
    }

    void markEnded() {
        ended = true;
    }
}
