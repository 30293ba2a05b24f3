/// The commands of `./sidewinder` besides `serve`: `chat`, `eval`, `inspect`, `logits`, `make-model`. Read [Commands] first.
///
/// A command prints its result on standard output and everything else on standard error. A user's mistake is one line,
/// never a stack trace.
package dev.sidewinder.server.cli;
