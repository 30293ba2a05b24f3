package dev.sidewinder.engine;

import dev.sidewinder.model.grammar.TokenMask;
import dev.sidewinder.scheduler.Sequence;

/// Chooses a token from a row of logits. The order of operations is vLLM's (`v1/sample/sampler.py`), so that a request
/// means the same here and there:
///
/// 1. log-probabilities, from the row as the model computed it;
/// 2. the mask of the answer's form: what it bans, nothing lifts, and what of the rest is banned by everything else
///    together comes all the same; then allowed tokens, bad words, minimum length, bias, then penalties: see [SamplingState#adjust];
/// 3. greedy: the largest logit, of equals the lowest id. Otherwise:
/// 4. temperature;
/// 5. `min_p`: what is less likely than that share of the most likely token goes;
/// 6. `top_k`, then `top_p` over what is left;
/// 7. one draw, by the inverse of the distribution function in order of token ids.
///
/// A row's outcome depends on the row, the choice's own past, its seed and its position, and on nothing else. One thread;
/// the arrays are made once.
final class Sampler {

    private final int vocabSize;
    private final float[] adjusted;
    private final Weights weights;
    private final Candidates candidates;
    private final LogProbabilities logProbabilities;

    Sampler(int vocabSize) {
        this.vocabSize = vocabSize;
        this.adjusted = new float[vocabSize];
        this.weights = new Weights(vocabSize);
        this.candidates = new Candidates(vocabSize);
        this.logProbabilities = new LogProbabilities(vocabSize);
    }

    boolean isFinite(float[] values, int offset) {
        return LogitRow.isFinite(values, offset, vocabSize);
    }

    TokenLogprobs logprobs(float[] values, int offset, int token, int alternatives) {
        return logProbabilities.of(values, offset, token, alternatives);
    }

    /// @param values   logits; the row starts at `offset` and is not changed
    /// @param sequence the tokens so far; the one chosen comes next
    Sample sample(float[] values, int offset, SamplingState state, Sequence<?> sequence) {
        if (!isFinite(values, offset)) {
            return Sample.NOT_FINITE;
        }
        float[] row = values;
        int rowOffset = offset;
        TokenMask mask = state.mask();
        boolean adjusts = state.adjusts(sequence);
        if (adjusts || !mask.isAll()) {
            copyMasked(values, offset, mask);
            if (adjusts) {
                state.adjust(adjusted, sequence);
            }
            row = adjusted;
            rowOffset = 0;
        }
        int best = LogitRow.argMax(row, rowOffset, vocabSize);
        if (row[rowOffset + best] == Float.NEGATIVE_INFINITY && !mask.isAll()) {
            copyMasked(values, offset, mask);
            state.adjustWithinForm(adjusted);
            best = LogitRow.argMax(adjusted, 0, vocabSize);
        }
        if (row[rowOffset + best] == Float.NEGATIVE_INFINITY) {
            return Sample.NOTHING_ALLOWED;
        }
        int token = best;
        if (!state.isGreedy()) {
            token = draw(row, rowOffset, best, state.params(), state.randomBits(sequence.length()));
        }
        int alternatives = state.params().logprobs();
        return new Sample.Chosen(token, alternatives < 0 ? null : logprobs(values, offset, token, alternatives));
    }

    private void copyMasked(float[] values, int offset, TokenMask mask) {
        System.arraycopy(values, offset, adjusted, 0, vocabSize);
        if (!mask.isAll()) {
            LogitRow.keep(adjusted, vocabSize, mask);
        }
    }

    /// @param best       the token of the largest logit
    /// @param randomBits uniform
    int draw(float[] row, int offset, int best, SamplingParams params, long randomBits) {
        weights.weigh(row, offset, row[offset + best], 1 / params.temperature());
        if (params.minP() > 0) {
            weights.dropBelow(params.minP());
        }
        candidates.keepAll();
        if (params.topK() > 0) {
            candidates.keepTop(params.topK(), row, offset, best);
        }
        if (params.topP() < 1) {
            candidates.keepMass(params.topP(), row, offset, best, weights);
        }
        // Uniform in [0, total) to within 2^-64.
        if (candidates.keepsAll()) {
            return weights.tokenAt(Math.unsignedMultiplyHigh(randomBits, weights.total()));
        }
        return tokenAt(Math.unsignedMultiplyHigh(randomBits, keptWeight(row, offset)), row, offset);
    }

    private long keptWeight(float[] row, int offset) {
        long total = 0;
        for (int token = 0; token < vocabSize; token++) {
            if (candidates.keeps(row[offset + token], token)) {
                total += weights.of(token);
            }
        }
        return total;
    }

    private int tokenAt(long point, float[] row, int offset) {
        for (int token = 0; token < vocabSize; token++) {
            if (candidates.keeps(row[offset + token], token)) {
                point -= weights.of(token);
                if (point < 0) {
                    return token;
                }
            }
        }
        throw new IllegalStateException("drew beyond the end of the kept tokens");
    }
}
