package dev.sidewinder.engine;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/// What a reader saw of a request, gathered event by event. Log-probabilities are compared as bits.
public final class Outcome {

    private final List<List<String>> tokens = new ArrayList<>();
    private final List<FinishReason> reasons = new ArrayList<>();
    private final List<Integer> reusedTokens = new ArrayList<>();
    private String promptScores;
    private EngineException.Kind failure;

    public Outcome(int choices) {
        for (int i = 0; i < choices; i++) {
            tokens.add(new ArrayList<>());
            reasons.add(null);
            reusedTokens.add(null);
        }
    }

    /// Has an engine compute a request, and reads it to its end; an event takes 20 seconds at most.
    static Outcome of(Engine engine, GenerationRequest request) throws InterruptedException {
        var outcome = new Outcome(request.choices());
        try (Engine.Place place = engine.reserve(request.choices(), 0); Generation generation = place.submit(request)) {
            while (!outcome.isComplete()) {
                outcome.add(generation.next(Duration.ofSeconds(20)));
            }
        }
        return outcome;
    }

    /// Notes an event, and checks that it may come now.
    public void add(GenerationEvent event) {
        if (isComplete()) {
            throw new AssertionError("an event after the last: " + event);
        }
        switch (event) {
            case GenerationEvent.Admitted admitted -> {
                if (!tokens.get(admitted.choice()).isEmpty() || reasons.get(admitted.choice()) != null) {
                    throw new AssertionError("a choice is admitted first: " + admitted);
                }
                if (reusedTokens.set(admitted.choice(), admitted.reusedTokens()) != null) {
                    throw new AssertionError("admitted twice: " + admitted);
                }
            }
            case GenerationEvent.PromptScored scored -> {
                if (promptScores != null || tokens.stream().anyMatch(list -> !list.isEmpty())) {
                    throw new AssertionError("the prompt's scores come once and first");
                }
                promptScores = Arrays.stream(scored.logprobs()).map(Outcome::bits).toList().toString();
            }
            case GenerationEvent.Token token -> {
                if (reasons.get(token.choice()) != null || token.index() != tokens.get(token.choice()).size()) {
                    throw new AssertionError("token out of order: " + token);
                }
                tokens.get(token.choice()).add(token.token() + (token.stop() ? " stop " : " ") + bits(token.logprobs()));
            }
            case GenerationEvent.Finished finished -> {
                if (reasons.set(finished.choice(), finished.reason()) != null) {
                    throw new AssertionError("finished twice: " + finished);
                }
            }
            case GenerationEvent.Failed failed -> failure = failed.cause().kind();
        }
    }

    private static String bits(TokenLogprobs logprobs) {
        if (logprobs == null) {
            return "-";
        }
        var bits = new StringBuilder(Integer.toHexString(Float.floatToRawIntBits(logprobs.logprob())));
        for (int i = 0; i < logprobs.topTokens().length; i++) {
            bits.append(' ').append(logprobs.topTokens()[i]).append(':')
                    .append(Integer.toHexString(Float.floatToRawIntBits(logprobs.topLogprobs()[i])));
        }
        return bits.toString();
    }

    public boolean isComplete() {
        return failure != null || !reasons.contains(null);
    }

    public EngineException.Kind failure() {
        return failure;
    }

    public FinishReason reason(int choice) {
        return reasons.get(choice);
    }

    /// Prompt tokens of a choice that were not computed for it; null when it was not admitted.
    public Integer reusedTokens(int choice) {
        return reusedTokens.get(choice);
    }

    /// Whether the prompt's scores came; they cannot come twice.
    public boolean hasPromptScores() {
        return promptScores != null;
    }

    /// The tokens of a choice with their log-probabilities, as text.
    public List<String> tokens(int choice) {
        return List.copyOf(tokens.get(choice));
    }

    /// The ids of the same tokens.
    public int[] ids(int choice) {
        return tokens.get(choice).stream().mapToInt(token -> Integer.parseInt(token.substring(0, token.indexOf(' ')))).toArray();
    }

    /// The difference between this outcome, which may have been cut short by a cancel, and that of the same request alone;
    /// empty when there is none that should not be.
    public String differenceFromSolo(Outcome solo) {
        return differenceFromSolo(solo, Set.of());
    }

    /// The same where failures may have cut it short, too, that have nothing to do with the request.
    public String differenceFromSolo(Outcome solo, Set<EngineException.Kind> fromOutside) {
        boolean cancelled = reasons.contains(FinishReason.CANCELLED);
        boolean cutOff = failure != null && fromOutside.contains(failure);
        if (failure != solo.failure && !cutOff && !(failure == null && cancelled)) {
            return "ended with failure " + failure + ", alone with " + solo.failure;
        }
        if (promptScores != null && !promptScores.equals(solo.promptScores)) {
            return "prompt scores differ: " + promptScores + ", alone " + solo.promptScores;
        }
        for (int choice = 0; choice < tokens.size(); choice++) {
            List<String> here = tokens.get(choice);
            List<String> alone = solo.tokens.get(choice);
            boolean cutShort = reasons.get(choice) == FinishReason.CANCELLED || solo.failure != null
                    || cutOff && reasons.get(choice) == null;
            if (!cutShort && (here.size() != alone.size() || reasons.get(choice) != solo.reasons.get(choice))) {
                return "choice " + choice + " has " + here.size() + " tokens and " + reasons.get(choice) + ", alone "
                        + alone.size() + " and " + solo.reasons.get(choice);
            }
            int common = solo.failure != null ? Math.min(here.size(), alone.size()) : here.size();
            for (int i = 0; i < common; i++) {
                if (i >= alone.size() || !here.get(i).equals(alone.get(i))) {
                    return "choice " + choice + " token " + i + " is " + here.get(i) + ", alone "
                            + (i < alone.size() ? alone.get(i) : "nothing");
                }
            }
        }
        return "";
    }
}
