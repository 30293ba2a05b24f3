package dev.sidewinder.server.api.answer;

import dev.sidewinder.engine.TokenLogprobs;
import java.util.Arrays;

/// Tokens of one choice that wait to be reported: ids, log-probabilities, and where their text begins. Grows, is written
/// once, and is cleared.
final class TokenReport {

    private int[] ids = new int[4];
    private TokenLogprobs[] logprobs = new TokenLogprobs[4];
    private int[] textOffsets = new int[4];
    private int size;

    /// @param logprobs   null unless asked for
    /// @param textOffset characters of the text before this token
    void add(int id, TokenLogprobs logprobs, int textOffset) {
        if (size == ids.length) {
            ids = Arrays.copyOf(ids, 2 * size);
            this.logprobs = Arrays.copyOf(this.logprobs, 2 * size);
            textOffsets = Arrays.copyOf(textOffsets, 2 * size);
        }
        ids[size] = id;
        this.logprobs[size] = logprobs;
        textOffsets[size++] = textOffset;
    }

    void addAll(TokenReport other) {
        for (int i = 0; i < other.size; i++) {
            add(other.ids[i], other.logprobs[i], other.textOffsets[i]);
        }
    }

    void clear() {
        Arrays.fill(logprobs, 0, size, null);
        size = 0;
    }

    int size() {
        return size;
    }

    boolean isEmpty() {
        return size == 0;
    }

    int id(int i) {
        return ids[i];
    }

    TokenLogprobs logprobs(int i) {
        return logprobs[i];
    }

    int textOffset(int i) {
        return textOffsets[i];
    }
}
