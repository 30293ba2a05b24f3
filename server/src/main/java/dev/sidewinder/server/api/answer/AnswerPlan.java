package dev.sidewinder.server.api.answer;

import dev.sidewinder.model.chat.ChatOutputParser;
import dev.sidewinder.server.api.ModelText;
import dev.sidewinder.server.api.OutputOptions;
import dev.sidewinder.server.api.ReasoningFields;
import dev.sidewinder.server.api.StopOptions;
import dev.sidewinder.server.api.StreamOptions;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/// What an answer is made of, besides the tokens.
///
/// @param form      the shape of the JSON
/// @param identity  what every chunk repeats
/// @param prompts   one per engine request, in order
/// @param choices   choices per prompt
/// @param minTokens stop strings do not count before this many
/// @param text      absent for a model that serves token ids only
/// @param chat      how a conversation's answer is taken apart; absent for plain text
/// @param explainedPartition what the partition is called where usage explains what the prefix cache did; absent = it does not
public record AnswerPlan(Form form, Identity identity, List<PromptInfo> prompts, int choices, int minTokens,
        StopOptions stops, StreamOptions stream, OutputOptions output, Optional<ModelText> text, Optional<Chat> chat,
        Optional<String> explainedPartition) {

    public AnswerPlan {
        prompts = List.copyOf(prompts);
    }

    /// The shapes of answers.
    public enum Form {
        CHAT, TEXT, GENERATE
    }

    /// @param requestId   for error envelopes
    /// @param answerId    `chatcmpl-…` or `cmpl-…`
    /// @param created     seconds since 1970
    /// @param model       as the client named it
    /// @param fingerprint of build and weights
    public record Identity(String requestId, String answerId, long created, String model, String fingerprint) {}

    /// @param tokens    the prompt; not to be changed
    /// @param text      the prompt as text; null unless it is part of the answer
    /// @param maxTokens tokens a choice may have
    public record PromptInfo(int[] tokens, String text, int maxTokens) {}

    /// @param parsers          makes one parser per choice
    /// @param reasoning        under which names it goes out
    /// @param includeReasoning whether it goes out at all
    /// @param namedCall        whether the request named the function to call: then a call is a `stop`
    public record Chat(Supplier<ChatOutputParser> parsers, ReasoningFields reasoning, boolean includeReasoning,
            boolean namedCall) {}

    /// Choices over all prompts.
    public int totalChoices() {
        return prompts.size() * choices;
    }
}
