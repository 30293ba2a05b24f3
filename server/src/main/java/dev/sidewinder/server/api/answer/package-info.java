/// Answers: from the engine's events to JSON, streamed or whole. Both take the same way, so a joined stream is the plain
/// answer. Read [AnswerAssembler] first, then [Choice].
package dev.sidewinder.server.api.answer;
