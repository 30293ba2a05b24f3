package dev.sidewinder.engine;

import java.util.concurrent.atomic.AtomicLong;

/// Counts the places of the queue that are taken, in sequences and in prompt tokens, both in one word so that many
/// threads can take both at once. A place is taken before a request is rendered and given back when its sequence is first
/// in a batch, or has ended before.
///
/// A request larger than the whole queue is taken when nobody else is in it: refusing it would tell its client to try
/// again for ever.
final class QueuePlaces {

    private static final int TOKEN_BITS = 40;
    private static final long TOKEN_MASK = (1L << TOKEN_BITS) - 1;
    private static final long MOST_TOKENS = 1L << (TOKEN_BITS - 1);

    enum Answer {
        TAKEN, TOO_MANY_REQUESTS, TOO_MANY_TOKENS
    }

    private final int maxRequests;
    private final long maxTokens;
    private final AtomicLong taken = new AtomicLong();

    QueuePlaces(int maxRequests, long maxTokens) {
        this.maxRequests = maxRequests;
        this.maxTokens = maxTokens;
    }

    int requests() {
        return (int) (taken.get() >>> TOKEN_BITS);
    }

    long tokens() {
        return taken.get() & TOKEN_MASK;
    }

    Answer take(int requests, long tokens) {
        while (true) {
            long now = taken.get();
            long requestsThen = (now >>> TOKEN_BITS) + requests;
            long tokensThen = (now & TOKEN_MASK) + tokens;
            if (now != 0 && requestsThen > maxRequests) {
                return Answer.TOO_MANY_REQUESTS;
            }
            if (now != 0 && tokensThen > maxTokens || tokensThen > MOST_TOKENS) {
                return Answer.TOO_MANY_TOKENS;
            }
            if (taken.compareAndSet(now, requestsThen << TOKEN_BITS | tokensThen)) {
                return Answer.TAKEN;
            }
        }
    }

    /// Takes tokens for a place that turns out larger than its estimate.
    ///
    /// @param ownRequests sequences of that place; when they are all there is in the queue, any number of tokens goes
    Answer takeMoreTokens(long tokens, int ownRequests) {
        while (true) {
            long now = taken.get();
            long tokensThen = (now & TOKEN_MASK) + tokens;
            boolean alone = now >>> TOKEN_BITS == ownRequests;
            if (!alone && tokensThen > maxTokens || tokensThen > MOST_TOKENS) {
                return Answer.TOO_MANY_TOKENS;
            }
            if (taken.compareAndSet(now, now + tokens)) {
                return Answer.TAKEN;
            }
        }
    }

    void giveBack(int requests, long tokens) {
        long then = taken.addAndGet(-((long) requests << TOKEN_BITS) - tokens);
        if (then < 0) {
            throw new IllegalStateException("gave back " + requests + " places and " + tokens + " tokens that were not taken");
        }
    }
}
