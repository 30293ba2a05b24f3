/// `./sidewinder bench gpu`: whether every kernel is right on a device, and how near it comes to that device's limits.
///
/// [GpuRow] is what a measurement says and [GpuReport] what becomes of it; [Ceilings] are the limits it is held against.
package dev.sidewinder.bench.gpu;
