package dev.sidewinder.model.chat;

import java.util.List;

/// One turn of a conversation, already checked and in one form.
///
/// @param content    text; null when the turn has none (an assistant turn that only calls tools)
/// @param reasoning  the assistant's reasoning; null when there is none
/// @param toolCalls  calls of an assistant turn, in order
/// @param toolCallId the call a tool turn answers; null elsewhere
public record Message(Role role, String content, String reasoning, List<ToolCall> toolCalls, String toolCallId) {

    public enum Role {
        SYSTEM, USER, ASSISTANT, TOOL
    }

    public Message {
        toolCalls = List.copyOf(toolCalls);
    }

    public static Message system(String content) {
        return new Message(Role.SYSTEM, content, null, List.of(), null);
    }

    public static Message user(String content) {
        return new Message(Role.USER, content, null, List.of(), null);
    }

    public static Message assistant(String content) {
        return new Message(Role.ASSISTANT, content, null, List.of(), null);
    }

    public static Message tool(String toolCallId, String content) {
        return new Message(Role.TOOL, content, null, List.of(), toolCallId);
    }
}
