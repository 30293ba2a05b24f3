package dev.sidewinder.bench;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.SampledTokens;
import dev.sidewinder.scheduler.Scheduler;
import dev.sidewinder.scheduler.SchedulerLimits;
import dev.sidewinder.scheduler.Sequence;
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

/// A decode step of the scheduler: choose the batch, take the tokens.
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
    /// Blocks of a frame: those of the published 30B shape in bf16.
    private static final int STATE_BLOCKS = 64;

    @Param({"1", "64", "256"})
    public int sequences;

    private Scheduler<Object> scheduler;
    private SampledTokens tokens;
    private long ids;

    @Setup
    public void prepare() {
        int blocks = sequences * CacheShape.blocksFor(PROMPT_TOKENS + SEQUENCE_TOKENS);
        var cache = FrameCache.plain(FrameShape.holding(sequences, blocks, STATE_BLOCKS));
        scheduler = new Scheduler<>(new SchedulerLimits(sequences, 8192, PROMPT_TOKENS + SEQUENCE_TOKENS), cache);
        tokens = new SampledTokens(2 * sequences);
        for (int i = 0; i < sequences; i++) {
            submit();
        }
    }

    private void submit() {
        scheduler.submit(new Sequence<>(++ids, new int[PROMPT_TOKENS], SEQUENCE_TOKENS, false, this));
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
        for (int i = 0; i < entries; i++) {
            Sequence<Object> sequence = scheduler.scheduled(i);
            if (sequence.generatedTokens() >= SEQUENCE_TOKENS) {
                scheduler.end(sequence);
                submit();
            }
        }
        return entries;
    }
}
