package dev.sidewinder.cuda.kernel;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/// What `sample.cu` is to compute, written down without a thought of speed: every token is weighed, everything is sorted.
/// The sums are exact, since weights are whole numbers, so what comes out is what must come out, bit for bit.
final class NaiveSampler {

    static final double HEAVIEST = 1L << 40;

    /// What a row asks for.
    ///
    /// @param temperature  0 = greedy
    /// @param mask         null = all
    /// @param penalised    tokens, each once, and how often each was generated
    /// @param biased       tokens, each once, and `biases` theirs
    /// @param banned       tokens that may not come
    /// @param allowed      empty = all
    /// @param alternatives -1 = no log-probabilities
    /// @param take         this token; -1 = choose
    record Wanted(double temperature, int topK, double topP, double minP, long randomSeed, int choice, int position, long[] mask,
            double repetition, double frequency, double presence, int[][] penalised, int[] biased, float[] biases, int[] banned,
            int[] allowed, int alternatives, int take) {}

    /// What came of it.
    ///
    /// @param total of the row at temperature 1
    /// @param top   tokens
    record Chosen(SampleResults.Outcome outcome, int token, long total, int[] top) {}

    private final float[] logits;
    private final Wanted wanted;

    private NaiveSampler(float[] logits, Wanted wanted) {
        this.logits = logits;
        this.wanted = wanted;
    }

    static Chosen choose(float[] logits, Wanted wanted) {
        return new NaiveSampler(logits, wanted).choose();
    }

    private Chosen choose() {
        for (float logit : logits) {
            if (!Float.isFinite(logit)) {
                return none(SampleResults.Outcome.NOT_FINITE);
            }
        }
        if (wanted.take() >= 0) {
            return report(wanted.take());
        }
        float[] row = adjusted(true);
        if (row[order(row).getFirst()] == Float.NEGATIVE_INFINITY && wanted.mask() != null) {
            row = adjusted(false);
        }
        List<Integer> order = order(row);
        float max = row[order.getFirst()];
        if (max == Float.NEGATIVE_INFINITY) {
            return none(SampleResults.Outcome.NOTHING_ALLOWED);
        }
        if (wanted.temperature() == 0) {
            return report(order.getFirst());
        }
        long[] weights = weights(row, max, 1 / wanted.temperature(), wanted.minP());
        boolean[] kept = new boolean[row.length];
        int count = wanted.topK() == 0 ? row.length : Math.min(wanted.topK(), row.length);
        long total = 0;
        for (int token : order.subList(0, count)) {
            total += weights[token];
        }
        long above = 0;
        for (int token : order.subList(0, count)) {
            if (above > 0 && wanted.topP() < 1 && above >= wanted.topP() * total) {
                break;
            }
            kept[token] = true;
            above += weights[token];
        }
        return above == 0 ? none(SampleResults.Outcome.NO_WEIGHT) : report(draw(weights, kept, above));
    }

    private int draw(long[] weights, boolean[] kept, long total) {
        long point = Math.unsignedMultiplyHigh(randomBits(wanted.randomSeed(), wanted.choice(), wanted.position()), total);
        int token = 0;
        while (!kept[token] || point >= weights[token]) {
            point -= kept[token] ? weights[token] : 0;
            token++;
        }
        return token;
    }

    private static Chosen none(SampleResults.Outcome outcome) {
        return new Chosen(outcome, -1, 0, new int[0]);
    }

    private Chosen report(int token) {
        if (wanted.alternatives() < 0) {
            return new Chosen(SampleResults.Outcome.CHOSEN, token, 0, new int[0]);
        }
        List<Integer> order = order(logits);
        int[] top = order.stream().mapToInt(Integer::intValue).limit(wanted.alternatives()).toArray();
        long total = Arrays.stream(weights(logits, logits[order.getFirst()], 1, 0)).sum();
        return new Chosen(SampleResults.Outcome.CHOSEN, token, total, top);
    }

    /// The token of the largest, the lowest of equals.
    static int best(float[] row) {
        return order(row).getFirst();
    }

    /// Tokens, the best first.
    static List<Integer> order(float[] row) {
        List<Integer> order = new ArrayList<>(IntStream.range(0, row.length).boxed().toList());
        order.sort((a, b) -> row[a] == row[b] ? a - b : row[a] > row[b] ? -1 : 1);
        return order;
    }

    private float[] adjusted(boolean withBans) {
        float[] row = logits.clone();
        for (int i = 0; i < wanted.biased().length && withBans; i++) {
            row[wanted.biased()[i]] += wanted.biases()[i] <= -100 ? Float.NEGATIVE_INFINITY : wanted.biases()[i];
        }
        for (int[] entry : wanted.penalised()) {
            row[entry[0]] = penalised(row[entry[0]], entry[1]);
        }
        boolean[] comes = new boolean[row.length];
        Arrays.fill(comes, wanted.allowed().length == 0);
        for (int token : wanted.allowed()) {
            comes[token] = true;
        }
        for (int token : wanted.banned()) {
            comes[token] &= !withBans;
        }
        for (int token = 0; token < row.length; token++) {
            boolean masked = wanted.mask() != null && (wanted.mask()[token / 64] >>> token & 1) == 0;
            row[token] = comes[token] && !masked ? row[token] : Float.NEGATIVE_INFINITY;
        }
        return row;
    }

    private float penalised(float logit, int generated) {
        float factor = (float) wanted.repetition();
        float result = logit > 0 ? logit / factor : logit * factor;
        return generated == 0 ? result : result - (float) (generated * wanted.frequency() + wanted.presence());
    }

    private static long[] weights(float[] row, float max, double scale, double minP) {
        long[] weights = new long[row.length];
        long least = (long) Math.ceil(minP * HEAVIEST);
        for (int token = 0; token < row.length; token++) {
            long weight = weight(((double) row[token] - max) * scale);
            weights[token] = weight < least ? 0 : weight;
        }
        return weights;
    }

    static long weight(double exponent) {
        double r = Math.max(exponent, -87) * (1.0 / 512);
        double sum = 1.0 / 5040;
        for (double coefficient : new double[] {1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1}) {
            sum = sum * r + coefficient;
        }
        for (int i = 0; i < 9; i++) {
            sum *= sum;
        }
        return (long) (sum * HEAVIEST);
    }

    /// Philox4x32-10 in 64-bit arithmetic.
    private static long randomBits(long seed, int choice, int position) {
        long mask = 0xFFFFFFFFL;
        long[] words = {position & mask, choice & mask, 0, 0};
        long key0 = seed & mask;
        long key1 = seed >>> 32;
        for (int round = 0; round < 10; round++) {
            long first = 0xD2511F53L * words[0];
            long second = 0xCD9E8D57L * words[2];
            words = new long[] {second >>> 32 ^ words[1] ^ key0, second & mask, first >>> 32 ^ words[3] ^ key1, first & mask};
            key0 = key0 + 0x9E3779B9L & mask;
            key1 = key1 + 0xBB67AE85L & mask;
        }
        return words[1] << 32 | words[0];
    }
}
