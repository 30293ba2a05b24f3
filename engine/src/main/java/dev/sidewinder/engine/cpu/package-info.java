/// The forward pass on the CPU: one class per layer kind over a small pool of threads.
///
/// Read [CpuBackend] first, then a layer, then [CpuMath] (what the loops compute) and [Linear] (how matrix products run).
/// The promise that shapes everything here: a token goes through the same arithmetic, operation for operation, whether it
/// comes in a prompt or alone, whatever else is in the batch and however many threads there are.
package dev.sidewinder.engine.cpu;
