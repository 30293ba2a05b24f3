package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sidewinder.scheduler.Admission;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.SampledTokens;
import dev.sidewinder.scheduler.Scheduler;
import dev.sidewinder.scheduler.SchedulerLimits;
import dev.sidewinder.scheduler.Sequence;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.FrameShape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// The sampler against a naive one in double that sorts everything, and each rule by itself.
class SamplerTest {

    /// Points in [0, 1) at equal distances: a token of probability p is drawn at p x POINTS of them, give or take one for
    /// each end of its interval.
    private static final int POINTS = 1024;

    // ---- the draw

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void drawsFromTheDistributionThatTheNaiveSamplerHas(long seed) {
        System.out.println("SamplerTest seed " + seed);
        Random random = new Random(seed);
        int compared = 0;
        while (compared < 80) {
            int vocab = 1 + random.nextInt(40);
            float[] row = randomRow(random, vocab);
            SamplingParams params = randomParams(random, vocab);
            double[] expected = naiveDistribution(row, params);
            if (expected != null) {
                assertDistribution(row, params, expected, "seed " + seed + " " + Arrays.toString(row) + " " + params);
                compared++;
            }
        }
    }

    @Test
    void keepsExactlyTopKOfEqualLogitsByLowestId() {
        float[] row = {0, 1, 1, 1, 1, 0};
        assertDistribution(row, params(1, 2, 1, 0), new double[] {0, 0.5, 0.5, 0, 0, 0}, "two of four equal ones");
        assertDistribution(row, params(1, 1, 0.5, 0), new double[] {0, 1, 0, 0, 0, 0}, "one");
        assertDistribution(row, params(1, 99, 1, 0), naiveDistribution(row, params(1, 0, 1, 0)), "more than there are");
    }

    @Test
    void keepsTheFewestThatReachTopP() {
        // probabilities 0.5, 0.25, 0.125, 0.125
        float[] row = {(float) Math.log(8), (float) Math.log(4), (float) Math.log(2), (float) Math.log(2)};
        assertDistribution(row, params(1, 0, 0.6, 0), new double[] {2 / 3.0, 1 / 3.0, 0, 0}, "0.6 needs two");
        assertDistribution(row, params(1, 0, 0.8, 0), new double[] {4 / 7.0, 2 / 7.0, 1 / 7.0, 0}, "0.8 needs three, of equals the first");
        assertDistribution(row, params(1, 0, 0, 0), new double[] {1, 0, 0, 0}, "0 keeps one");
        assertDistribution(row, params(1, 0, 1, 0), new double[] {0.5, 0.25, 0.125, 0.125}, "1 keeps all");
    }

    @Test
    void appliesTopPToWhatTopKLeft() {
        float[] row = {(float) Math.log(8), (float) Math.log(4), (float) Math.log(2), (float) Math.log(2)};
        // of the two best, the first has 2/3: more than 0.6
        assertDistribution(row, params(1, 2, 0.6, 0), new double[] {1, 0, 0, 0}, "top_k before top_p");
    }

    @Test
    void dropsWhatIsBelowAShareOfTheMostLikely() {
        float[] row = {(float) Math.log(8), (float) Math.log(4), (float) Math.log(2), (float) Math.log(1)};
        assertDistribution(row, params(1, 0, 1, 0.3), new double[] {2 / 3.0, 1 / 3.0, 0, 0}, "min_p 0.3");
        assertDistribution(row, params(2, 0, 1, 0.45), naiveDistribution(row, params(2, 0, 1, 0.45)), "after temperature");
        assertDistribution(row, params(1, 0, 1, 1), new double[] {1, 0, 0, 0}, "min_p 1");
    }

    @ParameterizedTest
    @ValueSource(doubles = {0.01, 0.5, 1, 1.7, 2})
    void sharpensAndFlattensByTemperature(double temperature) {
        float[] row = {1, 1.01f, 0.5f, -1};
        assertDistribution(row, params(temperature, 0, 1, 0), naiveDistribution(row, params(temperature, 0, 1, 0)), "T " + temperature);
    }

    @Test
    void neverDrawsAMaskedToken() {
        float[] row = {Float.NEGATIVE_INFINITY, 0, Float.NEGATIVE_INFINITY, 0};
        assertDistribution(row, params(2, 0, 1, 0), new double[] {0, 0.5, 0, 0.5}, "no filter");
        assertDistribution(row, params(2, 3, 0.99, 0.01), new double[] {0, 0.5, 0, 0.5}, "all filters");
    }

    @Test
    void selectsInALargeVocabulary() {
        int vocab = 131_072;
        Random random = new Random(9);
        float[] row = new float[vocab];
        for (int i = 0; i < vocab; i++) {
            row[i] = (float) random.nextGaussian();
        }
        int best = LogitRow.argMax(row, 0, vocab);
        Integer[] sorted = IntStream.range(0, vocab).boxed().sorted(Comparator.comparingDouble((Integer i) -> -row[i])).toArray(Integer[]::new);
        Set<Integer> top = Set.of(Arrays.copyOf(sorted, 1000));
        Sampler sampler = new Sampler(vocab);
        for (int i = 0; i < 300; i++) {
            assertThat(top).contains(sampler.draw(row, 0, best, params(2, 1000, 1, 0), random.nextLong()));
        }
        float[] flat = new float[vocab];
        assertThat(sampler.draw(flat, 0, 0, params(1, 0, 0.5, 0), -1L)).as("half of equal ones: the lower half of the ids").isEqualTo(vocab / 2 - 1);
        assertThat(sampler.draw(flat, 0, 0, params(1, 0, 0.5, 0), 0)).isZero();
    }

    @Test
    void drawsWithTheRightFrequenciesOverPositions() {
        // given a row of 16 probabilities, and the random numbers of 20,000 positions
        float[] row = new float[16];
        for (int i = 0; i < 16; i++) {
            row[i] = i * 0.2f;
        }
        double[] expected = naiveDistribution(row, params(1, 0, 1, 0));
        for (long seed : new long[] {0, 42, -7}) {
            int[] counts = new int[16];
            Sampler sampler = new Sampler(16);
            int draws = 20_000;
            for (int position = 0; position < draws; position++) {
                counts[sampler.draw(row, 0, 15, params(1, 0, 1, 0), CounterRandom.bits(seed, 0, position))]++;
            }
            double chiSquare = 0;
            for (int i = 0; i < 16; i++) {
                chiSquare += Math.pow(counts[i] - draws * expected[i], 2) / (draws * expected[i]);
            }
            // 15 degrees of freedom: above 44.3 once in 10,000 times
            assertThat(chiSquare).as("seed %d", seed).isLessThan(44.3);
        }
    }

    private static void assertDistribution(float[] row, SamplingParams params, double[] expected, String what) {
        Sampler sampler = new Sampler(row.length);
        int best = LogitRow.argMax(row, 0, row.length);
        int[] counts = new int[row.length];
        for (int i = 0; i < POINTS; i++) {
            counts[sampler.draw(row, 0, best, params, (long) i * (Long.MAX_VALUE / (POINTS / 2)))]++;
        }
        for (int token = 0; token < row.length; token++) {
            if (expected[token] == 0) {
                assertThat(counts[token]).as("%s: token %d is not to be drawn", what, token).isZero();
            } else {
                assertThat(counts[token] - POINTS * expected[token]).as("%s: token %d", what, token).isCloseTo(0, within(1.1));
            }
        }
    }

    /// Everything sorted, everything in double; null when a cut is too close to call.
    private static double[] naiveDistribution(float[] row, SamplingParams params) {
        List<Integer> order = new ArrayList<>(IntStream.range(0, row.length).boxed().toList());
        order.sort((a, b) -> row[a] != row[b] ? Float.compare(row[b], row[a]) : a - b);
        double[] p = new double[row.length];
        for (int i = 0; i < row.length; i++) {
            p[i] = Math.exp((row[i] - (double) row[order.getFirst()]) / params.temperature());
            if (Math.abs(p[i] - params.minP()) < 1e-5 && params.minP() > 0 && params.minP() < 1) {
                return null;
            }
        }
        order.removeIf(i -> p[i] < params.minP());
        if (params.topK() > 0) {
            order = order.subList(0, Math.min(params.topK(), order.size()));
        }
        double total = order.stream().mapToDouble(i -> p[i]).sum();
        double[] kept = new double[row.length];
        double above = 0;
        for (int i : order) {
            if (params.topP() < 1 && above > 0 && Math.abs(above - params.topP() * total) < 1e-5 * total) {
                return null;
            }
            if (above > 0 && params.topP() < 1 && above >= params.topP() * total) {
                break;
            }
            kept[i] = p[i];
            above += p[i];
        }
        for (int i = 0; i < kept.length; i++) {
            kept[i] /= above;
        }
        return kept;
    }

    private static float[] randomRow(Random random, int vocab) {
        float[] row = new float[vocab];
        boolean ties = random.nextBoolean();
        for (int i = 0; i < vocab; i++) {
            double value = random.nextGaussian() * 3;
            row[i] = ties ? Math.round(value * 2) / 2f : (float) value;
        }
        return row;
    }

    private static SamplingParams randomParams(Random random, int vocab) {
        return params(0.1 + 1.9 * random.nextDouble(), random.nextBoolean() ? 0 : 1 + random.nextInt(vocab),
                random.nextBoolean() ? 1 : random.nextDouble(), random.nextBoolean() ? 0 : random.nextDouble());
    }

    private static SamplingParams params(double temperature, int topK, double topP, double minP) {
        return new SamplingParams(temperature, topK, topP, minP, 1, 0, 0, Map.of(), List.of(), List.of(), 0, -1);
    }

    // ---- masks, bias and penalties

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void adjustsLogitsAsTheNaiveSamplerDoes(long seed) {
        Random random = new Random(seed);
        for (int trial = 0; trial < 300; trial++) {
            int vocab = 4 + random.nextInt(20);
            int[] prompt = random.ints(1 + random.nextInt(10), 0, vocab).toArray();
            int[] generated = random.ints(random.nextInt(10), 0, vocab).toArray();
            Map<Integer, Float> bias = new HashMap<>();
            for (int i = random.nextInt(4); i > 0; i--) {
                bias.put(random.nextInt(vocab), random.nextInt(4) == 0 ? -100f : random.nextFloat() * 10 - 5);
            }
            List<Integer> allowed = random.nextBoolean() ? List.of() : random.ints(3, 0, vocab).boxed().toList();
            List<int[]> badWords = random.nextBoolean() ? List.of()
                    : List.of(new int[] {random.nextInt(vocab)}, random.ints(2, 0, vocab).toArray(), random.ints(3, 0, vocab).toArray());
            var params = new SamplingParams(1, 0, 1, 0, random.nextBoolean() ? 1 : 0.5 + random.nextDouble(), random.nextBoolean() ? 0 : random.nextDouble() * 4 - 2,
                    random.nextBoolean() ? 0 : random.nextDouble() * 4 - 2, bias, allowed, badWords, 0, -1);
            var request = new GenerationRequest("r", prompt, 100, random.nextInt(12), Set.of(0, 2), 1, -1, params);
            float[] row = randomRow(random, vocab);

            float[] adjusted = row.clone();
            SamplingState state = state(request, vocab, generated);
            Sequence<?> sequence = sequence(prompt, generated);
            if (state.adjusts(sequence)) {
                state.adjust(adjusted, sequence);
            }

            double[] expected = naiveAdjust(row, request, generated);
            for (int i = 0; i < vocab; i++) {
                if (Double.isInfinite(expected[i])) {
                    assertThat(adjusted[i]).as("seed %d trial %d token %d", seed, trial, i).isEqualTo(Float.NEGATIVE_INFINITY);
                } else {
                    assertThat((double) adjusted[i]).as("seed %d trial %d token %d", seed, trial, i).isCloseTo(expected[i], within(1e-4));
                }
            }
        }
    }

    private static double[] naiveAdjust(float[] row, GenerationRequest request, int[] generated) {
        SamplingParams params = request.sampling();
        double[] out = new double[row.length];
        for (int token = 0; token < row.length; token++) {
            int t = token;
            double logit = row[t];
            boolean banned = !params.allowedTokens().isEmpty() && !params.allowedTokens().contains(t);
            banned |= generated.length < request.minTokens() && request.stopTokens().contains(t);
            banned |= params.logitBias().getOrDefault(t, 0f) <= -100;
            for (int[] word : params.badWords()) {
                int before = word.length - 1;
                banned |= word[before] == t && before <= generated.length
                        && Arrays.equals(Arrays.copyOf(word, before), Arrays.copyOfRange(generated, generated.length - before, generated.length));
            }
            logit += params.logitBias().getOrDefault(t, 0f);
            long count = Arrays.stream(generated).filter(g -> g == t).count();
            if (count > 0 || Arrays.stream(request.prompt()).anyMatch(p -> p == t)) {
                logit = logit > 0 ? logit / params.repetitionPenalty() : logit * params.repetitionPenalty();
            }
            logit -= count * params.frequencyPenalty() + (count > 0 ? params.presencePenalty() : 0);
            out[t] = banned ? Double.NEGATIVE_INFINITY : logit;
        }
        return out;
    }

    @Test
    void saysSoWhenNothingIsAllowed() {
        var params = new SamplingParams(0, 0, 1, 0, 1, 0, 0, Map.of(1, -100f), List.of(1), List.of(), 0, -1);
        var request = new GenerationRequest("r", new int[] {0}, 5, 0, Set.of(), 1, -1, params);
        assertThat(new Sampler(4).sample(new float[4], 0, state(request, 4), sequence(new int[] {0}))).isEqualTo(Sample.NOTHING_ALLOWED);
    }

    @Test
    void reportsLogProbabilitiesOfTheModelWhateverTheMasks() {
        float[] row = {3, 2, 1, 0};
        var params = new SamplingParams(0, 0, 1, 0, 1, 0, 0, Map.of(0, -100f), List.of(), List.of(), 0, 2);
        var request = new GenerationRequest("r", new int[] {0}, 5, 0, Set.of(), 1, -1, params);
        Sample.Chosen chosen = (Sample.Chosen) new Sampler(4).sample(row, 0, state(request, 4), sequence(new int[] {0}));
        assertThat(chosen.token()).isEqualTo(1);
        assertThat(chosen.logprobs()).usingRecursiveComparison().isEqualTo(new LogProbabilities(4).of(row, 0, 1, 2));
        assertThat(chosen.logprobs().topTokens()).containsExactly(0, 1);
        assertThat(row).as("the model's row is not touched").containsExactly(3, 2, 1, 0);
    }

    @Test
    void refusesARowThatIsNotFiniteEvenWhenTheTokenIsMasked() {
        var params = new SamplingParams(0, 0, 1, 0, 1, 0, 0, Map.of(2, -100f), List.of(), List.of(), 0, -1);
        var request = new GenerationRequest("r", new int[] {0}, 5, 0, Set.of(), 1, -1, params);
        for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
            assertThat(new Sampler(4).sample(new float[] {0, 1, bad, 3}, 0, state(request, 4), sequence(new int[] {0}))).isEqualTo(Sample.NOT_FINITE);
        }
    }

    @Test
    void ignoresStopTokensOutsideTheVocabulary() {
        var request = new GenerationRequest("r", new int[] {0}, 5, 5, Set.of(2, 11, -3), 1, -1, SamplingParams.greedy());
        Sample sample = new Sampler(4).sample(new float[] {0, 1, 5, 2}, 0, state(request, 4), sequence(new int[] {0}));
        assertThat(sample).isEqualTo(new Sample.Chosen(3, null));
    }

    static SamplingState state(GenerationRequest request, int vocab, int... generated) {
        var state = new SamplingState(request, 0, vocab);
        for (int token : generated) {
            state.generated(token);
        }
        return state;
    }

    /// A sequence that has generated these tokens, by way of a scheduler.
    static Sequence<String> sequence(int[] prompt, int... generated) {
        var scheduler = new Scheduler<String>(new SchedulerLimits(1, 256, 1000), FrameCache.plain(FrameShape.holding(1, 4, 1)));
        var sequence = new Sequence<>(1, prompt, 100, false, "test");
        assertThat(scheduler.submit(sequence)).isEqualTo(new Admission.Queued());
        var tokens = new SampledTokens(1);
        for (int token : generated) {
            Batch batch = scheduler.next();
            tokens.set(0, token);
            scheduler.complete(batch, tokens);
        }
        return sequence;
    }
}
