package dev.sidewinder.bench;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.SequenceAllocation;
import dev.sidewinder.kvcache.SequenceCache;
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

/// A sequence's memory from admission to return: a slot, and blocks as it grows.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)       // compiled within the first second
@Measurement(iterations = 5, time = 1)  // a million sequences in each
public class SequenceCacheBenchmark {

    private static final int BLOCKS = 8192;
    private static final int SLOTS = 256;

    @Param({"1", "32", "1024"})
    public int blocks;

    private SequenceCache cache;
    private long step;

    @Setup
    public void prepare() {
        cache = new SequenceCache(new CacheShape(BLOCKS, SLOTS));
    }

    @Benchmark
    public int admitGrowAndReturn() {
        int tokens = blocks * CacheShape.BLOCK_TOKENS;
        try (SequenceAllocation allocation = cache.admit(tokens).orElseThrow()) {
            cache.stepLaunched(++step);
            allocation.reserve(tokens);
            cache.stepCompleted(step);
            return allocation.blockCount();
        }
    }
}
