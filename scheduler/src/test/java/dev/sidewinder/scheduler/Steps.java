package dev.sidewinder.scheduler;

import java.util.ArrayList;
import java.util.List;

/// Completes steps as an engine would: whoever has no token left to compute gets the same one, and ends with its longest answer.
final class Steps {

    private static final int TOKEN = 7;

    private Steps() {}

    /// @param live sequences that have not ended; those that do are taken out
    static void complete(Scheduler<String> scheduler, Batch batch, List<Sequence<String>> live) {
        var sampled = new SampledTokens(16);
        for (int i = 0; i < batch.entries().size(); i++) {
            BatchEntry entry = batch.entries().get(i);
            Sequence<String> sequence = scheduler.scheduled(batch, i);
            if (sequence.state() != Sequence.State.ENDED && entry.from() + entry.count() == sequence.length()) {
                sampled.set(i, TOKEN);
            }
        }
        scheduler.complete(batch, sampled);
        for (Sequence<String> each : new ArrayList<>(live)) {
            if (each.generatedTokens() == each.maxTokens()) {
                scheduler.end(each);
                live.remove(each);
            }
        }
        scheduler.checkInvariants();
    }
}
