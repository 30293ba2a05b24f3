package dev.sidewinder.engine;

import dev.sidewinder.engine.EngineObserver.RequestOutcome;
import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.scheduler.Admission;
import dev.sidewinder.scheduler.Scheduler;
import dev.sidewinder.scheduler.Sequence;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;

/// The requests that the engine works on, and everything that happens to one between its submission and its end: queue,
/// pause, cancel, finish, failure. Each ends exactly once, and then holds neither place nor memory. The engine thread's
/// own.
final class LiveRequests {

    private final Scheduler<Choice> scheduler;
    private final QueuePlaces places;
    private final Deadlines deadlines;
    private final EngineObserver observer;
    private final Consumer<Allocation> erase;
    private final Set<LiveRequest> live = new LinkedHashSet<>();
    private final List<RequestStream> toWake = new ArrayList<>();

    /// @param erase fills memory with zeros, behind the steps under way
    LiveRequests(Scheduler<Choice> scheduler, QueuePlaces places, Deadlines deadlines, EngineObserver observer,
            Consumer<Allocation> erase) {
        this.scheduler = scheduler;
        this.places = places;
        this.deadlines = deadlines;
        this.observer = observer;
        this.erase = erase;
    }

    boolean isEmpty() {
        return live.isEmpty();
    }

    int size() {
        return live.size();
    }

    /// Puts an event before the reader, who learns of it by [#wakeReaders()].
    void publish(LiveRequest request, GenerationEvent event) {
        request.stream().publish(event);
        toWake.add(request.stream());
    }

    /// Puts a new request in the queue.
    void accept(LiveRequest request) {
        live.add(request);
        request.session().ifPresent(session -> session.begin(request.choices().getFirst().sequence()));
        // The prompt's scores come before the first token of any choice, so the other choices wait for them. And where they can go
        // on from what the first one computes, waiting is less work than computing it again.
        int now = request.request().scoresPrompt() || request.request().sharesPrompt() ? 1 : request.choices().size();
        for (int i = 0; i < now; i++) {
            submit(request.choices().get(i));
        }
    }

    /// Lets the choices go on that wait for the first one to have computed the prompt.
    void submitHeldBack(LiveRequest request) {
        for (Choice choice : request.choices()) {
            if (choice.sequence().state() == Sequence.State.NEW && !choice.hasEnded()) {
                submit(choice);
            }
        }
    }

    private void submit(Choice choice) {
        switch (scheduler.submit(choice.sequence())) {
            case Admission.Queued _ -> {
            }
            case Admission.NeverFits refusal -> throw new IllegalStateException("let in a request that can never run: " + refusal);
        }
    }

    /// Ends what is left of a request, for its owner.
    ///
    /// @param steps the most steps that can have completed since it was asked
    void cancel(LiveRequest request, long steps) {
        request.markCancelled();
        for (Choice choice : request.choices()) {
            cancel(choice, steps);
        }
    }

    /// Ends one choice, for its owner.
    ///
    /// @param steps the most steps that can have completed since it was asked
    void cancel(Choice choice, long steps) {
        if (choice.hasEnded()) {
            return;
        }
        boolean heldMemory = switch (choice.sequence().state()) {
            case RUNNING, PAUSED -> true;
            case NEW, WAITING, SUSPENDED, ENDED -> false;
        };
        finish(choice, FinishReason.CANCELLED);
        if (heldMemory) {
            // The memory is free when the steps under way have completed too.
            observer.freedAfterCancel((int) steps + scheduler.stepsUnderWay());
        }
    }

    /// Takes a request out of the steps, unless its reader has caught up already.
    void pause(LiveRequest request, long now) {
        if (!request.stream().pause()) {
            return;
        }
        request.pause(now);
        for (Choice choice : request.choices()) {
            Sequence.State state = choice.sequence().state();
            if (state == Sequence.State.RUNNING || state == Sequence.State.SUSPENDED) {
                scheduler.pause(choice.sequence());
            }
        }
    }

    /// Lets a paused request take part again.
    void resume(LiveRequest request) {
        request.resume();
        for (Choice choice : request.choices()) {
            Sequence.State state = choice.sequence().state();
            if (state == Sequence.State.PAUSED || state == Sequence.State.SUSPENDED) {
                scheduler.resume(choice.sequence());
            }
        }
    }

    /// Fails what has taken too long.
    void failLate(long now) {
        for (LiveRequest request : List.copyOf(live)) {
            deadlines.missed(request, now).ifPresent(miss -> fail(request, miss));
        }
    }

    /// Ends a choice that came to its end.
    void finish(Choice choice, FinishReason reason) {
        LiveRequest request = choice.request();
        takeOut(choice, Optional.empty());
        publish(request, new GenerationEvent.Finished(choice.index(), reason));
        if (request.choiceEnded()) {
            leave(request, request.isCancelled() ? RequestOutcome.CANCELLED : RequestOutcome.COMPLETED);
        } else if (choice.index() == 0) {
            submitHeldBack(request);
        }
    }

    /// Ends a request whose computation has gone wrong: nothing of it serves others, and its memory is erased.
    void spoil(LiveRequest request, EngineException cause) {
        for (Choice choice : request.choices()) {
            Sequence.State state = choice.sequence().state();
            if (state == Sequence.State.RUNNING || state == Sequence.State.PAUSED) {
                erase.accept(scheduler.discard(choice.sequence()));
            }
        }
        fail(request, cause);
    }

    /// Ends a request by a failure.
    void fail(LiveRequest request, EngineException cause) {
        for (Choice choice : request.choices()) {
            if (!choice.hasEnded()) {
                takeOut(choice, Optional.of(cause));
            }
        }
        publish(request, new GenerationEvent.Failed(cause));
        leave(request, RequestOutcome.FAILED);
    }

    /// @param failure where it failed, so that its session, if it has one, has no use for what it computed
    private void takeOut(Choice choice, Optional<EngineException> failure) {
        choice.markEnded();
        Sequence.State state = choice.sequence().state();
        Optional<SessionLink> session = choice.request().session();
        if (failure.isEmpty() && session.isPresent()) {
            session.get().finished(scheduler, choice.sequence());
        } else if (state != Sequence.State.NEW) {
            if (state != Sequence.State.ENDED) {
                scheduler.end(choice.sequence());
            }
            session.ifPresent(link -> link.failed(choice.sequence(), failure.orElseThrow()));
        }
        if (choice.holdsPlace()) {
            givePlaceBack(choice);
        }
    }

    /// Notes that a choice is in a batch; the first time, its place in the queue is free.
    void scheduled(Choice choice, long now) {
        if (choice.holdsPlace()) {
            givePlaceBack(choice);
            choice.request().scheduled(now);
        }
    }

    /// Says that a choice has begun, the first time a step of it has completed.
    void announce(Choice choice) {
        if (!choice.isAnnounced()) {
            choice.markAnnounced();
            publish(choice.request(), new GenerationEvent.Admitted(choice.index(), choice.sequence().reusedTokens(),
                    choice.sequence().explanation()));
        }
    }

    private void givePlaceBack(Choice choice) {
        choice.placeGivenBack();
        places.giveBack(choice.request().share(), 1, choice.sequence().promptTokens());
    }

    private void leave(LiveRequest request, RequestOutcome outcome) {
        live.remove(request);
        observer.requestEnded(outcome, request.times());
    }

    /// Lets the readers of everything published since the last time look.
    void wakeReaders() {
        for (int i = 0; i < toWake.size(); i++) {
            toWake.get(i).wake();
        }
        toWake.clear();
    }

    /// Fails everything, taken out of the books in order.
    void failAll(EngineException cause) {
        List.copyOf(live).forEach(request -> fail(request, cause));
    }

    /// Fails everything and leaves the books alone: after a failure of the engine they are not to be trusted.
    void abandonAll(EngineException cause) {
        live.forEach(request -> abandon(request, cause));
        live.clear();
    }

    /// Fails a request without looking at the books. Any thread, once the engine thread takes nothing any more.
    void abandon(LiveRequest request, EngineException cause) {
        for (Choice choice : request.choices()) {
            request.session().ifPresent(session -> session.abandoned(choice.sequence(), cause));
            if (choice.holdsPlace()) {
                givePlaceBack(choice);
            }
        }
        request.stream().publish(new GenerationEvent.Failed(cause));
        request.stream().wake();
        observer.requestEnded(RequestOutcome.FAILED, request.times());
    }
}
