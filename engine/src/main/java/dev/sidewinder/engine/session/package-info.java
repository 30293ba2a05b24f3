/// Named, durable sessions of an engine: create, continue, fork, suspend to one file, resume in another process.
///
/// A session is its history of tokens and the state, keys and values of its beginning. Start with [SessionFile], which is what is
/// kept of one on a disk, and [SessionException], which says what can go wrong.
package dev.sidewinder.engine.session;
