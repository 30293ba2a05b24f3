package dev.sidewinder.server.api.answer;

import dev.sidewinder.model.chat.OutputDelta;
import dev.sidewinder.server.api.ReasoningFields;
import java.util.Optional;

/// What becomes of the reasoning of one choice: it passes, is left out, or goes into the content between tags. For one
/// choice, one thread.
final class ReasoningPolicy {

    private static final String OPEN = "<think>";
    private static final String CLOSE = "</think>";

    private final boolean include;
    private final boolean inline;
    private final PendingDeltas out;
    private boolean open;

    /// @param chat absent for plain text, which has no reasoning
    ReasoningPolicy(Optional<AnswerPlan.Chat> chat, PendingDeltas out) {
        this.include = chat.isEmpty() || chat.get().includeReasoning();
        this.inline = chat.isPresent() && chat.get().reasoning() == ReasoningFields.INLINE;
        this.out = out;
    }

    void take(OutputDelta delta) {
        if (delta instanceof OutputDelta.Reasoning(String text)) {
            reasoning(delta, text);
            return;
        }
        end();
        out.add(delta);
    }

    private void reasoning(OutputDelta delta, String text) {
        if (!include || text.isEmpty()) {
            return;
        }
        if (inline) {
            out.add(new OutputDelta.Content(open ? text : OPEN + text));
            open = true;
        } else {
            out.add(delta);
        }
    }

    /// Closes the tag when one is open.
    void end() {
        if (open) {
            open = false;
            out.add(new OutputDelta.Content(CLOSE));
        }
    }
}
