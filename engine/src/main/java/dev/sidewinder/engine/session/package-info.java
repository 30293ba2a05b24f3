/// Named, durable sessions of an engine: create, continue, fork, suspend to one file, resume in another process.
///
/// A session is its history of tokens and the state, keys and values of its beginning (docs/decisions/0019). Start with [Sessions];
/// [SessionTurn] is one request of a session, [SessionFile] what is kept of one on a disk, [SessionException] what can go wrong.
package dev.sidewinder.engine.session;
