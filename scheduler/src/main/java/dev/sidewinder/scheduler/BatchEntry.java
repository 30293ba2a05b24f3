package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.Allocation;

/// A run of tokens of one sequence in a step. A prompt piece and a decoded token differ in `source` and `count` only.
///
/// @param sequence   id of the sequence
/// @param tokens     the sequence's tokens; those before `from + count` are valid, an unread one excepted; not to be written
///                   or kept
/// @param from       position of the first token to run; state and KV hold everything before it when it runs. At 0 the state is
///                   zero, whatever the slot held before
/// @param count      tokens to run, at least 1; exactly 1 of those that were generated
/// @param source     whether they are a piece of the prompt, or where the one token comes from
/// @param logits     for which of them logits are wanted
/// @param allocation where state and KV of the sequence live; covers `from + count` tokens
public record BatchEntry(long sequence, int[] tokens, int from, int count, TokenSource source, LogitRows logits,
        Allocation allocation) {

    public BatchEntry {
        if (count < 1 || source != TokenSource.PROMPT && count > 1) {
            throw new IllegalArgumentException("sequence " + sequence + ": " + count + " tokens from " + from + " on, " + source
                    + "; an entry has at least 1, and exactly 1 of those that were generated");
        }
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
