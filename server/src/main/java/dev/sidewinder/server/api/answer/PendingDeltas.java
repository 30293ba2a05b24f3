package dev.sidewinder.server.api.answer;

import dev.sidewinder.model.chat.OutputDelta;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/// Deltas of one choice that were not sent yet. Neighbours of one kind become one delta.
final class PendingDeltas {

    private final List<OutputDelta> deltas = new ArrayList<>(2);

    void add(OutputDelta delta) {
        OutputDelta joined = deltas.isEmpty() ? null : join(deltas.getLast(), delta);
        if (joined == null) {
            deltas.add(delta);
        } else {
            deltas.set(deltas.size() - 1, joined);
        }
    }

    /// @return null when the two are of different kinds
    private static OutputDelta join(OutputDelta first, OutputDelta second) {
        return switch (first) {
            case OutputDelta.Reasoning(String a) when second instanceof OutputDelta.Reasoning(String b) ->
                new OutputDelta.Reasoning(a + b);
            case OutputDelta.Content(String a) when second instanceof OutputDelta.Content(String b) ->
                new OutputDelta.Content(a + b);
            case OutputDelta.ToolCallArguments(int i, String a)
                when second instanceof OutputDelta.ToolCallArguments(int j, String b) && i == j ->
                new OutputDelta.ToolCallArguments(i, a + b);
            case OutputDelta.Reasoning _, OutputDelta.Content _, OutputDelta.ToolCallArguments _,
                OutputDelta.ToolCallStarted _, OutputDelta.ToolCallEnded _ -> null;
        };
    }

    boolean isEmpty() {
        return deltas.isEmpty();
    }

    void drain(Consumer<OutputDelta> consumer) {
        for (OutputDelta delta : deltas) {
            consumer.accept(delta);
        }
        deltas.clear();
    }

    /// Everything as text; for answers that have nothing but text.
    String takeText() {
        var text = new StringBuilder();
        for (OutputDelta delta : deltas) {
            if (delta instanceof OutputDelta.Content(String content)) {
                text.append(content);
            }
        }
        deltas.clear();
        return text.toString();
    }
}
