package dev.sidewinder.model.chat;

import dev.sidewinder.model.grammar.TokenTrie;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.util.BitSet;
import java.util.stream.IntStream;

/// What guides need to know about the tokens of a model, gathered once. Immutable.
final class GuideVocabulary {
    private static final int MOST_BRACKETS = 3;

    private final Tokenizer tokenizer;
    private final TokenTrie trie;
    private final byte[][] bytes;
    private final BitSet lineEnds = new BitSet();
    /// Text tokens with at least so many closing angle brackets.
    private final int[][] withBrackets = new int[MOST_BRACKETS + 1][];

    GuideVocabulary(Tokenizer tokenizer) {
        this.tokenizer = tokenizer;
        this.trie = TokenTrie.of(tokenizer);
        this.bytes = new byte[tokenizer.vocabSize()][];
        for (int token = 0; token < bytes.length; token++) {
            bytes[token] = tokenizer.bytes(token);
            lineEnds.set(token, bytes[token].length > 0 && bytes[token][bytes[token].length - 1] == '\n');
        }
        for (int least = 1; least <= MOST_BRACKETS; least++) {
            int brackets = least;
            withBrackets[least] = IntStream.range(0, bytes.length).filter(token -> isText(token) && brackets(bytes[token]) >= brackets).toArray();
        }
    }

    private static int brackets(byte[] text) {
        int count = 0;
        for (byte each : text) {
            count += each == '>' ? 1 : 0;
        }
        return count;
    }

    TokenTrie trie() {
        return trie;
    }

    int size() {
        return bytes.length;
    }

    /// Whether a token stands for text. A row of logits may be longer than the vocabulary.
    boolean isText(int token) {
        return token >= 0 && token < bytes.length && bytes[token].length > 0 && !tokenizer.isSpecial(token);
    }

    /// Not to be changed.
    byte[] bytes(int token) {
        return bytes[token];
    }

    boolean endsLine(int token) {
        return lineEnds.get(token);
    }

    /// @param least 1 to 3
    int[] withBrackets(int least) {
        return withBrackets[least];
    }
}
