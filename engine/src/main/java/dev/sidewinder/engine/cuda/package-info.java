/// The forward pass on a CUDA device: weights on the device, one class per layer kind over the launchers of
/// `dev.sidewinder.cuda.kernel`, step tables, captured decode steps.
///
/// Read [dev.sidewinder.engine.cuda.CudaBackend] first, then `CudaNetwork` and `CudaMamba`; `CudaMemory` says what lies where.
package dev.sidewinder.engine.cuda;
