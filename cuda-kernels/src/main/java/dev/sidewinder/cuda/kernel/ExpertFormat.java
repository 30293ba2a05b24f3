package dev.sidewinder.cuda.kernel;

import java.util.Locale;

/// In which number formats the products of experts run: weights x activations.
public enum ExpertFormat {
    BF16(32, 2, 1, 2),
    /// Activations are quantised with a static scale for each expert.
    E4M3(64, 1, 1, 1),
    E4M3_BF16(64, 1, 1, 2),
    NVFP4(64, 1, 2, 2);

    /// Values of k that the fast kernels take at a time; both inner widths must be multiples.
    private final int block;
    private final int codeBytes;
    private final int valuesPerCode;
    private final int tokenBytes;

    ExpertFormat(int block, int codeBytes, int valuesPerCode, int tokenBytes) {
        this.block = block;
        this.codeBytes = codeBytes;
        this.valuesPerCode = valuesPerCode;
        this.tokenBytes = tokenBytes;
    }

    /// Values that share a scale of their own, in NVFP4.
    private static final int SCALED_VALUES = 16;

    /// Bytes of so many weights side by side.
    public long weightBytes(long values) {
        return values * codeBytes / valuesPerCode;
    }

    /// Bytes of an activation between up and down.
    public int tokenBytes() {
        return tokenBytes;
    }

    boolean hasInputScales() {
        return this == E4M3;
    }

    boolean hasBlockScales() {
        return this == NVFP4;
    }

    /// Whether the fast kernels take this shape.
    boolean isBlocked(ExpertShape shape) {
        int last = shape.sharedWidth() % shape.width();
        return shape.hidden() % block == 0 && shape.width() % block == 0 && last % block == 0;
    }

    void check(ExpertShape shape) {
        if (this == NVFP4 && (shape.hidden() % SCALED_VALUES != 0 || shape.width() % SCALED_VALUES != 0
                || shape.sharedWidth() % SCALED_VALUES != 0)) {
            throw new IllegalArgumentException("NVFP4 experts of %d x %d, shared width %d; NVFP4 has one scale for %d values, so all are multiples of that"
                    .formatted(shape.width(), shape.hidden(), shape.sharedWidth(), SCALED_VALUES));
        }
    }

    String suffix() {
        return name().toLowerCase(Locale.ROOT);
    }
}
