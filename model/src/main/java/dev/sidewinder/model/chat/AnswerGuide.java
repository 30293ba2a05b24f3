package dev.sidewinder.model.chat;

import dev.sidewinder.model.grammar.Grammar;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.grammar.TokenMask;

/// Holds one answer to its form: tool calls to their grammar, and reasoning to its budget. It follows the tags by the rules
/// of [NemotronOutputParser], so both are always at the same place of the answer.
///
/// - Reasoning: anything. Where a call must follow, the turn cannot end here. Once the budget is spent, the closing text
///   comes, token by token, and nothing else.
/// - Content: anything; where a call must follow, only that. The newlines behind reasoning are no content.
/// - A call, from its tag on: its grammar, in reasoning too.
/// - Behind a forced call: another one, or the end of the turn; or nothing, where one call ends the answer.
final class AnswerGuide implements TokenGuide {

    private enum Place {
        REASONING, CONTENT, BEFORE_CALL, CALL, BETWEEN_CALLS, COMPLETE
    }

    private final AnswerRules rules;
    private final CallGuide call;
    private Place place;
    /// In a gap around calls.
    private Grammar.State gap;
    private int reasoningTokens;
    private boolean atLineEnd;
    /// Tokens of the closing text that have come; -1 while it is not forced.
    private int closing = -1;

    AnswerGuide(AnswerRules rules) {
        this.rules = rules;
        this.call = rules.callGuide();
        if (rules.options().thinking()) {
            enterReasoning();
        } else {
            enterContent();
        }
    }

    private void enterReasoning() {
        place = Place.REASONING;
        forceIfSpent();
    }

    private void forceIfSpent() {
        if (closing < 0 && rules.options().budget().isPresent()
                && rules.options().budget().get().isSpent(reasoningTokens, atLineEnd)) {
            closing = 0;
        }
    }

    private void enterContent() {
        closing = -1;
        if (rules.mustCall()) {
            place = Place.BEFORE_CALL;
            gap = rules.beforeCall().start();
        } else {
            place = Place.CONTENT;
        }
    }

    @Override
    public TokenMask allowed() {
        return switch (place) {
            case REASONING -> closing >= 0 ? rules.closing(closing) : rules.inReasoning();
            case CONTENT, COMPLETE -> TokenMask.ALL;
            case BEFORE_CALL -> rules.beforeCall().mask(gap);
            case BETWEEN_CALLS -> rules.betweenCalls().mask(gap);
            case CALL -> call.allowed();
        };
    }

    @Override
    public void accept(int token) {
        switch (place) {
            case REASONING -> inReasoning(token);
            case CONTENT -> inContent(token);
            case BEFORE_CALL, BETWEEN_CALLS -> inGap(token);
            case CALL -> inCall(token);
            case COMPLETE -> { }
        }
    }

    private void inReasoning(int token) {
        if (call != null && rules.isCallStart(token)) {
            beginCall();
            return;
        }
        reasoningTokens++;
        atLineEnd = rules.endsLine(token);
        if (rules.isThinkEnd(token)) {
            enterContent();
        } else if (closing >= 0) {
            closing++;
        } else {
            forceIfSpent();
        }
    }

    private void inContent(int token) {
        if (call != null && rules.isCallStart(token)) {
            beginCall();
        } else if (rules.options().thinking() && rules.isThinkStart(token)) {
            reasoningTokens++;
            atLineEnd = false;
            enterReasoning();
        }
    }

    private void inGap(int token) {
        if (rules.isCallStart(token)) {
            beginCall();
        } else if (rules.isText(token)) {
            Grammar grammar = place == Place.BEFORE_CALL ? rules.beforeCall() : rules.betweenCalls();
            gap = grammar.after(gap, rules.bytes(token));
        }
    }

    private void beginCall() {
        place = Place.CALL;
        closing = -1;
        call.begin();
    }

    private void inCall(int token) {
        if (!rules.isCallEnd(token)) {
            call.accept(token);
        } else if (rules.options().calls().one()) {
            place = Place.COMPLETE;
        } else if (rules.mustCall()) {
            place = Place.BETWEEN_CALLS;
            gap = rules.betweenCalls().start();
        } else {
            place = Place.CONTENT;
        }
    }

    @Override
    public boolean isComplete() {
        return place == Place.COMPLETE;
    }
}
