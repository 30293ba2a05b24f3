package dev.sidewinder.model.checkpoint;

import java.util.List;
import java.util.Optional;

/// The weights of one layer by role. Vectors stay as stored; whoever computes widens them to fp32.
public sealed interface LayerWeights {

    /// The RMS norm in front of the mixer, `[hidden]`.
    TensorView norm();

    /// @param inProjection  `[2 x inner + 2 x groups x state + heads, hidden]`: gate, x, B, C, raw time steps
    /// @param convWeight    `[conv channels, 1, conv width]`; the last tap multiplies the current token
    /// @param convBias      `[conv channels]`; absent when the config switches it off
    /// @param aLog          `[heads]`; `A = -exp(aLog)`
    /// @param skip          `[heads]`, called D in the papers
    /// @param timeStepBias  `[heads]`
    /// @param gateNorm      `[inner]`, weight of the grouped norm behind the gate
    /// @param outProjection `[hidden, inner]`
    record Mamba(TensorView norm, LinearWeight inProjection, TensorView convWeight, Optional<TensorView> convBias,
            TensorView aLog, TensorView skip, TensorView timeStepBias, TensorView gateNorm,
            LinearWeight outProjection) implements LayerWeights {}

    /// @param keyScale   scale of FP8 keys, 1 when the file has none
    /// @param valueScale scale of FP8 values, 1 when the file has none
    record Attention(TensorView norm, LinearWeight query, LinearWeight key, LinearWeight value, LinearWeight output,
            float keyScale, float valueScale) implements LayerWeights {}

    /// @param gate           router, `[experts, hidden]`, BF16 or F32; computed in fp32
    /// @param correctionBias `[experts]`, F32; only for choosing
    /// @param up             one per expert, `[intermediate, width]`
    /// @param down           one per expert, `[width, intermediate]`
    /// @param sharedUp       `[shared intermediate, hidden]`
    /// @param sharedDown     `[hidden, shared intermediate]`
    /// @param latentIn       LatentMoE only: `[latent, hidden]`
    /// @param latentOut      LatentMoE only: `[hidden, latent]`
    record Experts(TensorView norm, TensorView gate, TensorView correctionBias, List<LinearWeight> up,
            List<LinearWeight> down, Optional<LinearWeight> sharedUp, Optional<LinearWeight> sharedDown,
            Optional<LinearWeight> latentIn, Optional<LinearWeight> latentOut) implements LayerWeights {
        public Experts {
            up = List.copyOf(up);
            down = List.copyOf(down);
        }
    }

    record Mlp(TensorView norm, LinearWeight up, LinearWeight down) implements LayerWeights {}
}
