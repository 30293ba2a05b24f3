package dev.sidewinder.engine;

import dev.sidewinder.cuda.kernel.SampleResults;

/// Log-probabilities under the model's own distribution: before temperature, penalties and masks.
final class LogProbabilities {

    /// The least that is reported. JSON has no infinity.
    static final float FLOOR = -9999f;

    private final int vocabSize;
    private final Weights weights;

    LogProbabilities(int vocabSize) {
        this.vocabSize = vocabSize;
        this.weights = new Weights(vocabSize);
    }

    /// @param token        whose log-probability is wanted
    /// @param alternatives how many of the most likely tokens to report, best first, of equals the lowest id
    TokenLogprobs of(float[] values, int offset, int token, int alternatives) {
        float max = values[offset + LogitRow.argMax(values, offset, vocabSize)];
        weights.weigh(values, offset, max, 1);
        double logOfSum = Weights.log(weights.total());

        int[] top = best(values, offset, Math.min(alternatives, vocabSize));
        float[] topLogprobs = new float[top.length];
        for (int i = 0; i < top.length; i++) {
            topLogprobs[i] = logprob(values[offset + top[i]], max, logOfSum);
        }
        return new TokenLogprobs(logprob(values[offset + token], max, logOfSum), top, topLogprobs);
    }

    /// From what a device found out about a row: its sums are the same integers, so these are the same bits.
    static TokenLogprobs of(SampleResults results, int row) {
        float max = results.largest(row);
        double logOfSum = Weights.log(results.total(row));
        int[] top = new int[results.alternatives(row)];
        float[] topLogprobs = new float[top.length];
        for (int i = 0; i < top.length; i++) {
            top[i] = results.topToken(row, i);
            topLogprobs[i] = logprob(results.topLogit(row, i), max, logOfSum);
        }
        return new TokenLogprobs(logprob(results.logit(row), max, logOfSum), top, topLogprobs);
    }

    private static float logprob(float logit, float max, double logOfSum) {
        return Math.max(FLOOR, (float) ((double) logit - max - logOfSum));
    }

    /// The `count` largest values' indices by insertion: few are wanted, and most values fail the first comparison.
    private int[] best(float[] values, int offset, int count) {
        int[] best = new int[count];
        int found = 0;
        for (int token = 0; token < vocabSize && count > 0; token++) {
            float value = values[offset + token];
            if (found == count && value <= values[offset + best[count - 1]]) {
                continue;
            }
            int place = found < count ? found++ : count - 1;
            while (place > 0 && values[offset + best[place - 1]] < value) {
                best[place] = best[place - 1];
                place--;
            }
            best[place] = token;
        }
        return best;
    }
}
