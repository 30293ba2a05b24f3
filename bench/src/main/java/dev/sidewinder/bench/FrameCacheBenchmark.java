package dev.sidewinder.bench;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.MemoryAdmission;
import dev.sidewinder.kvcache.MemoryWish;
import dev.sidewinder.kvcache.SequenceMemory;
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
public class FrameCacheBenchmark {

    private static final int BLOCKS = 8192;
    private static final int SEQUENCES = 256;
    /// Blocks of a frame: those of the published 30B shape in bf16.
    private static final int STATE_BLOCKS = 64;

    @Param({"1", "32", "1024"})
    public int blocks;

    private FrameCache cache;
    private long step;

    @Setup
    public void prepare() {
        cache = FrameCache.plain(FrameShape.holding(SEQUENCES, BLOCKS, STATE_BLOCKS));
    }

    @Benchmark
    public int admitGrowAndReturn() {
        int tokens = blocks * CacheShape.BLOCK_TOKENS;
        if (!(cache.admit(MemoryWish.alone(tokens)) instanceof MemoryAdmission.Granted(SequenceMemory memory))) {
            throw new IllegalStateException("an empty cache has no room for " + blocks + " blocks: " + cache.use());
        }
        try (memory) {
            memory.reserve(0, tokens);
            cache.launch(++step);
            cache.stepCompleted(step);
            return memory.blockCount();
        }
    }
}
