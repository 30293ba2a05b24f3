package dev.sidewinder.bench;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.MemoryAdmission.Granted;
import dev.sidewinder.kvcache.MemoryWish;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.kvcache.ReuseEstimate;
import dev.sidewinder.kvcache.SequenceMemory;
import java.util.Optional;
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

/// What the prefix tree has of a prompt that it has all of, and a sequence that goes on from there. The conversations are
/// looked up in turn, so their tokens and nodes (25 MB with 64 of 100,000 tokens) come from memory as they would in a server.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)       // compiled within the first second
@Measurement(iterations = 5, time = 1)  // thousands of lookups in each
public class PrefixLookupBenchmark {

    private static final int CONVERSATIONS = 64;
    /// All begin with the same system prompt.
    private static final int COMMON_TOKENS = 2048;
    /// The published 30B shape with fp8 keys and values.
    private static final int BLOCKS_PER_FRAME = 125;
    private static final Partition PARTITION = new Partition(1, 2);

    @Param({"1000", "10000", "100000"})
    public int promptTokens;

    private FrameCache cache;
    private int[][] prompts;
    private int expected;
    private int next;
    private long step;

    @Setup
    public void prepare() {
        int blocks = CONVERSATIONS * CacheShape.blocksFor(promptTokens);
        var shape = new FrameShape(4 * CONVERSATIONS + blocks / BLOCKS_PER_FRAME, BLOCKS_PER_FRAME);
        var random = new Random(1);
        cache = new FrameCache(shape, HostShape.NONE, ReuseEstimate.DEFAULT, random);
        prompts = new int[CONVERSATIONS][promptTokens];
        expected = (promptTokens - 1) / CacheShape.BLOCK_TOKENS * CacheShape.BLOCK_TOKENS;
        for (int[] prompt : prompts) {
            for (int i = 0; i < promptTokens; i++) {
                prompt[i] = i < Math.min(COMMON_TOKENS, promptTokens / 2) ? i : random.nextInt(131_072);
            }
            compute(prompt);
        }
        for (int[] prompt : prompts) {
            int found = cache.reusableTokens(PARTITION, prompt, promptTokens);
            if (found != expected) {
                throw new IllegalStateException("found " + found + " tokens of " + expected);
            }
        }
    }

    private void compute(int[] prompt) {
        try (SequenceMemory memory = admit(prompt)) {
            memory.reserve(memory.reusedTokens(), expected);
            memory.checkpoint(expected, CheckpointPoint.TURN_START);
            cache.launch(++step);
            cache.stepCompleted(step);
            memory.computed(prompt, expected);
        }
    }

    private SequenceMemory admit(int[] prompt) {
        var wish = new MemoryWish(Optional.of(PARTITION), prompt, promptTokens, promptTokens);
        return ((Granted) cache.admit(wish)).memory();
    }

    private int[] nextPrompt() {
        next = (next + 1) % CONVERSATIONS;
        return prompts[next];
    }

    @Benchmark
    public int lookup() {
        return cache.reusableTokens(PARTITION, nextPrompt(), promptTokens);
    }

    /// Lookup, blocks and state for a sequence, and back.
    @Benchmark
    public int admitAndEnd() {
        try (SequenceMemory memory = admit(nextPrompt())) {
            cache.launch(++step);
            cache.stepCompleted(step);
            return memory.reusedTokens();
        }
    }
}
