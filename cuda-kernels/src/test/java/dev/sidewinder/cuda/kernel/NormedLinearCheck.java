package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/// Compares a product that normalises its rows with the norm and the product in launches of their own, bit by bit. Those two
/// are held against doubles by [RmsNormCheck] and [LinearCheck]. Runs on any device, the emulator included.
final class NormedLinearCheck {

    private static final float INPUT_SCALE = 0.02f;

    /// @param pair    whether activations are two bf16 values
    /// @param indexed whether rows are named by an index, one of them padded
    record Case(Numbers numbers, int tokens, int outputs, int inputs, boolean pair, boolean indexed, long seed) {}

    private final Device device;
    private final RmsNorm norm;
    private final Linear linear;

    NormedLinearCheck(Device device, Kernels kernels) {
        this.device = device;
        norm = new RmsNorm(kernels);
        linear = new Linear(kernels, device.stream(), 0, 0);
    }

    /// @throws AssertionError naming the first value that differs
    void verify(Case c) {
        Random random = new Random(c.seed());
        try (DeviceArrays arrays = new DeviceArrays(device)) {
            int stored = c.indexed() ? c.tokens() + 2 : c.tokens();
            float[] residual = new float[stored * c.inputs()];
            for (int i = 0; i < residual.length; i++) {
                residual[i] = (float) (random.nextGaussian() * (random.nextInt(50) == 0 ? 40 : 1));
            }
            int poisoned = c.tokens() > 1 ? random.nextInt(stored) : -1;
            if (poisoned >= 0) {
                residual[poisoned * c.inputs() + random.nextInt(c.inputs())] = Float.NaN;
            }
            float[] weight = new float[c.inputs()];
            for (int i = 0; i < weight.length; i++) {
                weight[i] = (float) (1 + 0.3 * random.nextGaussian());
            }
            int[] index = random.ints(c.tokens(), 0, stored).toArray();
            index[random.nextInt(index.length)] = c.tokens() > 1 ? -1 : index[0];
            var rows = new RmsNorm.Rows(arrays.floats(residual), 0, c.indexed() ? arrays.ints(index) : 0, c.tokens(), c.inputs());
            var by = new RmsNorm.Weight(arrays.floats(weight), RmsNorm.WeightType.F32, 1e-5f);
            Linear.Weights matrix = matrix(c, arrays, random);

            float[] apart = apart(c, arrays, rows, by, matrix);
            float[] together = together(c, arrays, rows, by, matrix);
            for (int i = 0; i < apart.length; i++) {
                if (Float.floatToRawIntBits(apart[i]) != Float.floatToRawIntBits(together[i])) {
                    throw new AssertionError("%s: token %d, column %d is %s in one launch and %s in two".formatted(c,
                            i / c.outputs(), i % c.outputs(), together[i], apart[i]));
                }
            }
        }
    }

    private float[] apart(Case c, DeviceArrays arrays, RmsNorm.Rows rows, RmsNorm.Weight by, Linear.Weights matrix) {
        Linear.Source source = source(c, arrays);
        if (c.numbers() == Numbers.E4M3) {
            norm.toE4m3(device.stream(), source.address(), INPUT_SCALE, rows, by);
        } else {
            norm.toBf16(device.stream(), source.address(), source.low(), rows, by);
        }
        // rows are gathered already; padded ones hold NaN
        long out = arrays.unwritten(4L * c.tokens() * c.outputs());
        linear.multiply(device.stream(), source, matrix, new Linear.Output(out, c.outputs(), Finish.STORE_F32));
        float[] values = arrays.readFloats(out, c.tokens() * c.outputs());
        if (rows.index() != 0) {
            int[] index = arrays.readInts(rows.index(), c.tokens());
            for (int token = 0; token < c.tokens(); token++) {
                if (index[token] < 0) {
                    Arrays.fill(values, token * c.outputs(), (token + 1) * c.outputs(), Float.intBitsToFloat(-1));
                }
            }
        }
        return values;
    }

    private float[] together(Case c, DeviceArrays arrays, RmsNorm.Rows rows, RmsNorm.Weight by, Linear.Weights matrix) {
        long out = arrays.unwritten(4L * c.tokens() * c.outputs());
        linear.multiplyNormed(device.stream(), source(c, arrays), rows, by,
                List.of(new Linear.Part(matrix, new Linear.Output(out, c.outputs(), Finish.STORE_F32))));
        return arrays.readFloats(out, c.tokens() * c.outputs());
    }

    private static Linear.Source source(Case c, DeviceArrays arrays) {
        long bytes = 2L * c.tokens() * c.inputs();
        Linear.Source source = Linear.Source.of(arrays.unwritten(bytes), c.tokens());
        if (c.numbers() == Numbers.E4M3) {
            return source.scaled(INPUT_SCALE);
        }
        return c.pair() ? source.withLow(arrays.unwritten(bytes)) : source;
    }

    /// Random weights, none of them NaN.
    private static Linear.Weights matrix(Case c, DeviceArrays arrays, Random random) {
        int values = c.outputs() * c.inputs();
        if (c.numbers() == Numbers.BF16) {
            float[] weights = new float[values];
            for (int i = 0; i < values; i++) {
                weights[i] = (float) random.nextGaussian();
            }
            return new Linear.Weights(c.numbers(), arrays.bf16(weights), 0, c.outputs(), c.inputs(), 1);
        }
        boolean nvfp4 = c.numbers() == Numbers.NVFP4;
        long codes = arrays.ints(codes(values * c.numbers().weightBits() / 32, random, !nvfp4));
        long scales = nvfp4 ? arrays.ints(codes(Math.ceilDiv(values, 64), random, true)) : 0;
        return new Linear.Weights(c.numbers(), codes, scales, c.outputs(), c.inputs(), 0.037f);
    }

    private static int[] codes(int words, Random random, boolean e4m3) {
        // exponents below the largest keep e4m3 from NaN
        return random.ints(words).map(word -> e4m3 ? word & 0xb7b7b7b7 : word).toArray();
    }
}
