package dev.sidewinder.engine;

import dev.sidewinder.scheduler.Sequence;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
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

/// One token out of a row of logits as long as the published vocabulary.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)       // the loops are compiled within the first second
@Measurement(iterations = 5, time = 1)  // a thousand samples and more in each
public class SamplerBenchmark {

    private static final int VOCAB_SIZE = 131_072;
    /// Spread of a trained model's logits, roughly: a few hundred tokens hold most of the mass.
    private static final double DEVIATION = 3;

    @Param({"greedy", "temperature", "top-k", "top-p", "penalties", "logprobs"})
    public String how;

    private Sampler sampler;
    private SamplingState state;
    private Sequence<Object> sequence;
    private float[] logits;

    @Setup
    public void prepare() {
        var random = new Random(7);
        logits = new float[VOCAB_SIZE];
        for (int i = 0; i < VOCAB_SIZE; i++) {
            logits[i] = (float) (random.nextGaussian() * DEVIATION);
        }
        int[] prompt = random.ints(1000, 0, VOCAB_SIZE).toArray();
        var request = new GenerationRequest("bench", prompt, 100, 0, Set.of(2), 1, -1, params());
        sampler = new Sampler(VOCAB_SIZE);
        state = new SamplingState(request, 0, VOCAB_SIZE);
        sequence = new Sequence<>(1, prompt, 100, false, new Object());
    }

    private SamplingParams params() {
        double temperature = how.equals("greedy") || how.equals("logprobs") ? 0 : 1;
        int topK = how.equals("top-k") ? 50 : 0;
        double topP = how.equals("top-p") ? 0.95 : 1;
        double penalty = how.equals("penalties") ? 1.1 : 1;
        return new SamplingParams(temperature, topK, topP, 0, penalty, 0, 0, Map.of(), List.of(), List.of(), 7,
                how.equals("logprobs") ? 5 : -1);
    }

    @Benchmark
    public Object sample() {
        return sampler.sample(logits, 0, state, sequence);
    }
}
