package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.kernel.Embedding;
import dev.sidewinder.cuda.kernel.RmsNorm;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.config.ModelConfig;
import java.util.List;

/// All weights of a model on the device: addresses into memory that [CudaBackend] owns.
///
/// @param layers one per layer, of the kind the config says
record DeviceWeights(Embedding.Table embedding, List<DeviceLayer> layers, RmsNorm.Weight finalNorm, DeviceLinear head) {

    DeviceWeights {
        layers = List.copyOf(layers);
    }

    /// Bytes of device memory that a model's weights take. Reads no weights.
    static long bytes(ModelConfig config, ModelWeights weights) {
        var counting = new WeightSink.Counting();
        new WeightPlacement(config, counting).place(weights);
        return counting.bytes();
    }
}
