package dev.sidewinder.model.chat;

/// A piece of an answer, in the order it became known.
public sealed interface OutputDelta {

    /// More reasoning text.
    record Reasoning(String text) implements OutputDelta {}

    /// More answer text.
    record Content(String text) implements OutputDelta {}

    /// A tool call begins: its name is known.
    ///
    /// @param index counts the tool calls of this answer from 0
    record ToolCallStarted(int index, String name) implements OutputDelta {}

    /// More of the arguments of a tool call; all pieces of one call joined are one JSON object.
    record ToolCallArguments(int index, String json) implements OutputDelta {}

    /// A tool call is complete.
    record ToolCallEnded(int index) implements OutputDelta {}
}
