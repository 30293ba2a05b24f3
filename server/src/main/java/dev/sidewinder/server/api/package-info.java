/// What clients may send and what they get back, without any web framework: strict JSON, the table of parameters, the
/// request records, errors, and the planner that turns a request into work for the engine. Answers are in `answer`.
///
/// Read [ParameterTable] first: it is the only place where a field is named, bounded and defaulted. Then
/// [RequestReader] (bytes to a request) and [RequestPlanner] (a request to token ids).
package dev.sidewinder.server.api;
