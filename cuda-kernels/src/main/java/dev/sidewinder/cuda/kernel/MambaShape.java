package dev.sidewinder.cuda.kernel;

/// The sizes of a Mamba-2 layer between its projections.
///
/// A row of the input projection is gate | x | B | C | time steps: see `mamba.cuh`.
///
/// @param heads    of the recurrence; `headDim` rows of state each
/// @param groups   that share B, C and one norm; `heads / groups` heads each
/// @param stateDim columns of the state
/// @param taps     of the causal convolution, the current token included
public record MambaShape(int heads, int headDim, int groups, int stateDim, int taps) {

    /// More taps would not fit between two checkpoints of 128 tokens with room for the tiles of the convolution.
    private static final int MOST_TAPS = 64;

    public MambaShape {
        if (heads < 1 || headDim < 1 || groups < 1 || stateDim < 1 || heads % groups != 0) {
            throw new IllegalArgumentException("a Mamba layer of %d heads x %d in %d groups with a state of %d columns; all are at least 1 and groups divide heads"
                    .formatted(heads, headDim, groups, stateDim));
        }
        if (taps < 2 || taps > MOST_TAPS) {
            throw new IllegalArgumentException("a causal convolution of " + taps + " taps; 2 to " + MOST_TAPS + " can be run");
        }
    }

    /// Channels of gate, x and output.
    public int innerDim() {
        return heads * headDim;
    }

    /// Channels of the convolution: x | B | C.
    public int channels() {
        return innerDim() + 2 * groups * stateDim;
    }

    /// Columns of the input projection.
    public int rowWidth() {
        return innerDim() + channels() + heads;
    }

    /// Channels under one norm.
    public int groupWidth() {
        return innerDim() / groups;
    }

    /// Bytes of the recurrent state of one sequence, fp32.
    public long stateBytes() {
        return 4L * innerDim() * stateDim;
    }

    /// Bytes of the convolution's state of one sequence, fp32.
    public long historyBytes() {
        return 4L * (taps - 1) * channels();
    }
}
