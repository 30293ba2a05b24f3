package dev.sidewinder.cuda.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Random;

/// Compares `embedding` with a plain copy, bit for bit: tokens of the whole vocabulary with both ends, padded rows, and ids
/// outside the table, which must read nothing.
final class EmbeddingCheck {

    record Case(Embedding.TableType type, int rows, int width, int vocabulary, long seed) {}

    private final Device device;
    private final Embedding embedding;

    EmbeddingCheck(Device device, Kernels kernels) {
        this.device = device;
        this.embedding = new Embedding(kernels);
    }

    /// @throws AssertionError naming the first value that differs
    void check(Case c) {
        Random random = new Random(c.seed());
        float[] table = new float[c.vocabulary() * c.width()];
        for (int i = 0; i < table.length; i++) {
            float value = (float) random.nextGaussian();
            table[i] = c.type() == Embedding.TableType.F32 ? value
                    : Float.intBitsToFloat(Float.floatToIntBits(value) & 0xffff0000);
        }
        int[] tokens = new int[c.rows()];
        for (int row = 0; row < tokens.length; row++) {
            tokens[row] = switch (random.nextInt(8)) {
                case 0 -> -1;
                case 1 -> 0;
                case 2 -> c.vocabulary() - 1;
                case 3 -> c.vocabulary();
                case 4 -> random.nextBoolean() ? Integer.MAX_VALUE : Integer.MIN_VALUE;
                default -> random.nextInt(c.vocabulary());
            };
        }
        float[] found = run(c, table, tokens);
        for (int i = 0; i < found.length; i++) {
            int token = tokens[i / c.width()];
            float expected = token == -1 ? 0
                    : token < 0 || token >= c.vocabulary() ? Float.NaN
                    : table[token * c.width() + i % c.width()];
            if (Float.floatToIntBits(found[i]) != Float.floatToIntBits(expected)) {
                throw new AssertionError("%s: row %d (token %d), column %d is %s, expected %s".formatted(c, i / c.width(),
                        token, i % c.width(), found[i], expected));
            }
        }
    }

    private float[] run(Case c, float[] table, int[] tokens) {
        try (Arena arena = Arena.ofConfined();
                DeviceBuffer tableMemory = upload(tableBits(arena, c.type(), table));
                DeviceBuffer tokenMemory = upload(arena.allocateFrom(JAVA_INT, tokens));
                DeviceBuffer residual = device.allocate(4L * c.rows() * c.width())) {
            embedding.lookUp(device.stream(), residual.address(), tokenMemory.address(), c.rows(),
                    new Embedding.Table(tableMemory.address(), c.type(), c.vocabulary(), c.width()));
            MemorySegment result = arena.allocate(residual.bytes(), 16);
            device.stream().copyToHost(result, residual.address(), residual.bytes());
            device.stream().synchronize();
            return result.toArray(JAVA_FLOAT);
        }
    }

    private static MemorySegment tableBits(Arena arena, Embedding.TableType type, float[] table) {
        if (type == Embedding.TableType.F32) {
            return arena.allocateFrom(JAVA_FLOAT, table);
        }
        short[] bits = new short[table.length];
        for (int i = 0; i < bits.length; i++) {
            bits[i] = (short) (Float.floatToIntBits(table[i]) >>> 16);
        }
        return arena.allocateFrom(JAVA_SHORT, bits);
    }

    private DeviceBuffer upload(MemorySegment data) {
        DeviceBuffer buffer = device.allocate(data.byteSize());
        device.stream().copyToDevice(buffer.address(), data, data.byteSize());
        device.stream().synchronize();
        return buffer;
    }
}
