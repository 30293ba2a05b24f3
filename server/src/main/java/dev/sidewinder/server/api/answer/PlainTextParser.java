package dev.sidewinder.server.api.answer;

import dev.sidewinder.model.chat.ChatOutputParser;
import dev.sidewinder.model.chat.OutputDelta;
import dev.sidewinder.model.chat.StopMatcher;
import java.util.List;

/// Output that is all content: text completions. Knows stop strings and nothing else.
final class PlainTextParser implements ChatOutputParser {

    private final StopMatcher stops;
    private final int minTokens;
    private int tokens;

    /// @param minTokens stop strings are not looked for in the text of the first tokens
    PlainTextParser(List<String> stops, boolean includeStop, int minTokens) {
        this.stops = new StopMatcher(stops, includeStop);
        this.minTokens = minTokens;
    }

    @Override
    public List<OutputDelta> accept(int token, String text) {
        tokens++;
        return content(search(text));
    }

    @Override
    public List<OutputDelta> finish(String text, End end) {
        String found = search(text);
        return content(stops.matched() ? found : found + stops.flush());
    }

    private String search(String text) {
        return tokens > minTokens ? stops.accept(text) : text;
    }

    private static List<OutputDelta> content(String text) {
        return text.isEmpty() ? List.of() : List.of(new OutputDelta.Content(text));
    }

    @Override
    public int reasoningTokens() {
        return 0;
    }

    @Override
    public int toolCalls() {
        return 0;
    }

    @Override
    public boolean stopped() {
        return stops.matched();
    }
}
