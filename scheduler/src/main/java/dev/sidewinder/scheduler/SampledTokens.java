package dev.sidewinder.scheduler;

import java.util.BitSet;

/// The tokens that came out of a step, by place of the entry in the batch. Reused from step to step.
public final class SampledTokens {

    private final int[] tokens;
    private final BitSet present;
    private final BitSet spoiled;

    /// @param entries entries in a batch at most
    public SampledTokens(int entries) {
        this.tokens = new int[entries];
        this.present = new BitSet(entries);
        this.spoiled = new BitSet(entries);
    }

    public void clear() {
        present.clear();
        spoiled.clear();
    }

    public void set(int entry, int token) {
        tokens[entry] = token;
        present.set(entry);
    }

    /// Whether the entry's sequence goes on by a token.
    public boolean has(int entry) {
        return present.get(entry);
    }

    /// Says that an entry's computation has gone wrong: no state of it is kept.
    public void spoil(int entry) {
        spoiled.set(entry);
    }

    /// Whether the entry's computation has gone wrong.
    public boolean isSpoiled(int entry) {
        return spoiled.get(entry);
    }

    public int get(int entry) {
        if (!present.get(entry)) {
            throw new IllegalStateException("entry " + entry + " has no token");
        }
        return tokens[entry];
    }
}
