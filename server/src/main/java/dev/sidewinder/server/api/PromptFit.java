package dev.sidewinder.server.api;

import java.util.Arrays;
import java.util.OptionalInt;

/// Prompt and answer share one length.
final class PromptFit {

    private PromptFit() {}

    /// Tokens the answer may have.
    ///
    /// @throws ApiException 400 `context_length_exceeded`
    static int maxTokens(String param, int promptTokens, LengthOptions length, int limit) {
        if (length.maxTokens().isPresent()) {
            int asked = length.maxTokens().getAsInt();
            if ((long) promptTokens + asked > limit) {
                throw ApiErrors.contextLength(param, promptTokens, asked, limit);
            }
            return asked;
        }
        int room = limit - promptTokens;
        if (room < 1) {
            throw ApiErrors.contextLength(param, promptTokens, 0, limit);
        }
        if (length.minTokens() > room) {
            throw ApiErrors.invalid("integer_above_max_value", "min_tokens", "'min_tokens' is " + length.minTokens()
                    + "; behind this prompt there is room for " + room + ".");
        }
        return room;
    }

    /// Keeps the last tokens of a prompt.
    ///
    /// @param keep how many; -1 = as many as fit beside the answer
    static int[] truncate(int[] prompt, OptionalInt keep, LengthOptions length, int limit) {
        if (keep.isEmpty() || keep.getAsInt() == 0) {
            return prompt;
        }
        int most = keep.getAsInt() > 0 ? keep.getAsInt() : Math.max(1, limit - length.maxTokens().orElse(1));
        return prompt.length <= most ? prompt : Arrays.copyOfRange(prompt, prompt.length - most, prompt.length);
    }
}
