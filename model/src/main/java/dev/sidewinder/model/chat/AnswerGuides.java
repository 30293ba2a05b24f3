package dev.sidewinder.model.chat;

import dev.sidewinder.model.grammar.GrammarException;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.grammar.TokenMask;
import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.TextRun;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Supplier;

/// Makes the guides of a model's answers. What depends on the model alone is gathered at the first request that needs it;
/// grammars of tools are kept, the latest few. Safe for use by many threads.
public final class AnswerGuides {
    /// What closes reasoning where nothing else is set.
    public static final String CLOSING_TEXT = "\n\n" + ControlTokens.THINK_END;

    private static final int KEPT_GRAMMARS = 8;

    private final Tokenizer tokenizer;
    private final ControlTokens control;
    private final int rowLength;
    private final List<TokenMask> closing;
    private GuideVocabulary vocabulary;
    private final Map<List<CallableTool>, CallGrammar> grammars = new LinkedHashMap<>(16, 0.75f, true) {
        @Override
        protected boolean removeEldestEntry(Map.Entry<List<CallableTool>, CallGrammar> eldest) {
            return size() > KEPT_GRAMMARS;
        }
    };

    /// @param rowLength   logits of the model for a token: at least the size of the vocabulary
    /// @param closingText what closes reasoning whose budget is spent; ends with `</think>`
    /// @throws IllegalArgumentException when it does not
    public AnswerGuides(Tokenizer tokenizer, ControlTokens control, int rowLength, String closingText) {
        this.tokenizer = tokenizer;
        this.control = control;
        this.rowLength = rowLength;
        int firstTag = closingText.indexOf(ControlTokens.THINK_END);
        if (firstTag < 0 || firstTag + ControlTokens.THINK_END.length() != closingText.length()) {
            throw new IllegalArgumentException("the text that closes reasoning must end with " + ControlTokens.THINK_END
                    + ", the only one in it");
        }
        List<TokenMask> masks = new ArrayList<>();
        if (control.thinkEnd().isPresent()) {
            for (int token : tokenizer.encode(List.of(new TextRun(closingText, true)))) {
                masks.add(TokenMask.only(token));
            }
        }
        this.closing = List.copyOf(masks);
    }

    /// Whether calls can be enforced: the model has the tags they stand between.
    public boolean knowsCalls() {
        return control.toolCallStart().isPresent() && control.toolCallEnd().isPresent();
    }

    /// Whether reasoning can be closed.
    public boolean knowsThinking() {
        return control.thinkEnd().isPresent();
    }

    /// Makes a guide for each choice of a request; empty where there is nothing to enforce.
    ///
    /// @throws GrammarException      when the schema of a strict tool cannot be enforced
    /// @throws IllegalStateException when what is asked for needs tags that the model does not have
    public Optional<Supplier<TokenGuide>> of(GuideOptions options) {
        boolean calls = !options.tools().isEmpty() && knowsCalls();
        boolean budget = options.thinking() && options.budget().isPresent();
        if (options.calls().forced() && !calls || budget && !knowsThinking()) {
            throw new IllegalStateException("the model has no tags for " + (budget ? "reasoning" : "tool calls"));
        }
        if (!calls && !budget) {
            return Optional.empty();
        }
        CallGrammar grammar = calls ? grammar(options.tools()) : null;
        return Optional.of(new AnswerRules(options, control, vocabulary(), rowLength, grammar, closing));
    }

    private synchronized GuideVocabulary vocabulary() {
        if (vocabulary == null) {
            vocabulary = new GuideVocabulary(tokenizer);
        }
        return vocabulary;
    }

    private CallGrammar grammar(List<CallableTool> tools) {
        GuideVocabulary tokens = vocabulary();
        synchronized (grammars) {
            CallGrammar known = grammars.get(tools);
            if (known != null) {
                return known;
            }
        }
        // not under the lock: it may take a while
        var made = new CallGrammar(tools, tokens.trie(), control.toolCallEnd().orElseThrow());
        synchronized (grammars) {
            CallGrammar known = grammars.putIfAbsent(tools, made);
            return known == null ? made : known;
        }
    }
}
