package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import dev.sidewinder.cuda.kernel.MoeExperts.Way;
import dev.sidewinder.cuda.kernel.MoeExpertsCheck.Case;
import dev.sidewinder.cuda.kernel.MoeExpertsCheck.Routing;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Weights behind 2^31 and 2^32 bytes of their layer or matrix are found where they lie. The memory in between has addresses only, and
/// holds zeros: whoever cuts an offset to 32 bits multiplies zeros, or another expert.
class FarMatricesTest {

    /// Experts at 0, 1.5, 3, 4.5 and 6 GiB.
    private static final long APART_BYTES = 3L << 29;
    /// 2^32 values and some more: 8 GiB in bf16, 4 in e4m3, 2 in NVFP4.
    private static final int INPUTS = 8192;
    private static final int OUTPUTS = (1 << 19) + 72;
    /// What is looked at: rows of the last two blocks of every kernel.
    private static final int LAST_ROWS = 8;

    /// With a multiprocessor for each tile, a block has one.
    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension(
            EmulatorSettings.withSeed(0).withTotalBytes(64L << 30).withMultiprocessors(1 << 17));

    private DeviceArrays arrays;
    private Stream stream;

    @BeforeEach
    void open() {
        arrays = new DeviceArrays(emulator.device());
        stream = emulator.device().stream();
    }

    @AfterEach
    void close() {
        arrays.close();
    }

    // ---- experts -------------------------------------------------------------------------------------------------------

    private void experts(ExpertFormat format, int tokens, Way way) {
        ExpertShape shape = new ExpertShape(128, 5, 3, 128, 192);
        MoeExpertsCheck.apart(emulator.device(), emulator.kernels(), APART_BYTES)
                .check(new Case(shape, format, Routing.UNIFORM, false, tokens, tokens), way);
    }

    @ParameterizedTest
    @EnumSource(ExpertFormat.class)
    void expertsOfALayerOfManyGigabytes(ExpertFormat format) {
        experts(format, 5, Way.STREAM);
        experts(format, 9, Way.PLAIN);
        experts(format, 20, Way.TILE16);
        experts(format, 20, Way.TILE32);
        experts(format, 20, Way.TILE128);
    }

    @ParameterizedTest
    @EnumSource(value = ExpertFormat.class, names = {"BF16", "E4M3"})
    void expertsOfSuchALayerOnWarpgroups(ExpertFormat format) {
        experts(format, 20, Way.WARPGROUP);
    }

    // ---- products ------------------------------------------------------------------------------------------------------

    /// Skinny, tiled, and, for a width that is no multiple of the vector, plain kernels.
    @ParameterizedTest
    @CsvSource({"BF16,8192,3", "BF16,8192,12", "BF16,8192,20", "BF16,8192,100", "BF16,8191,1",
        "E4M3,8192,3", "E4M3,8192,20", "E4M3,8190,1", "E4M3_BF16,8192,20", "E4M3_BF16,8190,1",
        "NVFP4,8192,3", "NVFP4,8192,20", "NVFP4,8176,1"})
    void theEndOfALargeMatrix(Numbers numbers, int inputs, int tokens) {
        var far = new FarProduct(numbers, inputs, tokens);
        var linear = new Linear(emulator.kernels(), stream, 0, 0);
        far.check(() -> linear.multiply(stream, far.source(), far.weights(), far.output()));
    }

    @ParameterizedTest
    @CsvSource({"BF16,100", "E4M3,100"})
    void theEndOfALargeMatrixOnWarpgroups(Numbers numbers, int tokens) {
        var far = new FarProduct(numbers, INPUTS, tokens);
        Sm90Linear linear = Sm90Linear.on(emulator.kernels()).orElseThrow();
        far.check(() -> linear.multiply(stream, far.source(), List.of(new Linear.Part(far.weights(), far.output()))));
    }

    /// Small whole numbers, whose sums are exact in any order: of the matrix only the last rows are written.
    private final class FarProduct {
        private final Numbers numbers;
        private final int inputs;
        private final int tokens;
        private final int[][] x;
        private final int[][] w;
        private final long address;
        private final long blockScales;
        private final long xAddress;
        private final long out;

        FarProduct(Numbers numbers, int inputs, int tokens) {
            this.numbers = numbers;
            this.inputs = inputs;
            this.tokens = tokens;
            Random random = new Random(tokens);
            x = random(random, tokens);
            w = random(random, LAST_ROWS);
            long valuesBefore = (OUTPUTS - LAST_ROWS) * (long) inputs;
            address = far(valuesBefore * numbers.weightBits() / 8, encode(w, numbers.weightBits()));
            byte[] ones = new byte[LAST_ROWS * inputs / 16];
            Arrays.fill(ones, (byte) 0x38);
            blockScales = numbers == Numbers.NVFP4 ? far(valuesBefore / 16, ones) : 0;
            xAddress = far(0, encode(x, numbers.sourceBits()));
            out = arrays.unwritten(4L * tokens * OUTPUTS);
        }

        private int[][] random(Random random, int rows) {
            int[][] values = new int[rows][inputs];
            for (int[] row : values) {
                for (int k = 0; k < inputs; k++) {
                    row[k] = random.nextInt(-2, 3);
                }
            }
            return values;
        }

        private long far(long before, byte[] bytes) {
            DeviceBuffer buffer = emulator.device().allocate(before + bytes.length);
            far.add(buffer);
            write(buffer.address() + before, bytes);
            return buffer.address();
        }

        Linear.Source source() {
            return Linear.Source.of(xAddress, tokens);
        }

        Linear.Weights weights() {
            return new Linear.Weights(numbers, address, blockScales, OUTPUTS, inputs, 1);
        }

        Linear.Output output() {
            return new Linear.Output(out, OUTPUTS, Finish.STORE_F32);
        }

        void check(Runnable product) {
            Emulator.runOnlyLastBlocks(2);
            product.run();
            for (int token = 0; token < tokens; token++) {
                float[] expected = new float[LAST_ROWS];
                for (int row = 0; row < LAST_ROWS; row++) {
                    for (int k = 0; k < inputs; k++) {
                        expected[row] += x[token][k] * w[row][k];
                    }
                }
                assertThat(arrays.readFloats(out + 4 * (OUTPUTS * (token + 1L) - LAST_ROWS), LAST_ROWS))
                        .as("token %d", token).containsExactly(expected);
            }
        }
    }

    private final List<DeviceBuffer> far = new ArrayList<>();

    @AfterEach
    void free() {
        far.forEach(DeviceBuffer::close);
    }

    private void write(long address, byte[] bytes) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(bytes.length, 16);
            copy.copyFrom(MemorySegment.ofArray(bytes));
            stream.copyToDevice(address, copy, bytes.length);
            stream.synchronize();
        }
    }

    /// Whole numbers from -2 to 2 in bf16, e4m3, or two to a byte in e2m1.
    private static byte[] encode(int[][] rows, int bits) {
        byte[] bytes = new byte[(int) ((long) rows.length * rows[0].length * bits / 8)];
        int at = 0;
        for (int[] row : rows) {
            for (int value : row) {
                int sign = value < 0 ? 1 : 0;
                int size = Math.abs(value);
                switch (bits) {
                    case 16 -> {
                        short code = DeviceArrays.bf16Bits(value);
                        bytes[2 * at] = (byte) code;
                        bytes[2 * at + 1] = (byte) (code >> 8);
                    }
                    case 8 -> bytes[at] = (byte) (sign << 7 | (size == 0 ? 0 : size == 1 ? 0x38 : 0x40));
                    default -> bytes[at / 2] |= (byte) ((sign << 3 | 2 * size) << 4 * (at % 2));
                }
                at++;
            }
        }
        return bytes;
    }

    // ---- the embedding -------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(ints = {INPUTS, INPUTS - 2})
    void theEndOfALargeTable(int width) {
        for (Embedding.TableType type : Embedding.TableType.values()) {
            int bytes = type == Embedding.TableType.BF16 ? 2 : 4;
            DeviceBuffer table = emulator.device().allocate((long) OUTPUTS * width * bytes);
            far.add(table);
            float[] last = new float[width];
            for (int i = 0; i < width; i++) {
                last[i] = i % 7 - 3;
            }
            long residual = arrays.unwritten(4L * width);
            long row = table.address() + (OUTPUTS - 1L) * width * bytes;
            if (type == Embedding.TableType.F32) {
                arrays.write(row, last);
            } else {
                stream.copy(row, arrays.bf16(last), 2L * width);
            }
            new Embedding(emulator.kernels()).lookUp(stream, residual, arrays.ints(OUTPUTS - 1), 1,
                    new Embedding.Table(table.address(), type, OUTPUTS, width));
            assertThat(arrays.readFloats(residual, width)).as(type.name()).containsExactly(last);
        }
    }
}
