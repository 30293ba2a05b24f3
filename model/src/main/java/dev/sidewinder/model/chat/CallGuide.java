package dev.sidewinder.model.chat;

import dev.sidewinder.model.grammar.Grammar;
import dev.sidewinder.model.grammar.TokenMask;
import java.util.Arrays;

/// Holds the calls of one answer to their grammar, one call after the other. For one answer, one thread.
final class CallGuide {
    /// The parser takes names up to some length; before it a name has to end.
    private static final int KEY_MARGIN_BYTES = 24;

    private final CallGrammar calls;
    private final GuideVocabulary vocabulary;
    private final int[] textStops;
    private final ParameterNames names;
    private final ParameterNames probe;
    private final int longestKeyBytes;
    private Grammar.State state;
    /// A mask with some tokens taken out.
    private long[] scratch;

    /// @param textStops stop tokens that stand for text: inside a call they do not come
    CallGuide(CallGrammar calls, GuideVocabulary vocabulary, int[] textStops) {
        this.calls = calls;
        this.vocabulary = vocabulary;
        this.textStops = textStops;
        this.names = calls.names();
        this.probe = calls.names();
        this.longestKeyBytes = Math.max(1,
                ToolCallReader.LONGEST_KEY - KEY_MARGIN_BYTES - vocabulary.trie().longestBytes());
    }

    /// A call begins: `<tool_call>` has come.
    void begin() {
        state = calls.start();
        names.restart();
    }

    TokenMask allowed() {
        TokenMask mask = calls.grammar().mask(state);
        int brackets = names.bracketsToRepeat();
        int[] risky = brackets == 0 ? new int[0] : vocabulary.withBrackets(brackets);
        boolean copied = false;
        for (int token : textStops) {
            copied = remove(token, mask, copied);
        }
        for (int token : risky) {
            if (mask.allows(token) && repeats(token)) {
                copied = remove(token, mask, copied);
            }
        }
        return copied ? TokenMask.of(scratch) : mask;
    }

    private boolean repeats(int token) {
        probe.copyOf(names);
        probe.accept(vocabulary.bytes(token));
        return probe.repeated();
    }

    private boolean remove(int token, TokenMask mask, boolean copied) {
        if (!mask.allows(token)) {
            return copied;
        }
        if (!copied) {
            scratch = scratch == null ? new long[mask.words()] : scratch;
            if (scratch.length != mask.words()) {
                scratch = new long[mask.words()];
            }
            for (int i = 0; i < scratch.length; i++) {
                scratch[i] = mask.word(i);
            }
        }
        scratch[token >> 6] &= ~(1L << token);
        return true;
    }

    /// Takes a token of text.
    void accept(int token) {
        byte[] bytes = vocabulary.bytes(token);
        state = calls.grammar().after(state, bytes);
        names.accept(bytes);
        if (names.keyBytes() >= longestKeyBytes && !calls.grammar().isDead(calls.grammar().after(state, KEY_END))) {
            state = calls.keyMustEnd();
        }
    }

    private static final byte[] KEY_END = {'>'};
}
