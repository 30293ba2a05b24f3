package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.CudaUnavailableException;
import dev.sidewinder.engine.BackendUnavailableException;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.config.ModelConfig;
import java.util.Optional;

/// What of a model fits into a device: the sums of [CudaMemoryPlan] for whoever looks, also at devices that are elsewhere.
///
/// @param deviceBytes    what the device has free, or what was stated
/// @param driverBytes    of it, what the driver keeps
/// @param weightBytes    of all weights
/// @param workspaceBytes what lies between kernels, step tables and logits
/// @param estimated      whether the workspace is an estimate, because no device was asked
/// @param stateBytes     recurrent state of one sequence
/// @param blockBytes     keys and values of 128 tokens
public record CudaFootprint(long deviceBytes, long driverBytes, long weightBytes, long workspaceBytes, boolean estimated,
        long stateBytes, long blockBytes) {

    /// Needs no device, and reads no weights.
    ///
    /// @throws BackendUnavailableException when the kernels do not take what is stored
    public static CudaFootprint estimate(ModelConfig config, ModelWeights weights, CudaOptions options, long deviceBytes) {
        try {
            var counting = new WeightSink.Counting();
            DeviceWeights counted = new WeightPlacement(config, counting).place(weights);
            return of(deviceBytes, counting.bytes(), WorkspaceEstimate.bytes(config, counted, options), true,
                    CacheLayout.of(config, options.kvFormat()));
        } catch (CudaUnavailableException | IllegalArgumentException e) {
            throw new BackendUnavailableException("the kernels do not take this model: " + e.getMessage(), e);
        }
    }

    static CudaFootprint of(long deviceBytes, long weightBytes, long workspaceBytes, boolean estimated, CacheLayout layout) {
        return new CudaFootprint(deviceBytes, CudaMemoryPlan.driverBytes(deviceBytes), weightBytes, workspaceBytes, estimated,
                layout.slotBytes(), layout.blockBytes());
    }

    /// Left for states, keys and values; below 0 when weights and workspace alone do not fit.
    public long cacheBytes() {
        return deviceBytes - driverBytes - weightBytes - workspaceBytes;
    }

    /// The frames that is cut into; empty when not even a sequence of one block fits.
    public Optional<FrameShape> frames() {
        return frameBytes() == 0 || cacheBytes() < 2 * frameBytes() ? Optional.empty() : Optional.of(FrameShape.of(cacheBytes(), stateBytes, blockBytes));
    }

    /// Bytes from frame to frame.
    public long frameBytes() {
        return blockBytes == 0 ? stateBytes : Math.max(1, Math.ceilDiv(stateBytes, blockBytes)) * blockBytes;
    }

    /// How many sequences of so many tokens can be held at once, in frames.
    public int sequencesThatFit(int tokens) {
        return frames().map(frames -> frames.sequencesThatFit(tokens)).orElse(0);
    }
}
