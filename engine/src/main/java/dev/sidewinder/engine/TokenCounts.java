package dev.sidewinder.engine;

import java.util.Arrays;

/// Which tokens a sequence holds, each once, and how often each was generated. A hash table of integers: a sequence uses
/// a small part of the vocabulary.
final class TokenCounts {

    private static final int EMPTY = 0;

    private int[] tokens = new int[64];
    private int[] generated = new int[64];
    private int size;
    /// Place in `tokens` plus one, by hash; at most half full.
    private int[] table = new int[128];

    /// Distinct tokens.
    int size() {
        return size;
    }

    /// The i-th distinct token, in order of first appearance.
    int token(int i) {
        return tokens[i];
    }

    /// How often the i-th distinct token was generated; 0 when it stands in the prompt only.
    int generated(int i) {
        return generated[i];
    }

    void addPrompt(int token) {
        place(token);
    }

    void addGenerated(int token) {
        // In this order: `place` may replace the array.
        int at = place(token);
        generated[at]++;
    }

    private int place(int token) {
        int at = find(token);
        if (table[at] != EMPTY) {
            return table[at] - 1;
        }
        if (size == tokens.length) {
            grow();
            at = find(token);
        }
        tokens[size] = token;
        table[at] = size + 1;
        return size++;
    }

    private int find(int token) {
        int mask = table.length - 1;
        int at = token * 0x9E3779B9 >>> 16 & mask;
        while (table[at] != EMPTY && tokens[table[at] - 1] != token) {
            at = at + 1 & mask;
        }
        return at;
    }

    private void grow() {
        tokens = Arrays.copyOf(tokens, 2 * size);
        generated = Arrays.copyOf(generated, 2 * size);
        table = new int[4 * size];
        for (int i = 0; i < size; i++) {
            table[find(tokens[i])] = i + 1;
        }
    }
}
