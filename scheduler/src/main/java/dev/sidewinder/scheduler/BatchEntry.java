package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.StateWrite;
import java.util.List;

/// A run of tokens of one sequence in a step. A prompt piece and a decoded token differ in `source` and `count` only.
///
/// @param sequence   id of the sequence; below zero for a part of a preparation, see [#isForAnybody]
/// @param tokens     the sequence's tokens; those before `from + count` are valid, an unread one excepted; not to be written
///                   or kept
/// @param from       position of the first token to run; state and KV hold everything before it when it runs. At 0 the state is
///                   zero, whatever the slot held before
/// @param count      tokens to run, at least 1; exactly 1 of those that were generated
/// @param source     whether they are a piece of the prompt, or where the one token comes from
/// @param logits     for which of them logits are wanted
/// @param allocation where state and KV of the sequence live; covers `from + count` tokens
/// @param writes     states that the run writes on its way or at its end, besides that in the sequence's own slot: behind `from`, by
///                   rising position, and only of a piece of the prompt
public record BatchEntry(long sequence, int[] tokens, int from, int count, TokenSource source, LogitRows logits,
        Allocation allocation, List<StateWrite> writes) {

    public BatchEntry {
        if (count < 1 || source != TokenSource.PROMPT && count > 1) {
            throw new IllegalArgumentException("sequence " + sequence + ": " + count + " tokens from " + from + " on, " + source
                    + "; an entry has at least 1, and exactly 1 of those that were generated");
        }
        writes = List.copyOf(writes);
        int last = from;
        for (StateWrite write : writes) {
            if (write.position() <= last || write.position() > from + count || source != TokenSource.PROMPT) {
                throw new IllegalArgumentException("sequence " + sequence + ": states to be written " + writes + " by " + count
                        + " tokens from " + from + " on, " + source + "; they have to be of a piece of the prompt, within it, and rise");
            }
            last = write.position();
        }
    }

    /// Without states to be written.
    public BatchEntry(long sequence, int[] tokens, int from, int count, TokenSource source, LogitRows logits, Allocation allocation) {
        this(sequence, tokens, from, count, source, logits, allocation, List.of());
    }

    /// Whether its slot may be given to another sequence with the state that it leaves there, not a copy of it.
    public boolean isForAnybody() {
        return sequence < 0;
    }

    /// Rows of logits this entry adds to the result of the step.
    public int logitRows() {
        return switch (logits) {
            case NONE -> 0;
            case LAST -> 1;
            case ALL -> count;
        };
    }
}
