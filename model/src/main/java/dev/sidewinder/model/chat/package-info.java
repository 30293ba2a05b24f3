/// The chat format: a conversation into a prompt, and an answer into its parts. Read
/// [dev.sidewinder.model.chat.ChatTemplate] for the way in and [dev.sidewinder.model.chat.NemotronOutputParser] for the
/// way out; `ToolCallReader` knows the grammar of a tool call, `ArgumentType` and `ArgumentConverter` its values.
package dev.sidewinder.model.chat;
