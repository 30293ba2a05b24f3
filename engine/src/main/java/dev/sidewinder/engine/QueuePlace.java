package dev.sidewinder.engine;

import dev.sidewinder.engine.QueuePlaces.Answer;
import java.util.Optional;

/// A place in the queue on its way from a reservation to one or several submissions.
final class QueuePlace implements Engine.Place {

    private final Engine engine;
    private final Optional<QueueShare> share;
    private int requests;
    private long tokens;
    private boolean closed;

    QueuePlace(Engine engine, Optional<QueueShare> share, int requests, long estimatedTokens) {
        this.engine = engine;
        this.share = share;
        this.requests = requests;
        this.tokens = estimatedTokens;
    }

    @Override
    public Generation submit(GenerationRequest request) {
        return submit(request, Optional.empty());
    }

    /// The same for a request that belongs to a session.
    synchronized Generation submit(GenerationRequest request, Optional<SessionLink> session) {
        if (closed || request.choices() > requests) {
            throw new IllegalArgumentException("request " + request.id() + " with " + request.choices() + " choices on a place "
                    + (closed ? "that is closed" : "that has " + requests + " left"));
        }
        engine.requireRunnable(request);
        long needed = (long) request.prompt().length * request.choices();
        if (needed > tokens) {
            Answer answer = engine.queue().takeMoreTokens(share, needed - tokens, requests);
            if (answer != Answer.TAKEN) {
                throw engine.tooManyTokens(request.prompt().length, answer);
            }
            tokens = needed;
        }
        requests -= request.choices();
        tokens -= needed;
        if (requests == 0) {
            giveBackRest();
        }
        return engine.launch(request, session, share);
    }

    @Override
    public synchronized void close() {
        if (!closed) {
            giveBackRest();
        }
    }

    private void giveBackRest() {
        closed = true;
        engine.queue().giveBack(share, requests, tokens);
        engine.placesGivenUp(requests);
        requests = 0;
        tokens = 0;
    }
}
