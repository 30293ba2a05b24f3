package dev.sidewinder.cuda.kernel;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;

/// Compares `rms_norm` with its formula in double precision, value by value, and everything that must stay as it is bit by
/// bit: the residual where nothing is added, rows that no index names, results of padded rows, a row among others and alone.
final class RmsNormCheck {

    /// Sums in fp32 over a row, an approximate root (2^-22): for rows of some thousand values well below.
    private static final double SUM = 2e-6;
    /// Half a unit of the last place of bf16: 7 bits behind the point.
    private static final double BF16 = Math.scalb(1.0, -8) + SUM;
    /// The second rounding, of what the first one lost.
    private static final double PAIR = Math.scalb(1.0, -16) + SUM;
    /// Half a unit of the last place of e4m3: 3 bits behind the point.
    private static final double E4M3 = Math.scalb(1.0, -4);
    /// Half of e4m3's smallest value, 2^-9. The sum's error comes on top, here as above: it may carry a value over a tie.
    private static final double E4M3_TINY = Math.scalb(1.0, -10);
    private static final double E4M3_LARGEST = 448;
    /// The real models' and one that decides the result.
    private static final float[] EPSILONS = {1e-5f, 0.25f};
    /// Values of a row then reach from far below one unit of e4m3 to beyond its largest value.
    private static final float INPUT_SCALE = 0.0071f;

    /// What a normalised row becomes.
    enum Target { BF16, BF16_PAIR, E4M3, F32 }

    /// @param adding whether something is added to the residual first
    /// @param indexed whether rows are named by an index, some of them padded, instead of taken in order
    record Case(Target target, RmsNorm.WeightType weight, boolean adding, boolean indexed, int rows, int width, long seed) {}

    /// What the kernel left behind.
    private record Outcome(byte[] out, byte[] low, float[] residual) {}

    private final Device device;
    private final RmsNorm norm;

    RmsNormCheck(Device device, Kernels kernels) {
        this.device = device;
        this.norm = new RmsNorm(kernels);
    }

    /// @throws AssertionError naming the worst value
    void check(Case c) {
        Random random = new Random(c.seed());
        int stored = c.indexed() ? c.rows() + 3 : c.rows();
        float[] residual = values(stored * c.width(), random);
        float[] added = c.adding() ? values(residual.length, random) : null;
        float[] weight = weights(c, random);
        int[] index = c.indexed() ? index(c.rows(), stored, random) : null;
        // One row that holds NaN keeps it for itself.
        int poisoned = c.rows() > 1 ? random.nextInt(c.rows()) : -1;
        if (poisoned >= 0 && source(index, poisoned) >= 0) {
            residual[source(index, poisoned) * c.width() + random.nextInt(c.width())] = Float.NaN;
        }

        Outcome found = run(c, residual, added, weight, index, c.rows());
        float[] sums = residual.clone();
        for (int row = 0; row < c.rows(); row++) {
            int source = source(index, row);
            if (source < 0) {
                checkUntouched(c, found, row);
                continue;
            }
            for (int i = source * c.width(); i < (source + 1) * c.width(); i++) {
                sums[i] = added == null ? sums[i] : sums[i] + added[i];
            }
            checkRow(c, found, row, sums, source * c.width(), weight, row == poisoned);
        }
        for (int i = 0; i < sums.length; i++) {
            if (Float.floatToIntBits(found.residual()[i]) != Float.floatToIntBits(sums[i])) {
                throw new AssertionError("%s: residual at row %d, column %d is %s, expected %s".formatted(c, i / c.width(),
                        i % c.width(), found.residual()[i], sums[i]));
            }
        }
        checkAlone(c, found, residual, added, weight, index, random);
    }

    /// A row has the same bits when it is normalised alone.
    private void checkAlone(Case c, Outcome all, float[] residual, float[] added, float[] weight, int[] index, Random random) {
        int row = random.nextInt(c.rows());
        int source = source(index, row);
        if (source < 0) {
            return;
        }
        Case single = new Case(c.target(), c.weight(), c.adding(), true, 1, c.width(), c.seed());
        Outcome alone = run(single, residual, added, weight, new int[] {source}, 1);
        int rowBytes = bytes(c.target()) * c.width();
        for (int i = 0; i < rowBytes; i++) {
            boolean same = alone.out()[i] == all.out()[row * rowBytes + i]
                    && (c.target() != Target.BF16_PAIR || alone.low()[i] == all.low()[row * rowBytes + i]);
            if (!same) {
                throw new AssertionError("%s: row %d alone has other bits at byte %d of it than among the others"
                        .formatted(c, row, i));
            }
        }
    }

    private void checkRow(Case c, Outcome found, int row, float[] x, int from, float[] weight, boolean poisoned) {
        double squares = 0;
        for (int i = 0; i < c.width(); i++) {
            squares += (double) x[from + i] * x[from + i];
        }
        double factor = 1 / Math.sqrt(squares / c.width() + epsilon(c));
        double worst = 0;
        int worstAt = -1;
        double worstExpected = 0;
        for (int i = 0; i < c.width(); i++) {
            double expected = x[from + i] * factor * weight[i];
            double actual = value(c, found, row * c.width() + i);
            if (poisoned) {
                if (!Double.isNaN(actual)) {
                    throw new AssertionError("%s: row %d holds NaN, but its result at %d is %s".formatted(c, row, i, actual));
                }
                continue;
            }
            double excess = excess(c.target(), actual, expected);
            if (!(excess <= worst)) {
                worst = Double.isNaN(excess) ? Double.POSITIVE_INFINITY : excess;
                worstAt = i;
                worstExpected = expected;
            }
        }
        if (worst > 1) {
            throw new AssertionError("%s: row %d, column %d is %s, expected %s: %.3g times what rounding explains".formatted(c,
                    row, worstAt, value(c, found, row * c.width() + worstAt), worstExpected, worst));
        }
    }

    /// The error over what rounding may do.
    private static double excess(Target target, double actual, double expected) {
        double smallest = Float.MIN_NORMAL;
        return switch (target) {
            case F32 -> Math.abs(actual - expected) / (SUM * Math.abs(expected) + smallest);
            case BF16 -> Math.abs(actual - expected) / (BF16 * Math.abs(expected) + smallest);
            case BF16_PAIR -> Math.abs(actual - expected) / (PAIR * Math.abs(expected) + smallest);
            case E4M3 -> {
                double scaled = Math.clamp(expected / INPUT_SCALE, -E4M3_LARGEST, E4M3_LARGEST);
                yield Math.abs(actual - scaled) / (Math.max(E4M3 * Math.abs(scaled), E4M3_TINY) + SUM * Math.abs(scaled));
            }
        };
    }

    private static double value(Case c, Outcome found, int at) {
        MemorySegment out = MemorySegment.ofArray(found.out());
        return switch (c.target()) {
            case F32 -> out.get(JAVA_FLOAT.withByteAlignment(1), 4L * at);
            case BF16 -> bf16(out, at);
            case BF16_PAIR -> (double) bf16(out, at) + bf16(MemorySegment.ofArray(found.low()), at);
            case E4M3 -> e4m3(found.out()[at]);
        };
    }

    private static float bf16(MemorySegment bits, int at) {
        return Float.intBitsToFloat(bits.get(JAVA_SHORT.withByteAlignment(1), 2L * at) << 16);
    }

    static double e4m3(byte code) {
        int exponent = code >> 3 & 15;
        int mantissa = code & 7;
        if ((code & 0x7f) == 0x7f) {
            return Double.NaN;
        }
        double magnitude = exponent == 0 ? Math.scalb(mantissa, -9) : Math.scalb(8.0 + mantissa, exponent - 10);
        return code < 0 ? -magnitude : magnitude;
    }

    private static void checkUntouched(Case c, Outcome found, int row) {
        int rowBytes = bytes(c.target()) * c.width();
        for (int i = row * rowBytes; i < (row + 1) * rowBytes; i++) {
            if (found.out()[i] != -1 || (c.target() == Target.BF16_PAIR && found.low()[i] != -1)) {
                throw new AssertionError("%s: padded row %d was written at byte %d".formatted(c, row, i % rowBytes));
            }
        }
    }

    private static float epsilon(Case c) {
        return EPSILONS[Math.floorMod(c.seed(), EPSILONS.length)];
    }

    private static int source(int[] index, int row) {
        return index == null ? row : index[row];
    }

    private static int bytes(Target target) {
        return switch (target) {
            case BF16, BF16_PAIR -> 2;
            case E4M3 -> 1;
            case F32 -> 4;
        };
    }

    private static float[] values(int count, Random random) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            // rows of ordinary size with a few large values, as residual streams have them
            values[i] = (float) (random.nextGaussian() * (random.nextInt(50) == 0 ? 40 : 1));
        }
        return values;
    }

    private static float[] weights(Case c, Random random) {
        float[] values = new float[c.width()];
        for (int i = 0; i < values.length; i++) {
            float value = (float) (1 + 0.3 * random.nextGaussian());
            values[i] = c.weight() == RmsNorm.WeightType.F32 ? value
                    : Float.intBitsToFloat(Float.floatToIntBits(value) & 0xffff0000);
        }
        return values;
    }

    /// Distinct rows in random order, and padded ones among them.
    private static int[] index(int rows, int stored, Random random) {
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < stored; i++) {
            order.add(i);
        }
        Collections.shuffle(order, random);
        int[] index = new int[rows];
        for (int i = 0; i < rows; i++) {
            index[i] = random.nextInt(4) == 0 ? -1 : order.get(i);
        }
        return index;
    }

    private Outcome run(Case c, float[] residual, float[] added, float[] weight, int[] index, int rows) {
        int outBytes = rows * c.width() * bytes(c.target());
        try (Arena arena = Arena.ofConfined();
                DeviceBuffer residualMemory = upload(arena.allocateFrom(JAVA_FLOAT, residual));
                DeviceBuffer addedMemory = upload(arena.allocateFrom(JAVA_FLOAT, added == null ? new float[1] : added));
                DeviceBuffer weightMemory = upload(weightBits(arena, c.weight(), weight));
                DeviceBuffer indexMemory = upload(arena.allocateFrom(JAVA_INT, index == null ? new int[1] : index));
                DeviceBuffer out = device.allocate(outBytes);
                DeviceBuffer low = device.allocate(outBytes)) {
            device.stream().fill(out.address(), (byte) -1, outBytes);
            device.stream().fill(low.address(), (byte) -1, outBytes);
            RmsNorm.Rows of = new RmsNorm.Rows(residualMemory.address(), added == null ? 0 : addedMemory.address(),
                    index == null ? 0 : indexMemory.address(), rows, c.width());
            RmsNorm.Weight by = new RmsNorm.Weight(weightMemory.address(), c.weight(), epsilon(c));
            switch (c.target()) {
                case BF16 -> norm.toBf16(device.stream(), out.address(), 0, of, by);
                case BF16_PAIR -> norm.toBf16(device.stream(), out.address(), low.address(), of, by);
                case E4M3 -> norm.toE4m3(device.stream(), out.address(), INPUT_SCALE, of, by);
                case F32 -> norm.toF32(device.stream(), out.address(), of, by);
            }
            return new Outcome(download(arena, out).toArray(JAVA_BYTE), download(arena, low).toArray(JAVA_BYTE),
                    download(arena, residualMemory).toArray(JAVA_FLOAT));
        }
    }

    private static MemorySegment weightBits(Arena arena, RmsNorm.WeightType type, float[] weight) {
        if (type == RmsNorm.WeightType.F32) {
            return arena.allocateFrom(JAVA_FLOAT, weight);
        }
        short[] bits = new short[weight.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = (short) (Float.floatToIntBits(weight[i]) >>> 16);
        }
        return arena.allocateFrom(JAVA_SHORT, bits);
    }

    private DeviceBuffer upload(MemorySegment data) {
        DeviceBuffer buffer = device.allocate(data.byteSize());
        device.stream().copyToDevice(buffer.address(), data, data.byteSize());
        device.stream().synchronize();
        return buffer;
    }

    private MemorySegment download(Arena arena, DeviceBuffer buffer) {
        MemorySegment data = arena.allocate(buffer.bytes(), 16);
        device.stream().copyToHost(data, buffer.address(), buffer.bytes());
        device.stream().synchronize();
        return data;
    }
}
