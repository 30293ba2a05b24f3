package dev.sidewinder.engine;

import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/// Counts the places of the queue that are taken, in sequences and in prompt tokens, both in one word so that many
/// threads can take both at once. A place is taken before a request is rendered and given back when its sequence is first
/// in a batch, or has ended before.
///
/// A request larger than the whole queue is taken when nobody else is in it: refusing it would tell its client to try
/// again for ever. For the same reason a tenant that has nothing in the queue is not held to its [QueueShare].
final class QueuePlaces {

    private static final int TOKEN_BITS = 40;
    private static final long TOKEN_MASK = (1L << TOKEN_BITS) - 1;
    private static final long MOST_TOKENS = 1L << (TOKEN_BITS - 1);

    enum Answer {
        TAKEN, TOO_MANY_REQUESTS, TOO_MANY_TOKENS,
        /// the queue has room, and what the tenant may have of it is taken
        SHARE_OF_REQUESTS, SHARE_OF_TOKENS
    }

    /// What a tenant has in the queue.
    private record Held(int requests, long tokens) {
        static final Held NOTHING = new Held(0, 0);

        Held plus(int moreRequests, long moreTokens) {
            return new Held(requests + moreRequests, tokens + moreTokens);
        }
    }

    private final int maxRequests;
    private final long maxTokens;
    private final AtomicLong taken = new AtomicLong();
    /// Those that have something; changed within `compute` only, which lets one thread at a time see to a tenant.
    private final ConcurrentHashMap<String, Held> held = new ConcurrentHashMap<>();

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

    /// Tenants that have something in the queue.
    int tenants() {
        return held.size();
    }

    /// @param share empty = the whole queue
    Answer take(Optional<QueueShare> share, int requests, long tokens) {
        if (share.isEmpty()) {
            return take(requests, tokens, Held.NOTHING, 0);
        }
        Answer[] answer = new Answer[1];
        held.compute(share.get().tenant(), (_, own) -> {
            Held before = own == null ? Held.NOTHING : own;
            answer[0] = take(requests, tokens, before, share.get().weight());
            return answer[0] == Answer.TAKEN ? before.plus(requests, tokens) : own;
        });
        return answer[0];
    }

    /// @param own what the tenant has already
    private Answer take(int requests, long tokens, Held own, int weight) {
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
            if (own.requests() > 0 && own.requests() + requests > weight * (maxRequests - requestsThen)) {
                return Answer.SHARE_OF_REQUESTS;
            }
            if (own.requests() > 0 && own.tokens() + tokens > weight * (maxTokens - tokensThen)) {
                return Answer.SHARE_OF_TOKENS;
            }
            if (taken.compareAndSet(now, requestsThen << TOKEN_BITS | tokensThen)) {
                return Answer.TAKEN;
            }
        }
    }

    /// Takes tokens for a place that turns out larger than its estimate.
    ///
    /// @param ownRequests sequences of that place; when they are all there is in the queue, any number of tokens goes
    Answer takeMoreTokens(Optional<QueueShare> share, long tokens, int ownRequests) {
        if (share.isEmpty()) {
            return takeMoreTokens(tokens, ownRequests, Held.NOTHING, 0);
        }
        Answer[] answer = new Answer[1];
        held.compute(share.get().tenant(), (_, own) -> {
            Held others = own.plus(-ownRequests, 0);
            answer[0] = takeMoreTokens(tokens, ownRequests, others, share.get().weight());
            return answer[0] == Answer.TAKEN ? own.plus(0, tokens) : own;
        });
        return answer[0];
    }

    /// @param own requests that the tenant has besides, and all its tokens
    private Answer takeMoreTokens(long tokens, int ownRequests, Held own, int weight) {
        while (true) {
            long now = taken.get();
            long tokensThen = (now & TOKEN_MASK) + tokens;
            boolean alone = now >>> TOKEN_BITS == ownRequests;
            if (!alone && tokensThen > maxTokens || tokensThen > MOST_TOKENS) {
                return Answer.TOO_MANY_TOKENS;
            }
            if (own.requests() > 0 && own.tokens() + tokens > weight * (maxTokens - tokensThen)) {
                return Answer.SHARE_OF_TOKENS;
            }
            if (taken.compareAndSet(now, now + tokens)) {
                return Answer.TAKEN;
            }
        }
    }

    /// @param share the one they were taken from
    void giveBack(Optional<QueueShare> share, int requests, long tokens) {
        share.ifPresent(each -> held.compute(each.tenant(), (name, own) -> {
            Held then = own == null ? null : own.plus(-requests, -tokens);
            if (then == null || then.requests() < 0 || then.tokens() < 0) {
                throw new IllegalStateException("gave back " + requests + " places and " + tokens + " tokens of " + name + ", who had " + own);
            }
            return then.equals(Held.NOTHING) ? null : then;
        }));
        long then = taken.addAndGet(-((long) requests << TOKEN_BITS) - tokens);
        if (then < 0) {
            throw new IllegalStateException("gave back " + requests + " places and " + tokens + " tokens that were not taken");
        }
    }
}
