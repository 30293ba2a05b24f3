package dev.sidewinder.server.rest;

import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.Generation;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.engine.GenerationTimes;
import dev.sidewinder.engine.session.SessionTurn;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/// The generations of one request, one per prompt, as one source of events. One reading thread; `cancel` from any.
final class Generations implements AutoCloseable {

    /// With several prompts the reader looks around this often: one of them may sleep while another has news.
    private static final Duration LOOK_AROUND = Duration.ofMillis(5);

    /// @param prompt which prompt it belongs to
    record Event(int prompt, GenerationEvent event) {}

    private final List<Generation> generations;
    private final int[] openChoices;
    private int next;

    private Generations(List<Generation> generations, List<GenerationRequest> requests) {
        this.generations = generations;
        this.openChoices = requests.stream().mapToInt(GenerationRequest::choices).toArray();
    }

    /// Hands all prompts of a request to the engine, or none.
    static Generations submit(Engine.Place place, List<GenerationRequest> requests) {
        List<Generation> generations = new ArrayList<>(requests.size());
        try {
            for (GenerationRequest request : requests) {
                generations.add(place.submit(request));
            }
            return new Generations(generations, requests);
        } catch (RuntimeException e) {
            generations.forEach(Generation::cancel);
            throw e;
        }
    }

    /// Hands the only prompt of a request to the engine, as the next turn of a session.
    static Generations submit(Engine.Place place, SessionTurn session, GenerationRequest request) {
        return new Generations(List.of(session.submit(place, request)), List.of(request));
    }

    /// Waits for an event of any prompt.
    ///
    /// @return null when nothing came within the time
    Event next(long nanos) throws InterruptedException {
        long deadline = System.nanoTime() + Math.max(0, nanos);
        while (true) {
            Event event = poll();
            if (event != null) {
                return event;
            }
            long left = deadline - System.nanoTime();
            int open = firstOpen();
            if (left <= 0 || open < 0) {
                return null;
            }
            Duration wait = Duration.ofNanos(left);
            if (generations.size() > 1 && wait.compareTo(LOOK_AROUND) > 0) {
                wait = LOOK_AROUND;
            }
            GenerationEvent single = generations.get(open).next(wait);
            if (single != null) {
                return taken(open, single);
            }
        }
    }

    /// An event that is there already, else null. Prompts take turns.
    Event poll() {
        for (int i = 0; i < generations.size(); i++) {
            int prompt = (next + i) % generations.size();
            if (openChoices[prompt] > 0) {
                GenerationEvent event = generations.get(prompt).poll();
                if (event != null) {
                    next = prompt + 1;
                    return taken(prompt, event);
                }
            }
        }
        return null;
    }

    private int firstOpen() {
        for (int i = 0; i < openChoices.length; i++) {
            int prompt = (next + i) % openChoices.length;
            if (openChoices[prompt] > 0) {
                return prompt;
            }
        }
        return -1;
    }

    private Event taken(int prompt, GenerationEvent event) {
        switch (event) {
            case GenerationEvent.Finished finished -> openChoices[prompt]--;
            case GenerationEvent.Failed failed -> openChoices[prompt] = 0;
            case GenerationEvent.Token token -> { }
            case GenerationEvent.PromptScored scored -> { }
            case GenerationEvent.Admitted admitted -> { }
        }
        return new Event(prompt, event);
    }

    /// Ends one choice; the others go on.
    void cancel(int prompt, int choice) {
        generations.get(prompt).cancel(choice);
    }

    /// Ends everything.
    void cancel() {
        generations.forEach(Generation::cancel);
    }

    /// From the first prompt that was submitted to the last token of any.
    GenerationTimes times() {
        long submitted = 0;
        long scheduled = 0;
        long firstToken = 0;
        long lastToken = 0;
        for (Generation generation : generations) {
            GenerationTimes times = generation.times();
            submitted = earliest(submitted, times.submitted());
            scheduled = earliest(scheduled, times.scheduled());
            firstToken = earliest(firstToken, times.firstToken());
            lastToken = Math.max(lastToken, times.lastToken());
        }
        return new GenerationTimes(submitted, scheduled, firstToken, lastToken);
    }

    private static long earliest(long a, long b) {
        return a == 0 ? b : b == 0 ? a : Math.min(a, b);
    }

    @Override
    public void close() {
        cancel();
    }
}
