package dev.sidewinder.it.support;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;

/// What a choice of a chat answer says, the only one unless told otherwise, whether it came whole or as a stream: for comparing answers to the same request.
///
/// Ids of calls are left out, since each is drawn anew.
///
/// @param calls    name and arguments of each call
/// @param tokenIds as `return_token_ids` gives them
/// @param logprobs one object for each token, as the server printed it: a number stands for one float and no other
public record Reply(String content, List<String> calls, String finish, List<Integer> tokenIds, List<JsonNode> logprobs) {

    /// Of an answer that came whole.
    public static Reply of(JsonNode answer) {
        return of(answer, 0);
    }

    /// Of one choice of an answer that came whole.
    public static Reply of(JsonNode answer, int choice) {
        var builder = new Builder();
        JsonNode said = answer.path("choices").path(choice);
        builder.add(said, said.path("message"));
        return builder.reply();
    }

    /// Of a stream, read to its end.
    public static Reply of(EventReader stream) throws Exception {
        var builder = new Builder();
        for (EventReader.Event event : stream.all()) {
            if (event.name().isEmpty() && !event.isDone()) {
                JsonNode choice = event.json().at("/choices/0");
                builder.add(choice, choice.path("delta"));
            }
        }
        return builder.reply();
    }

    private static final class Builder {

        private final StringBuilder content = new StringBuilder();
        private final List<StringBuilder> calls = new ArrayList<>();
        private String finish = "";
        private final List<Integer> tokenIds = new ArrayList<>();
        private final List<JsonNode> logprobs = new ArrayList<>();

        void add(JsonNode choice, JsonNode said) {
            if (said.hasNonNull("content")) {
                content.append(said.get("content").asText());
            }
            int place = 0;
            for (JsonNode call : said.path("tool_calls")) {
                addCall(call.path("index").asInt(place++), call.path("function"));
            }
            if (choice.hasNonNull("finish_reason")) {
                finish = choice.get("finish_reason").asText();
            }
            choice.path("token_ids").forEach(id -> tokenIds.add(id.intValue()));
            choice.at("/logprobs/content").forEach(logprobs::add);
        }

        private void addCall(int index, JsonNode function) {
            while (calls.size() <= index) {
                calls.add(new StringBuilder());
            }
            if (function.hasNonNull("name")) {
                calls.get(index).append(function.get("name").asText()).append(": ");
            }
            calls.get(index).append(function.path("arguments").asText(""));
        }

        Reply reply() {
            return new Reply(content.toString(), calls.stream().map(StringBuilder::toString).toList(), finish, List.copyOf(tokenIds),
                    List.copyOf(logprobs));
        }
    }
}
