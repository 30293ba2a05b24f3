/// Measures how often a model answers right: reads test sets, asks a server case by case, scores, compares two runs. Read
/// [EvalRun] first, then [Scorer].
///
/// Knows the HTTP surface and nothing else of the server, so it measures what a client gets.
package dev.sidewinder.server.eval;
