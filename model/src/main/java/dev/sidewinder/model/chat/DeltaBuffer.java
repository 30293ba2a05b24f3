package dev.sidewinder.model.chat;

import java.util.ArrayList;
import java.util.List;

/// Collects deltas and joins neighbours of one kind, so that a step sends few of them.
final class DeltaBuffer {
    private List<OutputDelta> deltas = new ArrayList<>();
    private final StringBuilder text = new StringBuilder();
    private Kind kind = Kind.NONE;
    private int index;

    private enum Kind {
        NONE, REASONING, CONTENT, ARGUMENTS
    }

    void reasoning(CharSequence more) {
        append(Kind.REASONING, 0, more);
    }

    void content(CharSequence more) {
        append(Kind.CONTENT, 0, more);
    }

    void arguments(int call, CharSequence more) {
        append(Kind.ARGUMENTS, call, more);
    }

    void started(int call, String name) {
        seal();
        deltas.add(new OutputDelta.ToolCallStarted(call, name));
    }

    void ended(int call) {
        seal();
        deltas.add(new OutputDelta.ToolCallEnded(call));
    }

    /// Moves everything behind what `target` holds.
    void drainTo(DeltaBuffer target) {
        for (OutputDelta delta : take()) {
            switch (delta) {
                case OutputDelta.Reasoning reasoning -> target.reasoning(reasoning.text());
                case OutputDelta.Content content -> target.content(content.text());
                case OutputDelta.ToolCallStarted start -> target.started(start.index(), start.name());
                case OutputDelta.ToolCallArguments more -> target.arguments(more.index(), more.json());
                case OutputDelta.ToolCallEnded end -> target.ended(end.index());
            }
        }
    }

    List<OutputDelta> take() {
        seal();
        if (deltas.isEmpty()) {
            return List.of();
        }
        List<OutputDelta> taken = deltas;
        deltas = new ArrayList<>();
        return taken;
    }

    private void append(Kind more, int call, CharSequence piece) {
        if (piece.isEmpty()) {
            return;
        }
        if (kind != more || index != call) {
            seal();
            kind = more;
            index = call;
        }
        text.append(piece);
    }

    private void seal() {
        switch (kind) {
            case NONE -> {
                return;
            }
            case REASONING -> deltas.add(new OutputDelta.Reasoning(text.toString()));
            case CONTENT -> deltas.add(new OutputDelta.Content(text.toString()));
            case ARGUMENTS -> deltas.add(new OutputDelta.ToolCallArguments(index, text.toString()));
        }
        kind = Kind.NONE;
        text.setLength(0);
    }
}
