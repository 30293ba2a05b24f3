package dev.sidewinder.engine;

import dev.sidewinder.engine.EngineException.Kind;
import java.util.Optional;

/// Tells which requests have taken too long.
final class Deadlines {

    private final Timeouts timeouts;

    Deadlines(Timeouts timeouts) {
        this.timeouts = timeouts;
    }

    /// Why the request must end now; empty when it may go on.
    Optional<EngineException> missed(LiveRequest request, long now) {
        long age = request.ageNanos(now);
        if (!request.isScheduled() && age > timeouts.queueWait().toNanos()) {
            return Optional.of(new EngineException(Kind.QUEUE_TIMEOUT,
                    "the request waited longer than " + timeouts.queueWait().toSeconds() + " s for its turn"));
        }
        if (!request.hasToken() && age > timeouts.firstToken().toNanos()) {
            return Optional.of(new EngineException(Kind.DEADLINE_EXCEEDED,
                    "no token within " + timeouts.firstToken().toSeconds() + " s"));
        }
        if (age > timeouts.total().toNanos()) {
            return Optional.of(new EngineException(Kind.DEADLINE_EXCEEDED,
                    "not finished within " + timeouts.total().toSeconds() + " s"));
        }
        if (request.isPaused() && request.stalledNanos(now) > timeouts.readerStall().toNanos()) {
            return Optional.of(new EngineException(Kind.SLOW_READER, "the reader took nothing for "
                    + timeouts.readerStall().toSeconds() + " s while " + request.stream().undeliveredBytes() + " bytes waited"));
        }
        return Optional.empty();
    }
}
