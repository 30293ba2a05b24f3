package dev.sidewinder.engine;

import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.scheduler.Mark;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Supplier;

/// A request of a trace: what a [GenerationRequest] is made of, in a form that can be written down and made smaller.
///
/// @param guide          kind of its [PatternGuide]; -1 = none
/// @param partition      whose prefixes it shares; -1 = nobody's
/// @param promptLogprobs as in a [GenerationRequest]; -1 where it has a partition
public record TraceRequest(TracePrompt prompt, int maxTokens, int minTokens, Set<Integer> stops, int choices, int promptLogprobs,
        SamplingParams sampling, int guide, int partition, List<Mark> marks, boolean explains, boolean keepsAnswer, int priority, String tenant) {

    public TraceRequest {
        stops = Set.copyOf(stops);
        marks = List.copyOf(marks);
    }

    /// Greedy, one choice, and nothing asked of the cache.
    public static TraceRequest of(TracePrompt prompt, int maxTokens) {
        return new TraceRequest(prompt, maxTokens, 0, Set.of(), 1, -1, SamplingParams.greedy(), -1, -1, List.of(), false, false, 0, "");
    }

    /// @param vocabSize   of the backend
    /// @param poisonToken as in [TracePrompt#tokens]
    GenerationRequest toRequest(String id, int vocabSize, int poisonToken) {
        return toRequest(id, prompt.tokens(vocabSize, poisonToken), vocabSize, poisonToken);
    }

    /// The same with other tokens as its prompt.
    GenerationRequest toRequest(String id, int[] tokens, int vocabSize, int poisonToken) {
        Optional<Supplier<TokenGuide>> guides = guide < 0 ? Optional.empty() : Optional.of(() -> new PatternGuide(vocabSize, guide));
        var request = new GenerationRequest(id, tokens, maxTokens, minTokens, stops, choices, promptLogprobs,
                withoutPoison(sampling, poisonToken), guides).withUrgency(priority, tenant);
        GenerationRequest reusing = partition < 0 ? request : request.withPrefixes(new Partition(0, partition), marks, explains);
        return keepsAnswer ? reusing.keepingAnswer() : reusing;
    }

    /// The model may choose the poison itself: banned, it stands in prompts only.
    static SamplingParams withoutPoison(SamplingParams sampling, int poisonToken) {
        if (poisonToken < 0) {
            return sampling;
        }
        Map<Integer, Float> bias = new HashMap<>(sampling.logitBias());
        bias.put(poisonToken, -100f);
        return new SamplingParams(sampling.temperature(), sampling.topK(), sampling.topP(), sampling.minP(), sampling.repetitionPenalty(),
                sampling.presencePenalty(), sampling.frequencyPenalty(), bias, sampling.allowedTokens(), sampling.badWords(), sampling.seed(),
                sampling.logprobs());
    }

    /// @param cut of the same prompt; marks behind its end go
    public TraceRequest withPrompt(TracePrompt cut) {
        return changed(parts -> {
            parts.prompt = cut;
            parts.marks = marks.stream().filter(mark -> mark.position() <= cut.length()).toList();
        });
    }

    public TraceRequest withMaxTokens(int tokens) {
        return changed(parts -> parts.maxTokens = tokens);
    }

    public TraceRequest withMinTokens(int tokens) {
        return changed(parts -> parts.minTokens = tokens);
    }

    public TraceRequest withStops(Set<Integer> tokens) {
        return changed(parts -> parts.stops = tokens);
    }

    public TraceRequest withChoices(int count) {
        return changed(parts -> parts.choices = count);
    }

    public TraceRequest withPromptLogprobs(int alternatives) {
        return changed(parts -> parts.promptLogprobs = alternatives);
    }

    public TraceRequest withSampling(SamplingParams params) {
        return changed(parts -> parts.sampling = params);
    }

    public TraceRequest withGuide(int kind) {
        return changed(parts -> parts.guide = kind);
    }

    public TraceRequest withPrefixes(int partition, List<Mark> marks, boolean explains) {
        return changed(parts -> {
            parts.partition = partition;
            parts.marks = marks;
            parts.explains = explains;
        });
    }

    public TraceRequest withAnswerKept(boolean kept) {
        return changed(parts -> parts.keepsAnswer = kept);
    }

    public TraceRequest withUrgency(int priority, String tenant) {
        return changed(parts -> {
            parts.priority = priority;
            parts.tenant = tenant;
        });
    }

    private TraceRequest changed(Consumer<Parts> change) {
        var parts = new Parts(this);
        change.accept(parts);
        return parts.request();
    }

    /// The components, to be changed one by one.
    private static final class Parts {
        private TracePrompt prompt;
        private int maxTokens;
        private int minTokens;
        private Set<Integer> stops;
        private int choices;
        private int promptLogprobs;
        private SamplingParams sampling;
        private int guide;
        private int partition;
        private List<Mark> marks;
        private boolean explains;
        private boolean keepsAnswer;
        private int priority;
        private String tenant;

        Parts(TraceRequest from) {
            prompt = from.prompt;
            maxTokens = from.maxTokens;
            minTokens = from.minTokens;
            stops = from.stops;
            choices = from.choices;
            promptLogprobs = from.promptLogprobs;
            sampling = from.sampling;
            guide = from.guide;
            partition = from.partition;
            marks = from.marks;
            explains = from.explains;
            keepsAnswer = from.keepsAnswer;
            priority = from.priority;
            tenant = from.tenant;
        }

        TraceRequest request() {
            return new TraceRequest(prompt, maxTokens, minTokens, stops, choices, promptLogprobs, sampling, guide, partition, marks, explains,
                    keepsAnswer, priority, tenant);
        }
    }
}
