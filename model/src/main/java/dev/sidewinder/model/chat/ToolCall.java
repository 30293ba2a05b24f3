package dev.sidewinder.model.chat;

import com.fasterxml.jackson.databind.node.ObjectNode;

/// A call the model made, or one that a client replays in its history.
///
/// @param id        the caller's id, may be empty
/// @param arguments name to value, in the order given
public record ToolCall(String id, String name, ObjectNode arguments) {}
