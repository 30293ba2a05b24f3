package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.EngineException.Kind;
import java.time.Duration;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;

/// Plays traces against an engine and holds the results against six oracles:
///
/// - **solo**: every request, those of sessions included, has the ids, log-probabilities (as bits), prompt scores and ends that it
///   has alone on a fresh engine; one that was cancelled, came too late, or was there when the engine ended has a prefix of them;
/// - **zero leak**: afterwards no block, slot, queue place, token or thread is held, and when the prefix cache has been emptied, the
///   whole pool is free;
/// - **conservation**: every request that went in came out, in exactly one way, and only for a reason that there was;
/// - **books**: `checkInvariants` holds after every step and every deed between steps, and a cancel frees memory within two steps;
/// - **cache truth**: the tokens that a request is told to have reused are those that were not computed for it;
/// - **fairness**: nobody waits for more work than ten times what was there when it came ([FairnessOracle]).
///
/// The trace's actions happen on the engine thread at the beginning of the steps they are set for, and the clock is made of steps, so a
/// trace plays the same way every time. Any backend will do: give the harness a supplier of fresh ones. Traces have sessions where the
/// backend has a host area and its decode steps leave the same bits as scans; elsewhere an answer that goes on from another one's memory
/// has not the bits that it has alone, and should not.
///
/// Where decode steps do leave the same bits, requests that go on from answers may use what these left; elsewhere only what prompts left.
///
/// A trace that fails is made smaller as long as it fails ([TraceShrinker]), and what remains is printed as a test.
public final class TraceHarness {

    private static final Set<Kind> FROM_OUTSIDE = Set.of(Kind.QUEUE_TIMEOUT, Kind.DEADLINE_EXCEEDED, Kind.SLOW_READER, Kind.DRAINING,
            Kind.ENGINE_FAILED);
    private static final Duration PATIENCE = Duration.ofMinutes(1);
    private static final Duration PATIENCE_WHEN_SHRINKING = Duration.ofSeconds(10);
    private static final int MOST_PLAYS = 3000;
    private static final Duration MOST_SHRINKING = Duration.ofSeconds(40);

    private final Supplier<? extends Backend> backends;
    private TraceTotals totals = TraceTotals.NONE;
    private double longestWait;

    /// @param backends makes fresh backends, all of the same shape and with the same model
    public TraceHarness(Supplier<? extends Backend> backends) {
        this.backends = backends;
    }

    /// What happened in the traces played so far.
    public TraceTotals totals() {
        return totals;
    }

    /// The most work that a sequence waited for, as a multiple of what was there when it came.
    public double longestWait() {
        return longestWait;
    }

    /// Draws a trace and plays it.
    public void play(long seed, Trace.Size size) {
        play(seed, size, backends);
    }

    /// Draws a trace and plays it on other backends than those that requests run alone on: it must come to the same.
    ///
    /// @param together makes fresh ones: one, and where the trace fails, one for each try to make it smaller
    public void play(long seed, Trace.Size size, Supplier<? extends Backend> together) {
        Backend backend = together.get();
        Trace trace = draw(seed, size, backend);
        String description = backend.toString();
        Throwable failure = failureOf(trace, backend, PATIENCE);
        if (failure != null) {
            throw shrunk(trace, together, failure, description);
        }
    }

    /// Draws a trace and plays it where it is to fail.
    ///
    /// @return whether it did; it is not made smaller
    public boolean finds(long seed, Trace.Size size, Supplier<? extends Backend> together) {
        Backend backend = together.get();
        return failureOf(draw(seed, size, backend), backend, PATIENCE) != null;
    }

    private static Trace draw(long seed, Trace.Size size, Backend backend) {
        BackendMemory memory = backend.memory();
        boolean sessions = memory.host().states() > 0 && memory.host().blocks() > 0 && backend.decodeEqualsScan();
        return new TraceDrawing(seed, size, memory.frames(), backend.vocabSize(), sessions).draw();
    }

    /// Plays a trace as it is: one that failed before, as it was printed.
    public void play(Trace trace) throws InterruptedException {
        play(trace, backends.get(), PATIENCE);
    }

    private void play(Trace trace, Backend backend, Duration patience) throws InterruptedException {
        var player = new TracePlayer(trace, backend, patience);
        List<TracePlayer.Played> together = player.play();
        totals = totals.plus(player.totals());
        longestWait = Math.max(longestWait, player.longestWait());
        // A request that was sent again has the same answer.
        Map<GenerationRequest, Outcome> alone = new IdentityHashMap<>();
        for (TracePlayer.Played played : together) {
            Outcome solo = alone.get(played.request());
            if (solo == null) {
                solo = alone(played.request(), trace.limits());
                alone.put(played.request(), solo);
            }
            assertThat(played.outcome().differenceFromSolo(solo, FROM_OUTSIDE)).as("request %s against itself alone", played.request().id())
                    .isEmpty();
        }
    }

    /// Time stands still, so nothing is late.
    private Outcome alone(GenerationRequest request, EngineLimits limits) throws InterruptedException {
        var wide = new EngineLimits(limits.maxSequences(), limits.maxBatchTokens(), 4096, 10_000_000, limits.maxModelTokens());
        try (Engine engine = Engine.start(backends.get(), wide, EngineObserver.NONE, () -> 1L);
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

    /// @return the failure of what remains of the trace, with a test that has it
    private AssertionError shrunk(Trace trace, Supplier<? extends Backend> together, Throwable failure, String backend) {
        TraceTotals before = totals;
        var shrinker = new TraceShrinker(candidate -> failureOf(candidate, together.get(), PATIENCE_WHEN_SHRINKING), MOST_PLAYS, MOST_SHRINKING);
        TraceShrinker.Shrunk shrunk = shrinker.shrink(trace, failure);
        totals = before;
        return new ShrunkTraceError(trace, shrunk, backend);
    }

    /// @return null when it does not fail
    private Throwable failureOf(Trace trace, Backend backend, Duration patience) {
        try {
            play(trace, backend, patience);
            return null;
        } catch (AssertionError | RuntimeException found) {
            return found;
        } catch (InterruptedException interrupt) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted while a trace was played", interrupt);
        }
    }
}
