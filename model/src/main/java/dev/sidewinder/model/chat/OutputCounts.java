package dev.sidewinder.model.chat;

/// What a parser met in one answer, for metrics. Every block that opened with `<tool_call>` counts once: as hoisted,
/// malformed, coerced or ok, the first that applies.
///
/// @param ok               calls without anything to remark
/// @param coercedRaw       calls with a value that did not fit its schema and was kept as a string
/// @param hoisted          calls found inside the reasoning
/// @param malformed        blocks that were no call and became text, and calls with a part missing or text out of place
/// @param droppedThinkTags `<think>` and `</think>` tokens where none belongs
public record OutputCounts(int ok, int coercedRaw, int hoisted, int malformed, int droppedThinkTags) {}
