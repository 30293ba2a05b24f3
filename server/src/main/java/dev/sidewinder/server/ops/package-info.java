/// Running the server: start, state, health, drain, exit. [ServeApplication] is the story from `serve` to the exit
/// code; [Serving] is the state that everything else asks.
package dev.sidewinder.server.ops;
