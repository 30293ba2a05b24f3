package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;
import java.util.EnumMap;
import java.util.Map;

/// Launches `causal_conv1d.cu`: convolution and time steps of prompts.
///
/// With 4 taps and sizes that are multiples of eight a thread takes eight channels; every other shape goes through the plain
/// kernel, with the same bits.
public final class CausalConv {

    private static final String FAMILY = "causal_conv1d";
    private static final int THREADS = 128;
    private static final int CHANNELS_AT_ONCE = 8;
    private static final int FAST_TAPS = 4;
    /// Rows of a tile: three rows are read again for each, so more is less traffic; fewer is more blocks.
    private static final int LONG_TILE = 32;
    private static final int SHORT_TILE = 16;
    /// Below this many rows the shorter tile is taken: 1,024 rows of 6,144 channels are 448 blocks with it.
    private static final int LONG_TILE_ROWS = 1024;
    /// The largest tile, for more taps than the others hold.
    private static final int LONGEST_TILE = 64;

    private final MambaShape shape;
    private final boolean plain;
    private final Map<FloatFormat, Kernel> kernels = new EnumMap<>(FloatFormat.class);

    /// @param high      bf16 `[rows, channels]`, out
    /// @param low       the same, gets what `high` left; 0 when not wanted
    /// @param timeStep  fp32 `[rows, heads]`, out
    /// @param projected `[rows, rowWidth]`
    /// @param format    of `projected`
    public record Activations(long high, long low, long timeStep, long projected, FloatFormat format) {}

    /// @param weight       fp32 `[channels, taps]`
    /// @param bias         fp32 `[channels]`, 0 when the layer has none
    /// @param timeStepBias fp32 `[heads]`
    public record Weights(long weight, long bias, long timeStepBias) {}

    public CausalConv(Kernels kernels, MambaShape shape) {
        this.shape = shape;
        plain = shape.taps() != FAST_TAPS || shape.channels() % CHANNELS_AT_ONCE != 0
                || shape.innerDim() % CHANNELS_AT_ONCE != 0 || shape.rowWidth() % CHANNELS_AT_ONCE != 0;
        for (FloatFormat format : FloatFormat.values()) {
            this.kernels.put(format, kernels.get(FAMILY, FAMILY + (plain ? "_plain_" : "_") + format.suffix()));
        }
    }

    /// Runs the pieces of `sequences`, moves their convolution states on, and writes those that are kept on the way. Asynchronous.
    public void run(Stream stream, Activations activations, Weights weights, MambaState state, PromptSequences sequences) {
        run(stream, activations, weights, state, sequences, tileRows(sequences.rows()));
    }

    void run(Stream stream, Activations activations, Weights weights, MambaState state, PromptSequences sequences, int tileRows) {
        if (plain ? tileRows < shape.taps() - 1 : tileRows < SHORT_TILE) {
            throw new IllegalArgumentException("tiles of " + tileRows + " rows for " + shape.taps() + " taps");
        }
        int channelsPerBlock = THREADS * (plain ? 1 : CHANNELS_AT_ONCE);
        LaunchShape grid = new LaunchShape(Math.ceilDiv(shape.channels(), channelsPerBlock) + 1,
                sequences.rows() / tileRows + sequences.count(), 1, THREADS, 0);
        kernels.get(activations.format()).arguments()
                .pointer(activations.high()).pointer(activations.low()).pointer(activations.timeStep())
                .pointer(state.base()).pointer(activations.projected())
                .pointer(weights.weight()).pointer(weights.bias()).pointer(weights.timeStepBias())
                .pointer(sequences.start()).pointer(sequences.position()).pointer(sequences.slot())
                .pointer(sequences.kept().start()).pointer(sequences.kept().position()).pointer(sequences.kept().slot())
                .int64(state.slotStride()).int64(state.historyOffset())
                .int32(sequences.count()).int32(tileRows).int32(shape.taps()).int32(shape.innerDim())
                .int32(shape.channels()).int32(shape.heads()).int32(shape.rowWidth())
                .launch(stream, grid);
    }

    private int tileRows(int rows) {
        int tile = rows < LONG_TILE_ROWS ? SHORT_TILE : LONG_TILE;
        while (tile < shape.taps() - 1) {
            tile *= 2;
        }
        return Math.min(tile, LONGEST_TILE);
    }
}
