package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.MemoryWork;
import java.util.List;

/// The work of one step. No two entries share a sequence or a slot.
///
/// @param step    number of the step, from 1
/// @param entries what to run; may be none where there is something to copy
/// @param memory  what to copy before and after
public record Batch(long step, List<BatchEntry> entries, MemoryWork memory) {
    public Batch {
        entries = List.copyOf(entries);
    }

    /// Nothing is copied.
    public Batch(long step, List<BatchEntry> entries) {
        this(step, entries, MemoryWork.NONE);
    }

    /// Whether there is nothing to do.
    public boolean isEmpty() {
        return entries.isEmpty() && memory.isEmpty();
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
