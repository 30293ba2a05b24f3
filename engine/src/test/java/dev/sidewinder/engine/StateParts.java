package dev.sidewinder.engine;

import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// What layers keep in a state, without what lies between them: nobody writes there.
public final class StateParts {

    private StateParts() {}

    /// @param recurrentOffset by layer, in bytes
    /// @param historyOffset   the same
    public static List<byte[]> of(byte[] state, ModelConfig config, long[] recurrentOffset, long[] historyOffset) {
        List<byte[]> parts = new ArrayList<>();
        for (int layer = 0; layer < config.layers().size(); layer++) {
            if (config.layers().get(layer) instanceof LayerSpec.Mamba mamba) {
                parts.add(part(state, recurrentOffset[layer], mamba.innerDim() * mamba.stateDim()));
                parts.add(part(state, historyOffset[layer], (mamba.convWidth() - 1) * mamba.convDim()));
            }
        }
        return parts;
    }

    private static byte[] part(byte[] state, long offset, int floats) {
        return Arrays.copyOfRange(state, (int) offset, (int) offset + floats * Float.BYTES);
    }
}
