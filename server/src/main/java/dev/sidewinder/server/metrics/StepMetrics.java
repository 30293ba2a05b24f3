package dev.sidewinder.server.metrics;

import dev.sidewinder.engine.EngineObserver;
import dev.sidewinder.engine.GenerationTimes;
import dev.sidewinder.engine.Sample.NotFinite.Where;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;

/// Counts the steps of the engine. Called on the engine thread; allocates nothing.
final class StepMetrics implements EngineObserver {

    private final EngineMetrics metrics;
    private final DrainRate drain;
    private final Map<Where, Counter> nanRows = new EnumMap<>(Where.class);
    private final Counter deadEnds;
    private final Histogram tokensPerStep;
    private final Histogram sequences;
    private final Histogram abortToFree;
    private final Map<StepKind, Histogram> seconds = new EnumMap<>(StepKind.class);
    private final Counter scheduleNanos = new Counter();
    private final Counter launchNanos = new Counter();
    private final Counter deviceNanos = new Counter();
    private final Counter sampleNanos = new Counter();
    private final Counter emitNanos = new Counter();
    private volatile long lastStepNanos;
    private final AtomicLong stepNanos;

    StepMetrics(EngineMetrics metrics, MetricRegistry compatible, MetricRegistry own, DrainRate drain, AtomicLong stepNanos) {
        this.stepNanos = stepNanos;
        this.metrics = metrics;
        this.drain = drain;
        for (Where where : Where.values()) {
            nanRows.put(where, own.counter("sidewinder_nan_rows_total", "Rows of logits, and pieces of prompts, with NaN or infinity.",
                    new Label("where", where.name().toLowerCase(Locale.ROOT))));
        }
        deadEnds = own.counter("sidewinder_grammar_dead_end_total", "Choices that ended because masks left no token.");
        tokensPerStep = compatible.histogram("vllm:iteration_tokens_total", "Tokens per engine step.",
                Buckets.tokensPerStep());
        for (StepKind kind : StepKind.values()) {
            seconds.put(kind, own.histogram("sidewinder_step_seconds", "From launch to tokens on the host.",
                    Buckets.steps(), new Label("kind", kind.name().toLowerCase(Locale.ROOT))));
        }
        sequences = own.histogram("sidewinder_step_sequences", "Sequences in a step.", Buckets.tokensPerStep());
        phase(own, "schedule", scheduleNanos);
        // on the CPU the launch is the computation: there is no device that works on its own
        phase(own, "launch", launchNanos);
        phase(own, "gpu", deviceNanos);
        phase(own, "sample", sampleNanos);
        phase(own, "emit", emitNanos);
        abortToFree = own.histogram("sidewinder_abort_to_free_steps", "Steps from the arrival of a cancel to the return of its memory.",
                Buckets.counts());
        own.gauge("sidewinder_seconds_since_step", "Time since the last step; 0 before the first.",
                () -> lastStepNanos == 0 ? 0 : (System.nanoTime() - lastStepNanos) / 1e9);
    }

    private static void phase(MetricRegistry own, String name, Counter nanos) {
        own.counter("sidewinder_step_phase_seconds_total", "Where the time of the steps went.", () -> nanos.value() / 1e9,
                new Label("phase", name));
    }

    @Override
    public void stepCompleted(StepKind kind, int stepSequences, int tokens, long nanos, StepPhases phases) {
        tokensPerStep.observe(tokens);
        sequences.observe(stepSequences);
        seconds.get(kind).observeNanos(nanos);
        stepNanos.addAndGet(nanos);
        scheduleNanos.add(phases.schedule());
        launchNanos.add(phases.launch());
        deviceNanos.add(phases.device());
        sampleNanos.add(phases.sample());
        emitNanos.add(phases.emit());
        lastStepNanos = System.nanoTime();
    }

    @Override
    public void freedAfterCancel(int steps) {
        abortToFree.observe(steps);
    }

    @Override
    public void numericFailure(Where where) {
        nanRows.get(where).increment();
    }

    @Override
    public void deadEnd() {
        deadEnds.increment();
    }

    @Override
    public void requestEnded(RequestOutcome outcome, GenerationTimes times) {
        drain.ended();
    }

    @Override
    public void refused(Refusal reason) {
        metrics.refused(reason);
    }
}
