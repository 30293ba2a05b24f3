/// A simulator: the real scheduler and caches, with a clock that jumps and a step that costs what arithmetic says it costs.
///
/// Read [dev.sidewinder.bench.simulate.Simulation] first, then [dev.sidewinder.bench.simulate.StepTimer] for the costs and

package dev.sidewinder.bench.simulate;
