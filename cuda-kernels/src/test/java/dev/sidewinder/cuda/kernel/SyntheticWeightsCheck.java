package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.kernel.SyntheticWeights.Form;
import java.util.Random;

/// Compares `synthetic_weights` with the same recipe in plain Java, bit for bit: draws one by one, and codes found by
/// looking for the nearest value.
final class SyntheticWeightsCheck {

    /// @param globalScale of NVFP4
    record Case(Form form, long elements, float globalScale, long seed) {}

    /// What e2m1 codes 0 to 7 stand for.
    private static final float[] E2M1 = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    private static final int BLOCK = 16;
    /// Bytes behind the tensor that must stay as they were.
    private static final int MARGIN = 64;

    private final Device device;
    private final SyntheticWeights weights;

    SyntheticWeightsCheck(Device device, Kernels kernels) {
        this.device = device;
        this.weights = new SyntheticWeights(kernels);
    }

    /// @throws AssertionError naming the first byte that differs
    void check(Case c) {
        Random random = new Random(c.seed());
        long key = random.nextLong();
        float[] values = new float[SyntheticWeights.TABLE_VALUES];
        byte[] codes = new byte[SyntheticWeights.TABLE_VALUES];
        for (int i = 0; i < values.length; i++) {
            // blocks of every size of numbers, down to those whose scale vanishes
            values[i] = DeviceArrays.bf16((float) (random.nextGaussian() * Math.exp(-4 * random.nextDouble())));
        }
        random.nextBytes(codes);
        byte[] expected = expected(c, key, values, codes);
        try (CheckMemory memory = new CheckMemory(device)) {
            long table = c.form() == Form.E4M3 ? memory.upload(codes) : memory.upload(ActivationRows.Type.BF16, values);
            long target = memory.unwritten(expected.length + MARGIN);
            weights.make(device.stream(), c.form(), target, new SyntheticWeights.Numbers(table, key, c.globalScale()),
                    c.elements());
            byte[] found = memory.bytes(target, expected.length + MARGIN);
            for (int i = 0; i < found.length; i++) {
                int wanted = i < expected.length ? expected[i] : -1;
                if (found[i] != wanted) {
                    throw new AssertionError("%s: byte %d of %d is 0x%02x, expected 0x%02x".formatted(c, i, expected.length,
                            found[i] & 0xff, wanted & 0xff));
                }
            }
        }
    }

    private static byte[] expected(Case c, long key, float[] values, byte[] codes) {
        int count = (int) c.elements();
        float[] drawn = new float[count];
        byte[] drawnCodes = new byte[count];
        for (int i = 0; i < count; i++) {
            int draw = draw(key, i);
            drawn[i] = values[draw];
            drawnCodes[i] = codes[draw];
        }
        return switch (c.form()) {
            case E4M3 -> drawnCodes;
            case BF16 -> littleEndian(drawn, Short.BYTES);
            case F32 -> littleEndian(drawn, Float.BYTES);
            case NVFP4_SCALES -> scales(drawn, c.globalScale());
            case NVFP4_CODES -> nvfp4(drawn, c.globalScale());
        };
    }

    private static int draw(long key, long element) {
        long z = key + element / 4 * 0x9E37_79B9_7F4A_7C15L;
        z = (z ^ z >>> 30) * 0xBF58_476D_1CE4_E5B9L;
        z = (z ^ z >>> 27) * 0x94D0_49BB_1331_11EBL;
        z ^= z >>> 31;
        return (int) (z >>> 16 * (element % 4)) & 0xFFFF;
    }

    /// The upper `bytes` bytes of each float.
    private static byte[] littleEndian(float[] values, int bytes) {
        byte[] result = new byte[values.length * bytes];
        for (int i = 0; i < result.length; i++) {
            int bits = Float.floatToRawIntBits(values[i / bytes]) >>> 8 * (Float.BYTES - bytes);
            result[i] = (byte) (bits >>> 8 * (i % bytes));
        }
        return result;
    }

    private static byte[] scales(float[] values, float global) {
        byte[] scales = new byte[values.length / BLOCK];
        for (int block = 0; block < scales.length; block++) {
            float largest = 0;
            for (int i = 0; i < BLOCK; i++) {
                largest = Math.max(largest, Math.abs(values[block * BLOCK + i]));
            }
            scales[block] = global == 0 ? 0 : nearestE4m3(largest / 6 / global);
        }
        return scales;
    }

    private static byte[] nvfp4(float[] values, float global) {
        byte[] scales = scales(values, global);
        byte[] codes = new byte[values.length / 2];
        for (int i = 0; i < values.length; i++) {
            float step = DeviceArrays.e4m3Value(scales[i / BLOCK]) * global;
            float scaled = values[i] * (step == 0 ? 0 : 1 / step);
            int sign = Float.floatToRawIntBits(scaled) >>> 28 & 8;
            codes[i / 2] |= (byte) ((sign | nearestE2m1(Math.abs(scaled))) << 4 * (i % 2));
        }
        return codes;
    }

    private static int nearestE2m1(float magnitude) {
        if (magnitude >= 6) {
            return 7;
        }
        int best = 0;
        for (int code = 1; code < E2M1.length; code++) {
            double difference = Math.abs(E2M1[code] - (double) magnitude) - Math.abs(E2M1[best] - (double) magnitude);
            best = difference < 0 || difference == 0 && code % 2 == 0 ? code : best;
        }
        return best;
    }

    private static byte nearestE4m3(float magnitude) {
        if (magnitude >= 448) {
            return 0x7e;
        }
        int best = 0;
        for (int code = 1; code < 0x7f; code++) {
            // floats of this size are exact in doubles, and so are their differences
            double difference = Math.abs(DeviceArrays.e4m3Value((byte) code) - (double) magnitude)
                    - Math.abs(DeviceArrays.e4m3Value((byte) best) - (double) magnitude);
            best = difference < 0 || difference == 0 && code % 2 == 0 ? code : best;
        }
        return (byte) best;
    }
}
