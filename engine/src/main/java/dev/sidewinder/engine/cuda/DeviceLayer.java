package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.kernel.MoeExperts;
import dev.sidewinder.cuda.kernel.MoeRoute;
import dev.sidewinder.cuda.kernel.RmsNorm;
import java.util.Optional;

/// The weights of one layer on the device. Vectors are fp32, as the kernels want them; an address is never 0 unless its line
/// says so.
sealed interface DeviceLayer {

    /// The norm in front of the mixer, `[hidden]`.
    RmsNorm.Weight norm();

    /// @param convWeight   `[channels, taps]`
    /// @param convBias     `[channels]`; 0 when the layer has none
    /// @param timeStepBias `[heads]`
    /// @param decayRate    `[heads]`, `A = -exp(A_log)`
    /// @param skip         `[heads]`, D
    /// @param gateNorm     `[inner]`
    record Mamba(RmsNorm.Weight norm, DeviceLinear inProjection, long convWeight, long convBias, long timeStepBias,
            long decayRate, long skip, long gateNorm, DeviceLinear outProjection) implements DeviceLayer {}

    record Attention(RmsNorm.Weight norm, DeviceLinear query, DeviceLinear key, DeviceLinear value, DeviceLinear output,
            float keyScale, float valueScale) implements DeviceLayer {}

    /// @param count    of the routed experts
    /// @param router   gate, correction bias and counters, with the layer's norm
    /// @param routed   the routed experts, and the shared one where it runs with them
    /// @param apart    the shared expert, where its format or the latent width keeps it from running with the routed ones
    /// @param latent   projections around the routed experts
    /// @param hasShared whether `routed` has the shared expert
    record Experts(RmsNorm.Weight norm, int count, MoeRoute.Weights router, MoeExperts.Weights routed, boolean hasShared,
            Optional<Dense> apart, Optional<Latent> latent) implements DeviceLayer {}

    record Mlp(RmsNorm.Weight norm, Dense dense) implements DeviceLayer {}

    /// `down(max(0, up x)²)`.
    record Dense(DeviceLinear up, DeviceLinear down) {}

    record Latent(DeviceLinear in, DeviceLinear out) {}
}
