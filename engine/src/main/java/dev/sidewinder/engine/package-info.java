/// The step loop: requests in, tokens out, whatever computes the forward pass.
///
/// Read [dev.sidewinder.engine.Engine] first (what others see), then `EngineLoop` (the one thread that does the work),
/// then [dev.sidewinder.engine.Backend] (the border to the model).
package dev.sidewinder.engine;
