package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;
import java.util.EnumMap;
import java.util.Map;
import java.util.TreeMap;

/// Launches `selective_state_update.cu`: one token of each sequence from the input projection to what the output projection
/// takes, in one kernel.
///
/// With 4 taps, states of 64 or 128 columns and heads of a multiple of 16 rows a block's state stays in registers; every
/// other shape goes through the plain kernel. The launch depends on the batch only in its grid, so it can be captured per
/// batch size.
public final class SelectiveStateUpdate {

    private static final String FAMILY = "selective_state_update";
    private static final int THREADS = 128;
    /// Sums of the warps and the answer of the counter, before the convolved values.
    private static final int SHARED_HEADER_BYTES = 32;
    private static final int FAST_TAPS = 4;
    private static final int NARROWEST = 16;
    private static final int WIDEST = 64;

    private final MambaShape shape;
    private final float epsilon;
    private final int multiprocessors;
    /// By rows of the state that a block owns; empty when only the plain kernel fits.
    private final Map<FloatFormat, TreeMap<Integer, Kernel>> kernels = new EnumMap<>(FloatFormat.class);
    private final Map<FloatFormat, Kernel> plain = new EnumMap<>(FloatFormat.class);

    /// @param projected `[rows, rowWidth]`
    /// @param format    of `projected`
    /// @param y         fp32 `[rows, innerDim]`, scratch
    /// @param arrivals  int32 `[rows, groups]`, scratch; zeroed once before the first launch, zero after every launch
    public record Activations(long projected, FloatFormat format, long y, long arrivals) {}

    /// All fp32; shapes in the kernel's header. `convBias` is 0 when the layer has none.
    public record Weights(long convWeight, long convBias, long timeStepBias, long decayRate, long skip, long norm) {}

    /// @param slot     int32 `[count]`, -1: the row reads, writes and counts nothing
    /// @param position int32 `[count]`, 0: the state is zero
    public record Rows(long slot, long position, int count) {}

    public SelectiveStateUpdate(Kernels kernels, MambaShape shape, float epsilon) {
        this.shape = shape;
        this.epsilon = epsilon;
        multiprocessors = kernels.device().info().multiprocessors();
        for (FloatFormat format : FloatFormat.values()) {
            TreeMap<Integer, Kernel> byRows = new TreeMap<>();
            if (shape.taps() == FAST_TAPS && (shape.stateDim() == 64 || shape.stateDim() == 128)) {
                for (int rows = NARROWEST; rows <= WIDEST && shape.headDim() % rows == 0; rows *= 2) {
                    byRows.put(rows, kernels.get(FAMILY, "%s_n%d_rows%d_%s".formatted(FAMILY, shape.stateDim(), rows, format.suffix())));
                }
            }
            this.kernels.put(format, byRows);
            plain.put(format, kernels.get(FAMILY, FAMILY + "_plain_" + format.suffix()));
        }
    }

    /// Advances each row's sequence by one token. Asynchronous. A row's bits do not depend on the other rows.
    public void run(Stream stream, ProductInput out, Activations activations, Weights weights, MambaState state, Rows rows) {
        if (kernels.get(activations.format()).isEmpty()) {
            runPlain(stream, out, activations, weights, state, rows);
        } else {
            run(stream, out, activations, weights, state, rows, rowsOfBlock(rows.count()));
        }
    }

    /// The most rows a block can have while the blocks fill the device: at 64 heads and 132 multiprocessors 32 for one
    /// sequence (128 blocks), 64 from two on.
    private int rowsOfBlock(int sequences) {
        int widest = kernels.get(FloatFormat.BF16).lastKey();
        for (int rows = widest; rows > NARROWEST; rows /= 2) {
            long blocks = (long) shape.heads() * (shape.headDim() / rows) * sequences;
            if (10 * blocks >= 9L * multiprocessors) {
                return rows;
            }
        }
        return NARROWEST;
    }

    /// Rows of the state that a block can own, for this shape; none when only the plain kernel fits.
    Iterable<Integer> blockRows() {
        return kernels.get(FloatFormat.BF16).keySet();
    }

    void run(Stream stream, ProductInput out, Activations activations, Weights weights, MambaState state, Rows rows, int blockRows) {
        launch(stream, kernels.get(activations.format()).get(blockRows), blockRows, out, activations, weights, state, rows);
    }

    void runPlain(Stream stream, ProductInput out, Activations activations, Weights weights, MambaState state, Rows rows) {
        launch(stream, plain.get(activations.format()), shape.headDim(), out, activations, weights, state, rows);
    }

    private void launch(Stream stream, Kernel kernel, int blockRows, ProductInput out, Activations activations,
            Weights weights, MambaState state, Rows rows) {
        int convolved = blockRows + 2 * shape.stateDim();
        LaunchShape grid = new LaunchShape(shape.heads() * (shape.headDim() / blockRows), rows.count(), 1, THREADS,
                SHARED_HEADER_BYTES + Float.BYTES * Math.max(convolved, shape.groupWidth()));
        out.addresses(kernel.arguments())
                .pointer(activations.y()).pointer(activations.arrivals()).pointer(state.base())
                .pointer(activations.projected()).pointer(weights.convWeight()).pointer(weights.convBias())
                .pointer(weights.timeStepBias()).pointer(weights.decayRate()).pointer(weights.skip())
                .pointer(weights.norm()).pointer(rows.slot()).pointer(rows.position())
                .int64(state.slotStride()).int64(state.historyOffset()).int64(state.recurrentOffset())
                .int32(shape.heads()).int32(shape.headDim()).int32(shape.groups()).int32(shape.stateDim())
                .int32(shape.taps()).int32(shape.rowWidth()).float32(epsilon).float32(out.inverseScale())
                .launchOverlapping(stream, grid);
    }
}
