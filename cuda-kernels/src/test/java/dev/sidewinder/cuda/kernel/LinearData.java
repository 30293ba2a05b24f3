package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.kernel.Linear.Numbers;
import java.util.Arrays;
import java.util.Random;

/// The operands of a checked product: their bytes for the device, and their values one by one for the reference.
///
/// A part that is a range of a matrix shares its bytes with the others; either way the rows of the parts stand one after the
/// other in `weights`.
final class LinearData {

    /// Rows of activations more than there are tokens, which hold NaN.
    private static final int UNUSED_ROWS = 3;
    /// Larger matrices are decoded value by value when they are sampled.
    private static final long MOST_DECODED = 1L << 24;

    final LinearCase shape;
    final byte[] weights;
    final byte[] blockScales;
    final byte[] x;
    final byte[] low;
    /// Which row each token takes.
    final int[] rows;
    final int sourceRows;
    /// Of each part.
    final float[] scales;
    final float sourceScale;
    private final double[] weightValues;
    private final double[] sourceValues;

    LinearData(LinearCase shape) {
        this.shape = shape;
        Random random = new Random(shape.seed());
        long elements = (long) shape.outputs() * shape.inputs();
        weights = new byte[Math.toIntExact(elements * shape.numbers().weightBits() / 8)];
        blockScales = new byte[shape.numbers() == Numbers.NVFP4 ? Math.toIntExact(elements / 16) : 0];
        fillWeights(random);
        rows = new int[shape.tokens()];
        sourceRows = shape.tokens() + UNUSED_ROWS;
        chooseRows(random);
        x = new byte[Math.multiplyExact(sourceRows, shape.inputs()) * shape.numbers().sourceBits() / 8];
        low = new byte[shape.low() ? x.length : 0];
        fillSource(random);
        scales = new float[shape.columns().size()];
        for (int part = 0; part < scales.length; part++) {
            boolean own = !shape.ranges() && part > 0;
            scales[part] = own ? shape.weightScale() * (1 + part / 4f) : shape.weightScale();
        }
        sourceScale = shape.numbers() == Numbers.E4M3 ? 0.02f : 1;
        weightValues = new double[elements <= MOST_DECODED ? (int) elements : 0];
        Arrays.setAll(weightValues, this::decodeWeight);
        sourceValues = new double[Math.multiplyExact(sourceRows, shape.inputs())];
        Arrays.setAll(sourceValues, this::decodeSource);
    }

    private void fillWeights(Random random) {
        switch (shape.numbers()) {
            case BF16 -> {
                for (int i = 0; i < weights.length / 2; i++) {
                    putBf16(weights, i, (float) random.nextGaussian());
                }
            }
            case E4M3, E4M3_BF16 -> fillE4m3(random, weights);
            case NVFP4 -> {
                random.nextBytes(weights);
                fillE4m3(random, blockScales);
            }
        }
    }

    /// Every code but the two NaNs, so subnormals, zeros of both signs and 448 are among them.
    private static void fillE4m3(Random random, byte[] codes) {
        random.nextBytes(codes);
        for (int i = 0; i < codes.length; i++) {
            if ((codes[i] & 0x7f) == 0x7f) {
                codes[i] ^= 1;
            }
        }
    }

    private void chooseRows(Random random) {
        for (int token = 0; token < rows.length; token++) {
            rows[token] = !shape.scattered() ? token : random.nextInt(4) == 0 ? -1 : random.nextInt(shape.tokens());
        }
    }

    private void fillSource(Random random) {
        Arrays.fill(x, (byte) 0xff);
        Arrays.fill(low, (byte) 0xff);
        boolean[] used = new boolean[sourceRows];
        for (int row : rows) {
            if (row >= 0) {
                used[row] = true;
            }
        }
        byte[] codes = new byte[shape.inputs()];
        for (int row = 0; row < sourceRows; row++) {
            int first = row * shape.inputs();
            if (shape.numbers().sourceBits() == 8) {
                fillE4m3(random, codes);
            }
            for (int k = 0; k < shape.inputs(); k++) {
                float value = (float) random.nextGaussian();
                if (!used[row]) {
                    continue;
                }
                if (shape.numbers().sourceBits() == 8) {
                    x[first + k] = codes[k];
                } else {
                    putBf16(x, first + k, value);
                    if (shape.low()) {
                        putBf16(low, first + k, value - bf16(x, first + k));
                    }
                }
            }
        }
    }

    private LinearData(LinearData all, int first, int count) {
        shape = all.shape.withTokens(count);
        weights = all.weights;
        blockScales = all.blockScales;
        int rowBytes = all.x.length / all.sourceRows;
        x = Arrays.copyOfRange(all.x, first * rowBytes, (first + count) * rowBytes);
        low = all.low.length == 0 ? all.low : Arrays.copyOfRange(all.low, first * rowBytes, (first + count) * rowBytes);
        rows = new int[count];
        Arrays.setAll(rows, token -> token);
        sourceRows = count;
        scales = all.scales;
        sourceScale = all.sourceScale;
        weightValues = all.weightValues;
        sourceValues = Arrays.copyOfRange(all.sourceValues, first * shape.inputs(), (first + count) * shape.inputs());
    }

    /// The same product for some of its tokens, which take their rows in order.
    LinearData tokens(int first, int count) {
        return new LinearData(this, first, count);
    }

    /// The weight without its matrix scale.
    double weight(int column, int k) {
        int at = column * shape.inputs() + k;
        return weightValues.length == 0 ? decodeWeight(at) : weightValues[at];
    }

    /// The activation without its scale.
    double source(int row, int k) {
        return sourceValues[row * shape.inputs() + k];
    }

    private double decodeWeight(int at) {
        return switch (shape.numbers()) {
            case BF16 -> bf16(weights, at);
            case E4M3, E4M3_BF16 -> e4m3(weights[at]);
            case NVFP4 -> e2m1(weights[at / 2] >> at % 2 * 4 & 15) * e4m3(blockScales[at / 16]);
        };
    }

    private double decodeSource(int at) {
        if (shape.numbers().sourceBits() == 8) {
            return e4m3(x[at]);
        }
        return shape.low() ? (double) bf16(x, at) + bf16(low, at) : bf16(x, at);
    }

    // ---- number formats, written from their definitions ------------------------------------------------------------------

    static float bf16(byte[] bytes, int at) {
        return Float.intBitsToFloat((bytes[2 * at] & 0xff | bytes[2 * at + 1] << 8) << 16);
    }

    /// Nearest, ties to even; no NaN.
    static void putBf16(byte[] bytes, int at, float value) {
        int bits = Float.floatToRawIntBits(value);
        int rounded = bits + 0x7fff + (bits >>> 16 & 1) >>> 16;
        bytes[2 * at] = (byte) rounded;
        bytes[2 * at + 1] = (byte) (rounded >> 8);
    }

    static double e4m3(byte code) {
        int exponent = code >> 3 & 15;
        int mantissa = code & 7;
        if (exponent == 15 && mantissa == 7) {
            return Double.NaN;
        }
        double magnitude = exponent == 0 ? Math.scalb(mantissa, -9) : Math.scalb(8 + mantissa, exponent - 10);
        return code < 0 ? -magnitude : magnitude;
    }

    static double e2m1(int code) {
        double magnitude = switch (code & 7) {
            case 0 -> 0;
            case 1 -> 0.5;
            case 2 -> 1;
            case 3 -> 1.5;
            case 4 -> 2;
            case 5 -> 3;
            case 6 -> 4;
            default -> 6;
        };
        return code >= 8 ? -magnitude : magnitude;
    }
}
