package dev.sidewinder.cuda.kernel;

import java.util.Arrays;
import java.util.Random;

/// One direction of all experts with random weights: codes as a checkpoint has them, and their values.
///
/// Routed matrices lie `GAP` bytes apart, and what lies between them is NaN, as are whole experts that nobody is routed to.
final class ExpertWeights {

    private static final int GAP = 32;

    private final ExpertFormat format;
    private final ExpertShape shape;
    private final boolean up;
    private final byte[] codes;
    private final byte[] blockScales;
    private final byte[] sharedCodes;
    private final byte[] sharedBlockScales;
    private final long stride;
    private final long scaleStride;
    /// One for each unit.
    final float[] weightScales;
    final float[] inputScales;

    /// @param used experts whose weights are numbers
    ExpertWeights(ExpertFormat format, ExpertShape shape, boolean up, boolean[] used, float inputScale, Random random) {
        this.format = format;
        this.shape = shape;
        this.up = up;
        int values = shape.hidden() * shape.width();
        stride = Math.ceilDiv(format.weightBytes(values), 16) * 16 + GAP;
        scaleStride = values / 16 + 3;
        codes = new byte[Math.toIntExact(stride * shape.experts())];
        blockScales = new byte[Math.toIntExact(scaleStride * shape.experts())];
        Arrays.fill(codes, (byte) 0xff);
        Arrays.fill(blockScales, (byte) 0x7f);
        for (int expert = 0; expert < shape.experts(); expert++) {
            if (used[expert]) {
                fill(codes, (int) (expert * stride), blockScales, (int) (expert * scaleStride), values, random);
            }
        }
        int sharedValues = shape.hidden() * shape.sharedWidth();
        sharedCodes = new byte[(int) format.weightBytes(sharedValues)];
        sharedBlockScales = new byte[sharedValues / 16];
        fill(sharedCodes, 0, sharedBlockScales, 0, sharedValues, random);
        weightScales = new float[shape.units()];
        inputScales = new float[shape.units()];
        for (int unit = 0; unit < weightScales.length; unit++) {
            boolean piece = unit > 0 && unit < shape.parts();
            weightScales[unit] = piece ? weightScales[0] : scale() * (0.5f + random.nextFloat());
            inputScales[unit] = piece ? inputScales[0] : inputScale * (0.5f + random.nextFloat());
        }
    }

    /// A factor that keeps products near 1, whatever the format's values are like.
    private float scale() {
        double inner = Math.sqrt(up ? shape.hidden() : shape.width());
        return (float) switch (format) {
            case BF16 -> 1;
            case E4M3, E4M3_BF16 -> 1 / (1.4 * inner);
            case NVFP4 -> 1 / (6 * inner);
        };
    }

    private void fill(byte[] target, int at, byte[] scales, int scaleAt, int values, Random random) {
        switch (format) {
            case BF16 -> {
                // Any sign and mantissa; four exponents, so that products stay near 1.
                int exponent = 126 - Math.getExponent(Math.sqrt(up ? shape.hidden() : shape.width()));
                for (int i = 0; i < values; i++) {
                    int bits = random.nextInt();
                    int value = bits & 0x807f | exponent - (bits >> 16 & 3) << 7;
                    target[at + 2 * i] = (byte) value;
                    target[at + 2 * i + 1] = (byte) (value >> 8);
                }
            }
            case E4M3, E4M3_BF16 -> {
                for (int i = 0; i < values; i++) {
                    // Magnitudes from 2^-4 to just below 4, and now and then a zero or a subnormal.
                    int bits = random.nextInt();
                    int magnitude = (bits >> 8 & 31) == 0 ? bits & 7 : 24 + (bits & 0xff) % 48;
                    target[at + i] = (byte) (magnitude | bits >> 24 & 0x80);
                }
            }
            case NVFP4 -> {
                byte[] random8 = new byte[values / 2];
                random.nextBytes(random8);
                System.arraycopy(random8, 0, target, at, random8.length);
                for (int i = 0; i < values / 16; i++) {
                    // Scales from the smallest subnormal up, and now and then the largest.
                    scales[scaleAt + i] = (byte) (random.nextInt(500) == 0 ? 0x7e : random.nextInt(100) == 0 ? 1 : 48 + random.nextInt(20));
                }
            }
        }
    }

    /// Value `[row, k]` of the whole matrix of an expert, or of the shared expert (-1).
    private float value(int expert, int row, int k) {
        byte[] from = expert < 0 ? sharedCodes : codes;
        byte[] scales = expert < 0 ? sharedBlockScales : blockScales;
        int pitch = up ? shape.hidden() : expert < 0 ? shape.sharedWidth() : shape.width();
        int at = expert < 0 ? 0 : (int) (expert * stride);
        int index = row * pitch + k;
        return switch (format) {
            case BF16 -> MoeMemory.bf16Value(from[at + 2 * index], from[at + 2 * index + 1]);
            case E4M3, E4M3_BF16 -> MoeMemory.e4m3Value(from[at + index]);
            case NVFP4 -> {
                int code = k % 2 == 0 ? from[at + index / 2] & 15 : from[at + index / 2] >> 4 & 15;
                int scaleAt = expert < 0 ? 0 : (int) (expert * scaleStride);
                yield MoeMemory.e2m1Value(code) * MoeMemory.e4m3Value(scales[scaleAt + index / 16]);
            }
        };
    }

    int rows(int unit) {
        return up ? width(unit) : shape.hidden();
    }

    int inner(int unit) {
        return up ? shape.hidden() : width(unit);
    }

    private int width(int unit) {
        return unit < shape.parts() ? Math.min(shape.width(), shape.sharedWidth() - unit * shape.width()) : shape.width();
    }

    /// The matrix of a unit, `[rows, inner]`, without its scale.
    float[] matrix(int unit) {
        boolean shared = unit < shape.parts();
        int expert = shared ? -1 : unit - shape.parts();
        int skipped = shared ? unit * shape.width() : 0;
        int rows = rows(unit);
        int inner = inner(unit);
        float[] matrix = new float[rows * inner];
        for (int row = 0; row < rows; row++) {
            for (int k = 0; k < inner; k++) {
                matrix[row * inner + k] = value(expert, row + (up ? skipped : 0), k + (up ? 0 : skipped));
            }
        }
        return matrix;
    }

    /// What a product has to be multiplied with.
    double productScale(int unit) {
        double scale = format == ExpertFormat.BF16 ? 1 : weightScales[unit];
        return format.hasInputScales() ? scale * inputScales[unit] : scale;
    }

    MoeExperts.Matrices upload(MoeMemory memory) {
        return upload(memory, 0);
    }

    /// @param apart bytes from expert to expert on the device, a multiple of 16; 0: as they lie here
    MoeExperts.Matrices upload(MoeMemory memory, long apart) {
        boolean shared = shape.sharedWidth() > 0;
        boolean block = format.hasBlockScales();
        return new MoeExperts.Matrices(routed(memory, codes, stride, apart), apart == 0 ? stride : apart,
                block ? routed(memory, blockScales, scaleStride, apart) : 0, apart == 0 ? scaleStride : apart,
                shared ? memory.upload(sharedCodes) : 0, shared && block ? memory.upload(sharedBlockScales) : 0,
                format == ExpertFormat.BF16 ? 0 : memory.upload(weightScales),
                format.hasInputScales() ? memory.upload(inputScales) : 0);
    }

    private long routed(MoeMemory memory, byte[] bytes, long expertBytes, long apart) {
        return apart == 0 ? memory.upload(bytes) : memory.uploadApart(bytes, expertBytes, shape.experts(), apart);
    }
}
