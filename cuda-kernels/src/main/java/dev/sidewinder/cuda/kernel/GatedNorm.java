package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;
import java.util.EnumMap;
import java.util.Map;

/// Launches `gated_norm.cu`: gate and group norm of prompts, into the form that the output projection takes.
///
/// Groups of 256 or 512 channels, with rows that begin at multiples of eight, stay in registers; every other shape goes
/// through the plain kernel.
public final class GatedNorm {

    private static final String FAMILY = "gated_norm";
    private static final int THREADS = 128;
    private static final int WARP = 32;
    private static final int ALIGNED_COLUMNS = 8;

    private final MambaShape shape;
    private final float epsilon;
    private final Map<FloatFormat, Map<FloatFormat, Kernel>> kernels = new EnumMap<>(FloatFormat.class);

    /// @param y               `[rows, innerDim]`
    /// @param projected       `[rows, rowWidth]`; its first `innerDim` columns are the gate
    /// @param weight          fp32 `[innerDim]`
    public record Inputs(long y, FloatFormat yFormat, long projected, FloatFormat projectedFormat, long weight) {}

    public GatedNorm(Kernels kernels, MambaShape shape, float epsilon) {
        this.shape = shape;
        this.epsilon = epsilon;
        boolean plain = shape.groupWidth() != 256 && shape.groupWidth() != 512 || shape.rowWidth() % ALIGNED_COLUMNS != 0;
        for (FloatFormat y : FloatFormat.values()) {
            Map<FloatFormat, Kernel> byGate = new EnumMap<>(FloatFormat.class);
            for (FloatFormat gate : FloatFormat.values()) {
                byGate.put(gate, kernels.get(FAMILY, FAMILY + (plain ? "_plain_" : "_") + y.suffix() + "_" + gate.suffix()));
            }
            this.kernels.put(y, byGate);
        }
    }

    /// Normalises `rows` rows. Asynchronous. Rows do not touch each other.
    public void run(Stream stream, ProductInput out, Inputs inputs, int rows) {
        long units = (long) rows * shape.groups();
        int blocks = Math.toIntExact(Math.ceilDiv(units, THREADS / WARP));
        Kernel kernel = kernels.get(inputs.yFormat()).get(inputs.projectedFormat());
        out.addresses(kernel.arguments())
                .pointer(inputs.y()).pointer(inputs.projected()).pointer(inputs.weight())
                .int32(rows).int32(shape.groups()).int32(shape.groupWidth()).int32(shape.rowWidth())
                .float32(epsilon).float32(out.inverseScale())
                .launch(stream, LaunchShape.of(blocks, THREADS));
    }
}
