package dev.sidewinder.cuda.kernel;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Random;

/// Compares `finite_rows` with a look at every value: rows with NaN of either sign, infinities and the largest finite numbers
/// at any place, several in a sequence or none, and rows behind the last one, which must not be read.
final class FiniteRowsCheck {

    private static final float[] SPOILED = {Float.NaN, Float.intBitsToFloat(0xff800001), Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};
    private static final float[] HARMLESS = {Float.MAX_VALUE, -Float.MAX_VALUE, Float.MIN_VALUE, -0f};

    record Case(int sequences, int mostRows, int width, long seed) {}

    private final Device device;
    private final FiniteRows finiteRows;

    FiniteRowsCheck(Device device, Kernels kernels) {
        this.device = device;
        this.finiteRows = new FiniteRows(kernels);
    }

    /// @throws AssertionError naming the sequences that differ
    void check(Case c) {
        Random random = new Random(c.seed());
        int[] start = new int[c.sequences() + 1];
        for (int i = 0; i < c.sequences(); i++) {
            start[i + 1] = start[i] + 1 + random.nextInt(c.mostRows());
        }
        int rows = start[c.sequences()];
        float[] values = new float[rows * c.width()];
        for (int i = 0; i < values.length; i++) {
            values[i] = random.nextInt(9) == 0 ? HARMLESS[random.nextInt(HARMLESS.length)] : (float) random.nextGaussian();
        }
        int[] expected = new int[c.sequences()];
        for (int i = 0; i < c.sequences(); i++) {
            for (int spoils = random.nextInt(4) - 1; spoils > 0; spoils--) {
                int row = start[i] + random.nextInt(start[i + 1] - start[i]);
                values[row * c.width() + random.nextInt(c.width())] = SPOILED[random.nextInt(SPOILED.length)];
                expected[i] = 1;
            }
        }
        int[] found = run(c, start, rows, values);
        if (!Arrays.equals(found, expected)) {
            throw new AssertionError(c + ": spoiled are " + Arrays.toString(found) + ", expected " + Arrays.toString(expected)
                    + ", of sequences that begin at rows " + Arrays.toString(start));
        }
    }

    private int[] run(Case c, int[] start, int rows, float[] values) {
        try (Arena arena = Arena.ofConfined();
                DeviceBuffer rowMemory = device.allocate(4L * (rows + 1) * c.width());
                DeviceBuffer starts = device.allocate(4L * start.length);
                DeviceBuffer spoiled = device.allocate(4L * c.sequences())) {
            // one row more, which is NaN
            device.stream().fill(rowMemory.address(), (byte) 0xff, rowMemory.bytes());
            device.stream().copyToDevice(rowMemory.address(), arena.allocateFrom(ValueLayout.JAVA_FLOAT, values), 4L * values.length);
            device.stream().copyToDevice(starts.address(), arena.allocateFrom(JAVA_INT, start), starts.bytes());
            device.stream().fill(spoiled.address(), (byte) 0, spoiled.bytes());
            finiteRows.find(device.stream(), spoiled.address(), rowMemory.address(), starts.address(), rows, c.width(), c.sequences());
            MemorySegment result = arena.allocate(spoiled.bytes(), 16);
            device.stream().copyToHost(result, spoiled.address(), spoiled.bytes());
            device.stream().synchronize();
            return result.toArray(JAVA_INT);
        }
    }
}
