package dev.sidewinder.model.chat;

import com.fasterxml.jackson.databind.JsonNode;

/// A tool that an answer may call.
///
/// @param parameters JSON schema, an object; any JSON, for it comes from a client
/// @param strict     whether the arguments must fit the schema; otherwise only the frame of the call is enforced
public record CallableTool(String name, JsonNode parameters, boolean strict) {}
