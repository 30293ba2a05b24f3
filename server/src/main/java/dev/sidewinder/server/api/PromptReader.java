package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;

/// Reads the `prompt` of a text completion: a text, texts, token ids, or lists of token ids.
final class PromptReader {

    private static final String PATH = "prompt";

    private final Bounds bounds;
    private final Problems problems;

    PromptReader(Bounds bounds, Problems problems) {
        this.bounds = bounds;
        this.problems = problems;
    }

    List<Prompt> read(JsonNode prompt) {
        if (prompt.isTextual()) {
            return text(PATH, prompt.textValue());
        }
        JsonNode first = prompt.get(0);
        if (first.isNumber()) {
            return tokens(PATH, prompt);
        }
        int maxPrompts = bounds.limits().get(Limit.PROMPTS);
        if (prompt.size() > maxPrompts) {
            problems.add("array_above_max_length", PATH, "'prompt' has " + prompt.size() + " entries; the maximum is "
                    + maxPrompts + ".");
            return List.of();
        }
        List<Prompt> prompts = new ArrayList<>(prompt.size());
        for (int i = 0; i < prompt.size(); i++) {
            String path = PATH + "[" + i + "]";
            JsonNode entry = prompt.get(i);
            boolean sameForm = first.isTextual() ? entry.isTextual() : first.isArray() && entry.isArray();
            if (!sameForm) {
                problems.wrongType(path, "a string in every place, or an array of token ids in every place");
            } else {
                prompts.addAll(entry.isTextual() ? text(path, entry.textValue()) : tokens(path, entry));
            }
        }
        return prompts;
    }

    private List<Prompt> text(String path, String text) {
        if (text.isEmpty()) {
            problems.add("string_below_min_length", path, "'" + path + "' needs at least 1 character.");
            return List.of();
        }
        return List.of(new Prompt.Text(text));
    }

    private List<Prompt> tokens(String path, JsonNode ids) {
        if (ids.isEmpty()) {
            problems.add("array_below_min_length", path, "'" + path + "' needs at least 1 token id.");
            return List.of();
        }
        if (ids.size() > bounds.maxModelTokens()) {
            problems.add("array_above_max_length", path, "'" + path + "' has " + ids.size()
                    + " token ids; this server holds " + bounds.maxModelTokens() + " per sequence.");
            return List.of();
        }
        return new ParameterReader(bounds, problems).tokenIds(path, ids).<List<Prompt>>map(
                read -> List.of(new Prompt.Tokens(read))).orElse(List.of());
    }
}
