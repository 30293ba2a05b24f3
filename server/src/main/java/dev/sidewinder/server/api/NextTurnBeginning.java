package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.model.chat.ChatPrompt;
import dev.sidewinder.model.chat.ChatTemplateException;
import dev.sidewinder.model.chat.Message;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/// The tokens that the prompt of a conversation's next turn begins with when a user speaks next, whatever is said: the conversation is
/// rendered with a message in that place, and cut where its turn opens.
final class NextTurnBeginning {

    private final ChatFormat format;
    private final ModelText text;

    NextTurnBeginning(ChatFormat format, ModelText text) {
        this.format = format;
        this.text = text;
    }

    /// @param answer without its reasoning
    /// @return empty where the prompt opened no turn to be answered, the template shows no turns, or it would not have such a conversation
    Optional<int[]> of(Conversation conversation, List<JsonNode> tools, Map<String, JsonNode> variables, String answer) {
        OptionalInt turnStart = format.control().turnStart();
        if (turnStart.isEmpty() || !conversation.addGenerationPrompt() || conversation.continueFinalMessage()) {
            return Optional.empty();
        }
        List<Message> messages = new ArrayList<>(conversation.messages());
        messages.add(Message.assistant(answer));
        messages.add(Message.user("?"));
        try {
            int[] tokens = text.encode(format.render(new ChatPrompt(messages, tools, variables, false, false)));
            return cut(tokens, turnStart.getAsInt());
        } catch (ChatTemplateException refused) {
            return Optional.empty();
        }
    }

    private static Optional<int[]> cut(int[] tokens, int turnStart) {
        for (int i = tokens.length - 1; i > 0; i--) {
            if (tokens[i] == turnStart) {
                return Optional.of(Arrays.copyOf(tokens, i));
            }
        }
        return Optional.empty();
    }
}
