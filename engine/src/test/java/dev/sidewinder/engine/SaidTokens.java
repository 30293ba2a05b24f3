package dev.sidewinder.engine;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.IntConsumer;

/// What the reader of a choice has got.
///
/// @param tokens each with its log-probabilities as bits
/// @param end    why there are no more
public record SaidTokens(List<String> tokens, String end) {

    private static final Duration PATIENCE = Duration.ofMinutes(5);
    private static final String STOP_TEXT = "stop text";

    /// Two tokens, one behind the other, that end an answer: it is said as far as they are, and kept as far as they are not.
    record StopText(int first, int second) {

        /// The first pair from a place on that an answer does not have before.
        static StopText in(SaidTokens answer, int from) {
            int[] ids = answer.ids();
            for (int i = from; i + 1 < ids.length; i++) {
                var text = new StopText(ids[i], ids[i + 1]);
                if (text.place(ids) == i) {
                    return text;
                }
            }
            throw new AssertionError("no pair of tokens is new from place " + from + " on in " + answer);
        }

        /// Where it begins; -1 = nowhere.
        int place(int[] ids) {
            for (int i = 0; i + 1 < ids.length; i++) {
                if (ids[i] == first && ids[i + 1] == second) {
                    return i;
                }
            }
            return -1;
        }
    }

    public SaidTokens {
        tokens = List.copyOf(tokens);
    }

    /// Reads a request of one choice to its end, or to the stop text, where it gives it up.
    static SaidTokens read(Generation generation, Optional<StopText> stop) {
        return read(generation, stop, _ -> { });
    }

    /// The same.
    ///
    /// @param reused is told how many tokens of the prompt were there
    static SaidTokens read(Generation generation, Optional<StopText> stop, IntConsumer reused) {
        var outcome = new Outcome(1);
        while (!outcome.isComplete()) {
            take(generation, outcome);
            if (outcome.tokens(0).isEmpty() && outcome.reusedTokens(0) != null) {
                reused.accept(outcome.reusedTokens(0));
            }
            SaidTokens said = of(outcome, 0, STOP_TEXT);
            if (stop.isPresent() && stop.get().place(said.ids()) >= 0) {
                generation.close();
                return said;
            }
        }
        return of(outcome, 0, String.valueOf(outcome.reason(0)));
    }

    /// Reads all choices of a request, each to its end or to the stop text, where the others go on.
    static List<SaidTokens> readAll(Generation generation, int choices, Optional<StopText> stop) {
        var outcome = new Outcome(choices);
        while (!outcome.isComplete()) {
            take(generation, outcome);
            for (int choice = 0; choice < choices; choice++) {
                if (outcome.reason(choice) == null && stop.isPresent() && stop.get().place(of(outcome, choice, STOP_TEXT).ids()) >= 0) {
                    generation.cancel(choice);
                }
            }
        }
        List<SaidTokens> all = new ArrayList<>();
        for (int choice = 0; choice < choices; choice++) {
            SaidTokens said = of(outcome, choice, String.valueOf(outcome.reason(choice)));
            all.add(stop.map(said::upTo).orElse(said));
        }
        return all;
    }

    private static void take(Generation generation, Outcome outcome) {
        try {
            GenerationEvent event = generation.next(PATIENCE);
            if (event == null) {
                throw new AssertionError("no event within " + PATIENCE);
            }
            outcome.add(event);
        } catch (InterruptedException interrupted) {
            throw new AssertionError(interrupted);
        }
    }

    private static SaidTokens of(Outcome outcome, int choice, String end) {
        if (outcome.failure() != null) {
            throw new AssertionError("the request failed: " + outcome.failure());
        }
        return new SaidTokens(outcome.tokens(choice), end);
    }

    /// Some tokens may have come behind the text before anybody could stop them.
    private SaidTokens upTo(StopText stop) {
        int place = stop.place(ids());
        return place < 0 ? this : new SaidTokens(tokens.subList(0, place + 2), STOP_TEXT);
    }

    int[] ids() {
        return tokens.stream().mapToInt(token -> Integer.parseInt(token.substring(0, token.indexOf(' ')))).toArray();
    }

    /// Tokens in front of the stop text, if one has ended it.
    int kept() {
        return end.equals(STOP_TEXT) ? tokens.size() - 2 : tokens.size();
    }
}
