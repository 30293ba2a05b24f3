package dev.sidewinder.scheduler;

import java.util.BitSet;

/// The tokens that came out of a step, by place of the entry in the batch. Reused from step to step.
public final class SampledTokens {

    private final int[] tokens;
    private final BitSet present;

    /// @param entries entries in a batch at most
    public SampledTokens(int entries) {
        this.tokens = new int[entries];
        this.present = new BitSet(entries);
    }

    public void clear() {
        present.clear();
    }

    public void set(int entry, int token) {
        tokens[entry] = token;
        present.set(entry);
    }

    /// Whether the entry's sequence goes on by a token.
    public boolean has(int entry) {
        return present.get(entry);
    }

    public int get(int entry) {
        if (!present.get(entry)) {
            throw new IllegalStateException("entry " + entry + " has no token");
        }
        return tokens[entry];
    }
}
