package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import java.util.List;
import java.util.function.Supplier;

/// Plays traces against an engine and holds the results against five oracles:
///
/// - **solo**: every request, those of sessions included, has the ids, log-probabilities (as bits), prompt scores and ends that it
///   has alone on a fresh engine; a cancelled one has a prefix of them;
/// - **zero leak**: afterwards no block, slot, queue place, token or thread is held, and when the prefix cache has been emptied, the
///   whole pool is free;
/// - **conservation**: every request that went in came out, in exactly one way;
/// - **books**: `checkInvariants` holds after every step and every deed between steps, and a cancel frees memory within two steps;
/// - **cache truth**: the tokens that a request is told to have reused are those that were not computed for it.
///
/// The trace's actions happen on the engine thread at the beginning of the steps they are set for, so a trace plays the
/// same way every time. Any backend will do: give the harness a supplier of fresh ones. Traces have sessions where the backend has a
/// host area and its decode steps leave the same bits as scans; elsewhere an answer that goes on from another one's memory has not
/// the bits that it has alone, and should not.
public final class TraceHarness {

    private final Supplier<? extends Backend> backends;
    private TraceTotals totals = TraceTotals.NONE;

    /// @param backends makes fresh backends, all of the same shape and with the same model
    public TraceHarness(Supplier<? extends Backend> backends) {
        this.backends = backends;
    }

    /// What happened in the traces played so far.
    public TraceTotals totals() {
        return totals;
    }

    /// Draws a trace and plays it.
    public void play(long seed, Trace.Size size) {
        play(seed, size, backends.get());
    }

    /// Draws a trace and plays it on another backend than those that requests run alone on: it must come to the same.
    public void play(long seed, Trace.Size size, Backend backend) {
        BackendMemory memory = backend.memory();
        boolean sessions = memory.host().states() > 0 && memory.host().blocks() > 0 && backend.decodeEqualsScan();
        Trace trace = Trace.draw(seed, size, memory.frames(), backend.vocabSize(), sessions);
        try {
            play(trace, backend);
        } catch (Throwable failure) {
            throw new AssertionError("failed with " + trace, failure);
        }
    }

    private void play(Trace trace, Backend backend) throws InterruptedException {
        var player = new TracePlayer(trace, backend);
        List<TracePlayer.Played> together = player.play();
        totals = totals.plus(player.totals());
        for (TracePlayer.Played played : together) {
            Outcome solo = alone(played.request(), trace.limits());
            assertThat(played.outcome().differenceFromSolo(solo)).as("request %s against itself alone", played.request().id()).isEmpty();
        }
    }

    private Outcome alone(GenerationRequest request, EngineLimits limits) throws InterruptedException {
        try (Engine engine = Engine.start(backends.get(), limits, EngineObserver.NONE);
                Engine.Place place = engine.reserve(request.choices(), 0)) {
            var outcome = new Outcome(request.choices());
            Generation generation = place.submit(request);
            while (!outcome.isComplete()) {
                GenerationEvent event = generation.next(Duration.ofSeconds(60));
                assertThat(event).as("an event within a minute, alone").isNotNull();
                outcome.add(event);
            }
            return outcome;
        }
    }
}
