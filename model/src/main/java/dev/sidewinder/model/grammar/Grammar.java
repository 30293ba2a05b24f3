package dev.sidewinder.model.grammar;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/// The language of a part of an answer: a text, and the control tokens that may come where the text is complete.
///
/// An automaton over bytes whose states are the rests of an expression, made when they are reached, and its masks over a
/// vocabulary, made once for every state that sampling comes to. Safe for use by many threads.
public final class Grammar {

    /// Where one text stands. Belongs to its grammar.
    public static final class State {
        private final Expression rest;
        private final State[] next = new State[256];
        private TokenMask mask;
        /// How often a walk went on from here.
        private int visits;
        /// ASCII bytes that lead back here, looked for when it seems worth it.
        private long loopLow;
        private long loopHigh;

        private State(Expression rest) {
            this.rest = rest;
        }

        /// Whether the text is complete here.
        public boolean isComplete() {
            return rest.takesEmpty;
        }
    }

    /// A state from which walks went on so often may be one of free text, and knowing its loops saves the most of a walk.
    private static final int WORTH_A_LOOK = 64;
    /// Beyond so many bytes of masks, and states, everything is forgotten and made anew as it comes.
    private static final long MASK_BYTES = 8L << 20;
    private static final int FEWEST_MASKS = 64;
    private static final int MOST_STATES = 8_000;
    private static final int MOST_EXPRESSIONS = 400_000;

    private final Expressions make;
    private final TokenTrie trie;
    private final int[] tokensAtEnd;
    private final Expression root;
    private final State dead;
    private final Map<Expression, State> states = new HashMap<>();
    private final State[] path;
    private final int mostMasks;
    private int masks;

    /// @param make        made `root`, and belongs to this grammar from now on
    /// @param tokensAtEnd control tokens that may come where the text is complete
    public Grammar(Expressions make, Expression root, TokenTrie trie, int... tokensAtEnd) {
        this.make = make;
        make.unbounded();
        this.trie = trie;
        this.root = root;
        this.tokensAtEnd = tokensAtEnd.clone();
        this.dead = new State(make.nothing());
        this.path = new State[trie.longestBytes() + 1];
        this.mostMasks = (int) Math.max(FEWEST_MASKS, MASK_BYTES / (8L * TokenMask.wordsFor(trie.vocabSize()) + 1));
    }

    /// Before the first byte.
    public synchronized State start() {
        return state(root);
    }

    /// Where an expression of its own begins, one made by the same maker.
    public synchronized State startOf(Expression expression) {
        return state(expression);
    }

    /// Behind some bytes more.
    ///
    /// @return a state that is [#isDead] when they do not belong there
    public synchronized State after(State state, byte[] bytes) {
        State at = state;
        for (byte value : bytes) {
            at = next(at, value & 0xFF);
        }
        return at;
    }

    public boolean isDead(State state) {
        return state.rest == make.nothing();
    }

    /// The tokens that may come here: a text may be complete behind them, or go on. The control tokens too, where the text
    /// is complete.
    public synchronized TokenMask mask(State state) {
        if (state.mask == null) {
            if (++masks > mostMasks || states.size() > MOST_STATES || make.size() > MOST_EXPRESSIONS) {
                forget();
            }
            state.mask = makeMask(state);
        }
        return state.mask;
    }

    private void forget() {
        states.clear();
        make.forget();
        masks = 1;
    }

    private State state(Expression rest) {
        return rest == make.nothing() ? dead : states.computeIfAbsent(rest, State::new);
    }

    private State next(State from, int value) {
        State to = from.next[value];
        if (to == null) {
            to = state(make.after(from.rest, value));
            from.next[value] = to;
        }
        return to;
    }

    private TokenMask makeMask(State start) {
        long[] words = new long[TokenMask.wordsFor(trie.vocabSize())];
        path[0] = start;
        int node = 0;
        while (node < trie.nodes()) {
            State from = path[trie.depth[node] - 1];
            if (++from.visits == WORTH_A_LOOK) {
                findLoops(from);
            }
            if ((trie.lowBytes[node] & ~from.loopLow) == 0 && (trie.highBytes[node] & ~from.loopHigh) == 0) {
                // nothing below leads anywhere else
                add(words, trie.firstToken[node], trie.firstToken[trie.end[node]]);
                node = trie.end[node];
                continue;
            }
            State to = next(from, trie.label[node] & 0xFF);
            if (to == dead) {
                node = trie.end[node];
            } else {
                path[trie.depth[node]] = to;
                add(words, trie.firstToken[node], trie.firstToken[node + 1]);
                node++;
            }
        }
        Arrays.fill(path, null);
        if (start.isComplete()) {
            for (int token : tokensAtEnd) {
                words = token >> 6 < words.length ? words : Arrays.copyOf(words, (token >> 6) + 1);
                words[token >> 6] |= 1L << token;
            }
        }
        return TokenMask.of(words);
    }

    private void findLoops(State state) {
        for (int value = 0; value < 127; value++) {
            if (next(state, value) == state) {
                state.loopLow |= value < 64 ? 1L << value : 0;
                state.loopHigh |= value < 64 ? 0 : 1L << value;
            }
        }
    }

    private void add(long[] words, int from, int to) {
        for (int i = from; i < to; i++) {
            int token = trie.tokens[i];
            words[token >> 6] |= 1L << token;
        }
    }
}
