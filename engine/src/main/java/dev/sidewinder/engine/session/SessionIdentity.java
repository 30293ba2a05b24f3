package dev.sidewinder.engine.session;

/// What must be equal for a session of one process to go on in another.
///
/// @param model       name of the model, for messages
/// @param revision    fingerprint of its weights, tokenizer and template
/// @param cacheFormat what the bytes of states and blocks mean: [dev.sidewinder.engine.Backend#cacheFormat()]
public record SessionIdentity(String model, String revision, String cacheFormat) {}
