package dev.sidewinder.server.api;

import dev.sidewinder.engine.SamplingParams;
import dev.sidewinder.model.tokenizer.TextRun;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.LongSupplier;

/// Fills what a request leaves open about sampling from the model's defaults.
final class SamplingPlan {

    /// Below this a temperature only makes numbers overflow.
    private static final double LOWEST_TEMPERATURE = 0.01;

    private final ServedModel model;
    private final GenerationOptions wanted;
    private final LongSupplier seeds;
    private final List<int[]> badWords;

    /// @param seeds for a request that names none
    SamplingPlan(ServedModel model, GenerationOptions wanted, LongSupplier seeds) {
        this.model = model;
        this.wanted = wanted;
        this.seeds = seeds;
        this.badWords = badWords();
    }

    /// The parameters of one prompt. A seed of the request holds for each of its prompts, as if it had come alone.
    ///
    /// @param alwaysLogprobs whether the answer reports log-probabilities unasked
    SamplingParams params(boolean alwaysLogprobs) {
        SamplingOptions sampling = wanted.sampling();
        int logprobs = alwaysLogprobs ? Math.max(0, wanted.output().logprobs()) : wanted.output().logprobs();
        return new SamplingParams(temperature(), Math.max(0, sampling.topK().orElse(model.defaults().topK())),
                sampling.topP().orElse(model.defaults().topP()), sampling.minP(), sampling.repetitionPenalty(),
                sampling.presencePenalty(), sampling.frequencyPenalty(), sampling.logitBias(), sampling.allowedTokens(),
                badWords, sampling.seed().orElseGet(seeds), logprobs);
    }

    private double temperature() {
        double temperature = wanted.sampling().temperature().orElse(model.defaults().temperature());
        return temperature > 0 && temperature < LOWEST_TEMPERATURE ? LOWEST_TEMPERATURE : temperature;
    }

    Set<Integer> stopTokens() {
        Set<Integer> stops = new HashSet<>(wanted.stops().tokenIds());
        if (!wanted.stops().ignoreEos()) {
            stops.addAll(model.defaults().stopTokenIds());
        }
        return stops;
    }

    /// An echoed prompt is scored with the alternatives of the answer.
    int promptLogprobs() {
        OutputOptions output = wanted.output();
        return output.echo() ? Math.max(output.promptLogprobs(), output.logprobs()) : output.promptLogprobs();
    }

    /// A word is other tokens at the start of a text than behind a space.
    private List<int[]> badWords() {
        List<int[]> sequences = new ArrayList<>();
        for (String word : wanted.sampling().badWords()) {
            ModelText text = model.textFor("bad_words");
            for (String spelled : List.of(word, " " + word)) {
                int[] ids = text.encode(List.of(new TextRun(spelled, false)));
                if (ids.length > 0) {
                    sequences.add(ids);
                }
            }
        }
        return sequences;
    }
}
