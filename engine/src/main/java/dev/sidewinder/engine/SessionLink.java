package dev.sidewinder.engine;

import dev.sidewinder.engine.SessionDesk.TurnEnd;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.SequenceMemory;
import dev.sidewinder.kvcache.SuspendedMemory;
import dev.sidewinder.scheduler.Scheduler;
import dev.sidewinder.scheduler.Sequence;
import java.util.Arrays;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/// What ties a request to its session: the memory that it goes on from, and where it leaves its own. The engine thread's own, but
/// for the future.
final class SessionLink {

    private final Optional<SessionMemory> base;
    private final int answerStart;
    private final CompletableFuture<TurnEnd> end = new CompletableFuture<>();

    /// @param base        a hold of its own, given back here
    /// @param answerStart prompt tokens from here on count as generated
    SessionLink(Optional<SessionMemory> base, int answerStart) {
        this.base = base;
        this.answerStart = answerStart;
    }

    CompletableFuture<TurnEnd> end() {
        return end;
    }

    int answerStart() {
        return answerStart;
    }

    /// Has the sequence go on where the session stands.
    void begin(Sequence<?> sequence) {
        base.ifPresent(memory -> sequence.goOnFrom(memory.places().share(), memory.computed()));
    }

    /// The sequence has come to its end: its memory goes to the host, as far as it is not there already.
    void finished(Scheduler<Choice> scheduler, Sequence<Choice> sequence) {
        int[] tokens = Arrays.copyOf(sequence.tokens(), sequence.length());
        Optional<SessionMemory> memory = scheduler.detach(sequence).flatMap(detached -> keep(detached.memory(), detached.computed()));
        close();
        end.complete(new TurnEnd(tokens, memory, Optional.empty()));
    }

    private Optional<SessionMemory> keep(SequenceMemory memory, int computed) {
        // Whole blocks are never written again, so those of the base are still what they were.
        int common = base.map(each -> each.computed() / CacheShape.BLOCK_TOKENS).orElse(0);
        Optional<SuspendedMemory> places = computed == 0 ? Optional.empty()
                : base.isPresent() ? memory.suspend(base.get().places(), common) : memory.suspend();
        if (places.isEmpty()) {
            memory.close();
        }
        return places.map(each -> new SessionMemory(each, computed));
    }

    /// The request has failed: nothing of it is kept.
    void failed(Sequence<?> sequence, EngineException cause) {
        close();
        abandoned(sequence, cause);
    }

    /// The same when the books are not to be touched any more. Any thread.
    void abandoned(Sequence<?> sequence, EngineException cause) {
        end.complete(new TurnEnd(Arrays.copyOf(sequence.tokens(), sequence.length()), Optional.empty(), Optional.of(cause)));
    }

    private void close() {
        base.ifPresent(memory -> memory.places().close());
    }
}
