package dev.sidewinder.scheduler;

import java.util.List;

/// The work of one step. No two entries share a sequence or a slot.
///
/// @param step    number of the step, from 1
/// @param entries what to run
public record Batch(long step, List<BatchEntry> entries) {
    public Batch {
        entries = List.copyOf(entries);
    }

    public boolean isEmpty() {
        return entries.isEmpty();
    }

    /// Tokens over all entries.
    public int tokens() {
        int sum = 0;
        for (BatchEntry entry : entries) {
            sum += entry.count();
        }
        return sum;
    }

    /// Rows of logits over all entries; they come in the order of the entries.
    public int logitRows() {
        int sum = 0;
        for (BatchEntry entry : entries) {
            sum += entry.logitRows();
        }
        return sum;
    }
}
