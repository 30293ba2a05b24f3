package dev.sidewinder.model.chat;

import dev.sidewinder.model.grammar.Expression;
import dev.sidewinder.model.grammar.Expressions;
import dev.sidewinder.model.grammar.Grammar;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.grammar.TokenMask;
import dev.sidewinder.model.tokenizer.ControlTokens;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.Supplier;

/// What the choices of one request share: the rules that each of their guides follows. Immutable; the grammars inside may
/// be used by many threads.
final class AnswerRules implements Supplier<TokenGuide> {
    /// Behind the reasoning, where newlines are no content yet, and between calls, models write a newline or two.
    private static final int GAP_NEWLINES = 2;
    private static final int GAP_EXPRESSIONS = 64;

    private final GuideOptions options;
    private final ControlTokens control;
    private final GuideVocabulary vocabulary;
    private final CallGrammar calls;
    private final Grammar beforeCall;
    private final Grammar betweenCalls;
    private final TokenMask inReasoning;
    private final int[] textStops;
    private final List<TokenMask> closing;

    /// @param calls   null when the answer makes none
    /// @param closing masks of the tokens that close reasoning, in order
    AnswerRules(GuideOptions options, ControlTokens control, GuideVocabulary vocabulary, int rowLength, CallGrammar calls,
            List<TokenMask> closing) {
        this.options = options;
        this.control = control;
        this.vocabulary = vocabulary;
        this.calls = calls;
        this.closing = closing;
        this.textStops = options.stopTokens().stream().mapToInt(Integer::intValue).filter(vocabulary::isText).sorted().toArray();
        if (mustCall()) {
            int start = control.toolCallStart().orElseThrow();
            int[] ends = new int[options.stopTokens().size() + 1];
            ends[0] = start;
            int count = 1;
            for (int stop : options.stopTokens()) {
                if (stop >= 0 && stop < rowLength) {
                    ends[count++] = stop;
                }
            }
            beforeCall = gap(options.thinking() ? GAP_NEWLINES : 0, start);
            betweenCalls = gap(GAP_NEWLINES, Arrays.copyOf(ends, count));
            inReasoning = TokenMask.allBut(rowLength, options.stopTokens());
        } else {
            beforeCall = null;
            betweenCalls = null;
            inReasoning = TokenMask.ALL;
        }
    }

    private Grammar gap(int newlines, int... tokensAtEnd) {
        var make = new Expressions(GAP_EXPRESSIONS);
        Expression gap = make.upTo(newlines, make.text("\n"));
        return new Grammar(make, gap, vocabulary.trie(), tokensAtEnd);
    }

    @Override
    public TokenGuide get() {
        return new AnswerGuide(this);
    }

    GuideOptions options() {
        return options;
    }

    boolean mustCall() {
        return calls != null && options.calls().forced();
    }

    /// Null when the answer makes no calls.
    CallGuide callGuide() {
        return calls == null ? null : new CallGuide(calls, vocabulary, textStops);
    }

    Grammar beforeCall() {
        return beforeCall;
    }

    Grammar betweenCalls() {
        return betweenCalls;
    }

    TokenMask inReasoning() {
        return inReasoning;
    }

    /// The mask of one token of the closing text.
    TokenMask closing(int index) {
        return closing.get(index);
    }

    boolean isText(int token) {
        return vocabulary.isText(token);
    }

    byte[] bytes(int token) {
        return vocabulary.bytes(token);
    }

    boolean endsLine(int token) {
        return vocabulary.endsLine(token);
    }

    boolean isThinkStart(int token) {
        return is(token, control.thinkStart());
    }

    boolean isThinkEnd(int token) {
        return is(token, control.thinkEnd());
    }

    boolean isCallStart(int token) {
        return is(token, control.toolCallStart());
    }

    boolean isCallEnd(int token) {
        return is(token, control.toolCallEnd());
    }

    private static boolean is(int token, OptionalInt tag) {
        return tag.isPresent() && tag.getAsInt() == token;
    }
}
