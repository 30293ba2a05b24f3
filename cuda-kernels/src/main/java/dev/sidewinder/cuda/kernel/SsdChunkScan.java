package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;
import java.util.Locale;
import java.util.TreeMap;

/// Launches `ssd_chunk_scan.cu`: the recurrence over prompts.
///
/// States of 64 or 128 columns with heads of a multiple of 16 rows go through tensor cores, where a block of the device holds
/// their chunks (up to 176 KiB of shared memory, fewer rows for less); everything else goes through the plain kernel, token
/// by token in fp32. The choice between the two depends on shape, form and device alone.
public final class SsdChunkScan {

    private static final String FAMILY = "ssd_chunk_scan";
    private static final int THREADS = 128;
    private static final int CHUNK = 64;
    private static final int PADDING = 8;
    private static final int TABLE_BYTES = 4 * 3 * CHUNK * Float.BYTES;
    private static final int NARROWEST = 16;

    /// Arithmetic of the products, and the format of y.
    public enum Form {
        /// Operands in bf16, y in bf16.
        SINGLE(64, FloatFormat.BF16),
        /// Operands as two bf16 each, y in fp32.
        PAIR(32, FloatFormat.F32);

        private final int widest;
        private final FloatFormat output;

        Form(int widest, FloatFormat output) {
            this.widest = widest;
            this.output = output;
        }

        /// The format of y.
        public FloatFormat output() {
            return output;
        }
    }

    /// @param y        `[rows, innerDim]`, out, in the form's format
    /// @param high     bf16 `[rows, channels]`, from the convolution
    /// @param low      its other half, for [Form#PAIR]
    /// @param timeStep fp32 `[rows, heads]`, after softplus
    public record Activations(long y, long high, long low, long timeStep) {}

    /// @param decayRate fp32 `[heads]`, `-exp(A_log)`
    /// @param skip      fp32 `[heads]`, D
    public record Weights(long decayRate, long skip) {}

    private final MambaShape shape;
    private final Form form;
    private final int multiprocessors;
    /// By rows of the state that a block owns; empty when only the plain kernel fits.
    private final TreeMap<Integer, Kernel> kernels = new TreeMap<>();
    private final Kernel plain;

    public SsdChunkScan(Kernels kernels, MambaShape shape, Form form) {
        this.shape = shape;
        this.form = form;
        multiprocessors = kernels.device().info().multiprocessors();
        String suffix = form.name().toLowerCase(Locale.ROOT);
        plain = kernels.get(FAMILY, FAMILY + "_plain_" + suffix);
        if (shape.stateDim() == 64 || shape.stateDim() == 128) {
            int room = kernels.device().info().sharedBytesPerBlock();
            for (int rows = NARROWEST; rows <= form.widest && shape.headDim() % rows == 0 && sharedBytes(rows) <= room; rows *= 2) {
                this.kernels.put(rows, kernels.get(FAMILY, "%s_n%d_rows%d_%s".formatted(FAMILY, shape.stateDim(), rows, suffix)));
            }
        }
    }

    /// Runs the pieces of `sequences`, moves their recurrent states on, and writes those that are kept on the way. Asynchronous. The
    /// bits of a token and of a state depend on their sequence alone: neither on the other sequences nor on how its prompt was cut
    /// into pieces.
    public void run(Stream stream, Activations activations, Weights weights, MambaState state, PromptSequences sequences) {
        if (kernels.isEmpty()) {
            runPlain(stream, activations, weights, state, sequences);
        } else {
            run(stream, activations, weights, state, sequences, rowsOfBlock(sequences.count()));
        }
    }

    /// The most rows a block can have while the blocks fill the device: see the arithmetic in the kernel's header. One and a
    /// half blocks for each multiprocessor before the widest is taken; three quarters before the middle one is.
    private int rowsOfBlock(int sequences) {
        int widest = kernels.lastKey();
        for (int rows = widest; rows > NARROWEST; rows /= 2) {
            long blocks = (long) shape.heads() * (shape.headDim() / rows) * sequences;
            if (4 * blocks >= (rows == 64 ? 6L : 3L) * multiprocessors) {
                return rows;
            }
        }
        return NARROWEST;
    }

    /// Rows of the state that a block can own, for this shape; none when only the plain kernel fits.
    Iterable<Integer> blockRows() {
        return kernels.keySet();
    }

    void run(Stream stream, Activations activations, Weights weights, MambaState state, PromptSequences sequences, int rows) {
        LaunchShape grid = new LaunchShape(shape.heads() * (shape.headDim() / rows), sequences.count(), 1, THREADS, sharedBytes(rows));
        launch(stream, kernels.get(rows), grid, activations, weights, state, sequences);
    }

    /// `sizeof(ScanShared)`: two stages of B, C and x, the state, and the tables of the warps.
    private int sharedBytes(int rows) {
        int planes = form == Form.PAIR ? 2 : 1;
        int pitch = shape.stateDim() + PADDING;
        int elements = 2 * (2 * CHUNK * pitch + CHUNK * (rows + PADDING)) + rows * pitch;
        return planes * elements * Short.BYTES + TABLE_BYTES;
    }

    void runPlain(Stream stream, Activations activations, Weights weights, MambaState state, PromptSequences sequences) {
        LaunchShape grid = new LaunchShape(shape.heads(), sequences.count(), 1, THREADS,
                Math.multiplyExact(Float.BYTES * shape.headDim(), shape.stateDim()));
        launch(stream, plain, grid, activations, weights, state, sequences);
    }

    private void launch(Stream stream, Kernel kernel, LaunchShape grid, Activations activations, Weights weights,
            MambaState state, PromptSequences sequences) {
        if (form == Form.PAIR && activations.low() == 0) {
            throw new IllegalArgumentException("the scan in pairs needs the low halves of its input");
        }
        kernel.arguments()
                .pointer(activations.y()).pointer(state.base()).pointer(activations.high())
                .pointer(form == Form.PAIR ? activations.low() : 0).pointer(activations.timeStep())
                .pointer(weights.decayRate()).pointer(weights.skip())
                .pointer(sequences.start()).pointer(sequences.position()).pointer(sequences.slot())
                .pointer(sequences.kept().start()).pointer(sequences.kept().position()).pointer(sequences.kept().slot())
                .int64(state.slotStride()).int64(state.recurrentOffset())
                .int32(shape.heads()).int32(shape.headDim()).int32(shape.groups()).int32(shape.stateDim())
                .launch(stream, grid);
    }
}
