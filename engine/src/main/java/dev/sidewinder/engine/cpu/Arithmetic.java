package dev.sidewinder.engine.cpu;

/// In which number format the large sums are formed. Residual stream, recurrence, softmax and router are fp32 in all.
public enum Arithmetic {
    /// Everything in fp32, weights widened exactly: the reference.
    F32,
    /// Matrix products take bf16 activations and bf16 weights and add up in fp32; keys and values are kept in bf16.
    BF16,
    /// As [#F32], but matrices that are stored in FP8 with a scale for their inputs take activations in FP8 too, as on a GPU:
    /// what that format costs, and nothing else. Slow.
    FP8
}
