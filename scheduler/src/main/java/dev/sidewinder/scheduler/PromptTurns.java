package dev.sidewinder.scheduler;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/// In which order the prompts of a step go on. In every other step the one that was admitted first goes first; for the rest, and
/// in the steps between, it is priority and then the fewest tokens left. So a short prompt does not wait for the end of a long
/// one, and a long one gets half of the steps at least, however many short ones come. With [PromptOrder#ARRIVAL] none of this.
final class PromptTurns<O> {

    private final Comparator<Sequence<O>> shortestFirst = Comparator.<Sequence<O>>comparingInt(sequence -> sequence.claim().priority())
            .thenComparingInt(Sequence::promptTokensLeft);
    private final List<Sequence<O>> begun = new ArrayList<>();
    private final PromptOrder order;
    private boolean firstComesFirst;

    PromptTurns(PromptOrder order) {
        this.order = order;
    }

    /// The prompts that have begun and may go on, in the order of this step. Valid until the next call.
    ///
    /// @param admitted in order of admission
    List<Sequence<O>> order(List<Sequence<O>> admitted) {
        begun.clear();
        for (int i = 0; i < admitted.size(); i++) {
            Sequence<O> sequence = admitted.get(i);
            if (sequence.state == Sequence.State.RUNNING && sequence.inPrompt()) {
                begun.add(sequence);
            }
        }
        if (order == PromptOrder.ARRIVAL) {
            return begun;
        }
        firstComesFirst = !firstComesFirst && !begun.isEmpty();
        if (begun.size() > 1) {
            (firstComesFirst ? begun.subList(1, begun.size()) : begun).sort(shortestFirst);
        }
        return begun;
    }

    /// Whether one that waits goes before one that has begun.
    ///
    /// @param place of the one that has begun, in this step's order
    boolean goesBefore(Sequence<O> waiting, int place) {
        boolean owed = order == PromptOrder.ARRIVAL || firstComesFirst && place == 0;
        return !owed && shortestFirst.compare(waiting, begun.get(place)) < 0;
    }
}
