package dev.sidewinder.engine;

import dev.sidewinder.cuda.kernel.SampleRows;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.grammar.TokenMask;
import dev.sidewinder.scheduler.Sequence;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/// How the tokens of one choice are chosen, and what of its past that depends on. The parameters of the request are laid
/// out here for the sampler: arrays of integers, nothing boxed.
final class SamplingState {

    /// A bias of this or less bans the token.
    private static final float BAN = -100f;

    private final SamplingParams params;
    private final int choice;
    private final int minTokens;
    private final int[] stopTokens;
    private final int[] allowedTokens;
    private final int[] biasedTokens;
    private final float[] biases;
    private final int[][] badWords;
    private final float[] allowedLogits;
    private final boolean repetition;
    private final boolean penalties;
    private final TokenCounts counts = new TokenCounts();
    /// Null when nothing holds the choice to a form.
    private final TokenGuide guide;

    /// The prompt is all prompt.
    SamplingState(GenerationRequest request, int choice, int vocabSize) {
        this(request, choice, vocabSize, request.prompt().length);
    }

    /// @param answerStart tokens of the prompt from here on count as generated: they are the beginning of the answer
    SamplingState(GenerationRequest request, int choice, int vocabSize, int answerStart) {
        this.params = request.sampling();
        this.guide = request.guides().map(Supplier::get).orElse(null);
        this.choice = choice;
        this.minTokens = request.minTokens();
        // A stop token outside the vocabulary never comes out, so there is nothing to mask.
        this.stopTokens = request.stopTokens().stream().mapToInt(Integer::intValue).filter(token -> token >= 0 && token < vocabSize).sorted().toArray();
        this.allowedTokens = params.allowedTokens().stream().mapToInt(Integer::intValue).toArray();
        this.allowedLogits = new float[allowedTokens.length];
        this.badWords = params.badWords().stream().filter(word -> word.length > 0).toArray(int[][]::new);
        List<Map.Entry<Integer, Float>> bias = List.copyOf(params.logitBias().entrySet());
        this.biasedTokens = bias.stream().mapToInt(Map.Entry::getKey).toArray();
        this.biases = new float[biasedTokens.length];
        for (int i = 0; i < biases.length; i++) {
            biases[i] = bias.get(i).getValue();
        }
        this.repetition = params.repetitionPenalty() != 1;
        this.penalties = repetition || params.presencePenalty() != 0 || params.frequencyPenalty() != 0;
        for (int i = 0; repetition && i < answerStart; i++) {
            counts.addPrompt(request.prompt()[i]);
        }
        for (int i = answerStart; penalties && i < request.prompt().length; i++) {
            counts.addGenerated(request.prompt()[i]);
        }
    }

    boolean isGreedy() {
        return params.temperature() == 0;
    }

    SamplingParams params() {
        return params;
    }

    boolean isStop(int token) {
        return Arrays.binarySearch(stopTokens, token) >= 0;
    }

    /// The random number of the token at a position.
    long randomBits(int position) {
        return CounterRandom.bits(params.seed(), choice, position);
    }

    /// Notes a token that was chosen.
    void generated(int token) {
        if (penalties) {
            counts.addGenerated(token);
        }
        if (guide != null) {
            guide.accept(token);
        }
    }

    /// The tokens that the form of the answer leaves for now.
    TokenMask mask() {
        return guide == null ? TokenMask.ALL : guide.allowed();
    }

    /// Whether the answer has the form that was wanted, so that nothing more is to come.
    boolean isComplete() {
        return guide != null && guide.isComplete();
    }

    /// Whether the next token's logits are to be changed before choosing.
    boolean adjusts(Sequence<?> sequence) {
        return penalties || allowedTokens.length > 0 || biases.length > 0 || badWords.length > 0 || masksStops(sequence);
    }

    private boolean masksStops(Sequence<?> sequence) {
        return sequence.generatedTokens() < minTokens && stopTokens.length > 0;
    }

    /// Changes a row of logits: allowed tokens, bad words, minimum length, bias, penalties, in this order. A token that is
    /// not to come out gets minus infinity, which nothing later lifts.
    void adjust(float[] row, Sequence<?> sequence) {
        if (allowedTokens.length > 0) {
            keepAllowed(row);
        }
        for (int[] word : badWords) {
            if (endsWith(sequence, word, word.length - 1)) {
                row[word[word.length - 1]] = Float.NEGATIVE_INFINITY;
            }
        }
        if (masksStops(sequence)) {
            for (int token : stopTokens) {
                row[token] = Float.NEGATIVE_INFINITY;
            }
        }
        for (int i = 0; i < biases.length; i++) {
            row[biasedTokens[i]] = biases[i] <= BAN ? Float.NEGATIVE_INFINITY : row[biasedTokens[i]] + biases[i];
        }
        if (penalties) {
            penalise(row);
        }
    }

    /// The same, without what could ban every token: the form of an answer wins over bias, bad words and minimum length.
    void adjustWithinForm(float[] row) {
        if (allowedTokens.length > 0) {
            keepAllowed(row);
        }
        if (penalties) {
            penalise(row);
        }
    }

    /// Whether a device can choose the next token: it reports no more alternatives than its kernel can, and the lists of the
    /// description have room.
    boolean fits(SampleRows rows) {
        long entries = (long) allowedTokens.length + badWords.length + stopTokens.length + biases.length + (penalties ? counts.size() : 0);
        return params.logprobs() <= dev.sidewinder.cuda.kernel.Sample.MAX_ALTERNATIVES && entries <= rows.entriesLeft();
    }

    /// Describes the choice's next token to a device, which then chooses as [Sampler] does.
    ///
    /// @param row of the step
    void describe(SampleRows rows, int row, Sequence<?> sequence) {
        rows.begin(row);
        if (!isGreedy()) {
            rows.draw(params.temperature(), params.topK(), Math.max(0, params.topP()), params.minP());
            rows.random(params.seed(), choice, sequence.length());
        }
        if (params.logprobs() >= 0) {
            rows.logprobs(params.logprobs());
        }
        TokenMask mask = mask();
        if (!mask.isAll()) {
            rows.mask(mask::word);
        }
        for (int token : allowedTokens) {
            rows.allow(token);
        }
        describeBans(rows, sequence);
        for (int i = 0; i < biases.length; i++) {
            rows.bias(biasedTokens[i], biases[i]);
        }
        if (penalties) {
            rows.penalties(params.repetitionPenalty(), params.frequencyPenalty(), params.presencePenalty());
            for (int i = 0; i < counts.size(); i++) {
                rows.penalty(counts.token(i), counts.generated(i));
            }
        }
    }

    private void describeBans(SampleRows rows, Sequence<?> sequence) {
        for (int[] word : badWords) {
            int last = word.length - 1;
            if (endsWith(sequence, word, last)) {
                rows.ban(word[last]);
            }
        }
        if (masksStops(sequence)) {
            for (int token : stopTokens) {
                rows.ban(token);
            }
        }
    }

    private void keepAllowed(float[] row) {
        for (int i = 0; i < allowedTokens.length; i++) {
            allowedLogits[i] = row[allowedTokens[i]];
        }
        Arrays.fill(row, Float.NEGATIVE_INFINITY);
        for (int i = 0; i < allowedTokens.length; i++) {
            row[allowedTokens[i]] = allowedLogits[i];
        }
    }

    /// Whether the generated tokens end with the word's first tokens. The prompt does not count.
    private static boolean endsWith(Sequence<?> sequence, int[] word, int before) {
        if (before > sequence.generatedTokens()) {
            return false;
        }
        for (int i = 0; i < before; i++) {
            if (sequence.token(sequence.length() - before + i) != word[i]) {
                return false;
            }
        }
        return true;
    }

    /// Repetition over prompt and generated tokens (Keskar et al. 2019, arXiv:1909.05858, §4.1), then frequency and
    /// presence over the generated ones (the OpenAI reference: `logit - count x frequency - [count > 0] x presence`).
    private void penalise(float[] row) {
        float factor = (float) params.repetitionPenalty();
        for (int i = 0; i < counts.size(); i++) {
            int token = counts.token(i);
            float logit = row[token];
            if (repetition) {
                logit = logit > 0 ? logit / factor : logit * factor;
            }
            if (counts.generated(i) > 0) {
                logit -= (float) (counts.generated(i) * params.frequencyPenalty() + params.presencePenalty());
            }
            row[token] = logit;
        }
    }
}
