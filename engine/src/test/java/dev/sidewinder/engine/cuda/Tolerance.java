package dev.sidewinder.engine.cuda;

/// How far the logits of the CUDA backend may lie from those of the CPU backend in fp32 on the same weights, by what is
/// rounded on the way. Products are summed in fp32 in all of them.
///
/// Where two experts are chosen almost equally, rounding turns the choice, and the row is then another one: single rows of
/// trained models are off by a third. So the relative error holds for rows of which both backends sent the token to the same
/// experts, and the divergence for all. Bounds are some three times the largest measured on the models of these tests, which
/// have up to ten layers.
enum Tolerance {
    /// Activations are rounded to bf16 before most products: 2^-9 each time. The residual stream, states and sums stay fp32.
    /// NVFP4 weights come to bf16 nearly as the CPU multiplies them, so they cost no more. Measured 0.008 and 0.0004.
    BF16(0.025, 0.03),
    /// FP8 weights with a static input scale: activations keep a sign and 4 bits, with one scale for a whole tensor. The CPU
    /// backend keeps all of theirs, which is most of the difference: against doubles that quantise in the same places one or two
    /// layers agree to the last digits ([CudaRoundingTest]), and whole models to half of this ([CudaGoldenTest]). Measured 0.08
    /// and 0.02 on `models/tiny`.
    FP8(0.2, 0.1),
    /// Keys and values in e4m3, a sign and 4 bits each; everything else as in BF16. Measured 0.1 and 0.05 on
    /// `models/tiny`.
    FP8_CACHE(0.25, 0.15);

    private final double relativeError;
    private final double divergence;

    Tolerance(double relativeError, double divergence) {
        this.relativeError = relativeError;
        this.divergence = divergence;
    }

    /// Of all logits of a row together.
    double relativeError() {
        return relativeError;
    }

    /// Kullback-Leibler divergence of the distributions over tokens, in nats.
    double divergence() {
        return divergence;
    }
}
