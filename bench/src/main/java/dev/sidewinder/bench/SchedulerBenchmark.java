package dev.sidewinder.bench;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.Claim;
import dev.sidewinder.scheduler.SampledTokens;
import dev.sidewinder.scheduler.Scheduler;
import dev.sidewinder.scheduler.SchedulerLimits;
import dev.sidewinder.scheduler.Sequence;
import java.util.ArrayDeque;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/// A step of the scheduler, choosing the batch and taking the tokens, in full memory: every sequence that runs generates, and the
/// next in the queue is looked for and finds no room. With a queue somebody leaves it and somebody comes in every step.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)       // steps take microseconds: compiled within the first second
@Measurement(iterations = 5, time = 1)  // ten thousand steps and more in each
public class SchedulerBenchmark {

    private static final int PROMPT_TOKENS = 16;
    /// A sequence that comes to its end begins anew, so the batch stays full.
    private static final int SEQUENCE_TOKENS = 1 << 12;
    private static final long TOKEN_GAP_NANOS = 50_000_000;
    private static final long STEP_NANOS = 10_000_000;
    /// Blocks of a frame: those of the published 30B shape in bf16.
    private static final int STATE_BLOCKS = 64;

    @Param({"1", "64", "256"})
    public int sequences;

    /// Sequences that wait, of [#TENANTS] tenants and [#PRIORITIES] priorities.
    @Param({"0", "2000"})
    public int queued;

    private static final int TENANTS = 50;
    private static final int PRIORITIES = 5;

    private Scheduler<Object> scheduler;
    private SampledTokens tokens;
    private final ArrayDeque<Sequence<Object>> waiting = new ArrayDeque<>();
    private final Random random = new Random(1);
    private long ids;

    @Setup
    public void prepare() {
        int blocks = sequences * CacheShape.blocksFor(PROMPT_TOKENS + SEQUENCE_TOKENS);
        var cache = FrameCache.plain(FrameShape.holding(sequences, blocks, STATE_BLOCKS));
        scheduler = new Scheduler<>(new SchedulerLimits(2 * sequences, 8192, PROMPT_TOKENS + SEQUENCE_TOKENS, TOKEN_GAP_NANOS), cache);
        tokens = new SampledTokens(2 * sequences);
        for (int i = 0; i < sequences; i++) {
            submit();
        }
        step();
        for (int i = 0; i < queued; i++) {
            waiting.add(submit());
        }
        if (step() != sequences || scheduler.waiting() != queued) {
            throw new IllegalStateException(scheduler.running() + " run and " + scheduler.waiting() + " wait");
        }
    }

    private Sequence<Object> submit() {
        var claim = new Claim(random.nextInt(PRIORITIES), "tenant" + random.nextInt(TENANTS));
        var sequence = new Sequence<Object>(++ids, new int[PROMPT_TOKENS], SEQUENCE_TOKENS, false, claim, this);
        scheduler.submit(sequence);
        return sequence;
    }

    @Benchmark
    public int step() {
        Batch batch = scheduler.next();
        tokens.clear();
        int entries = batch.entries().size();
        for (int i = 0; i < entries; i++) {
            tokens.set(i, 7);
        }
        scheduler.complete(batch, tokens);
        scheduler.measured(batch, STEP_NANOS);
        for (int i = 0; i < entries; i++) {
            Sequence<Object> sequence = scheduler.scheduled(i);
            if (sequence.generatedTokens() >= SEQUENCE_TOKENS) {
                scheduler.end(sequence);
                waiting.add(submit());
            }
        }
        comeAndGo();
        return entries;
    }

    private void comeAndGo() {
        Sequence<Object> leaves = waiting.poll();
        if (leaves != null && leaves.state() == Sequence.State.WAITING) {
            scheduler.end(leaves);
            waiting.add(submit());
        }
    }
}
