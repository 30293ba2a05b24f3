/// Weights on disk: mapped safetensors files, the names of the tensors, and the number formats they are stored in.
///
/// Read [dev.sidewinder.model.checkpoint.Checkpoint] (tensors by name) first, then
/// [dev.sidewinder.model.checkpoint.TensorInventory] (which tensors a model must have) and
/// [dev.sidewinder.model.checkpoint.WeightBinder] (names to roles).
package dev.sidewinder.model.checkpoint;
