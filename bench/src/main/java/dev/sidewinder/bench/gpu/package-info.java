/// `./sidewinder bench gpu`: whether every kernel is right on a device, and how near it comes to that device's limits.
///
/// [GpuRow] is what a measurement says and [GpuReport] what becomes of it; [Ceilings] are the limits it is held against.
/// [WholeSteps] measures whole steps of a model, by the sums of `StepArithmetic`; [LongRecall] asks a trained one what stood at
/// the beginning of a very long prompt.
package dev.sidewinder.bench.gpu;
