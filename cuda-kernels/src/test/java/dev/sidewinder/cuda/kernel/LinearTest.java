package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import dev.sidewinder.cuda.kernel.LinearPlan.Plain;
import dev.sidewinder.cuda.kernel.LinearPlan.Skinny;
import dev.sidewinder.cuda.kernel.LinearPlan.Tiled;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class LinearTest {

    /// Room for a split product of two tiles with four segments.
    private static final long WORKSPACE = 4_096 + 8 * 65_536;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private LinearCheck check;

    @BeforeEach
    void open() {
        check = new LinearCheck(emulator.device(), emulator.kernels(), WORKSPACE);
    }

    /// A width of two segments or three, the last one shorter, that is an odd multiple of 32.
    private static int inputs(Numbers numbers) {
        return numbers == Numbers.NVFP4 ? 1_312 : 672;
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 63, 64, 65, 127, 128, 129, 200})
    void anyNumberOfTokens(int tokens) {
        for (Numbers numbers : Numbers.values()) {
            check.verify(LinearCase.of(numbers, tokens, 72, inputs(numbers)).seeded(tokens));
        }
    }

    @ParameterizedTest
    @EnumSource(Numbers.class)
    void anyNumberOfColumns(Numbers numbers) {
        for (int outputs : new int[] {1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 1_856, 10_304}) {
            check.verify(LinearCase.of(numbers, 3, outputs, 32).seeded(outputs));
            check.verify(LinearCase.of(numbers, outputs > 1_000 ? 17 : 70, outputs, 96).seeded(outputs));
        }
        // a group of eight tiles and one of two, each with two tiles of tokens
        check.verify(LinearCase.of(numbers, 150, 1_200, 32));
    }

    @ParameterizedTest
    @EnumSource(Numbers.class)
    void anyWidthThatLoadsTakeWhole(Numbers numbers) {
        int unit = numbers.vector();
        for (int inputs : new int[] {unit, 2 * unit, 3 * unit, 5 * unit, 7 * unit, 31 * unit, 33 * unit, 64 * unit + unit}) {
            for (int tokens : new int[] {3, 12, 20, 40, 70}) {
                check.verify(LinearCase.of(numbers, tokens, 40, inputs).seeded(inputs));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Numbers.class)
    void theWidthsOfTheModels(Numbers numbers) {
        for (int inputs : new int[] {128, 192, 256, 512, 1_856, 2_688, 3_712, 4_096}) {
            check.verify(LinearCase.of(numbers, 1, 24, inputs).seeded(inputs));
            check.verify(LinearCase.of(numbers, 33, 24, inputs).seeded(inputs));
        }
    }

    @Test
    void widthsThatLoadsDoNotTakeWhole() {
        for (int tokens : new int[] {1, 9, 40}) {
            for (int inputs : new int[] {1, 7, 12, 33, 100}) {
                check.verify(LinearCase.of(Numbers.BF16, tokens, 13, inputs));
                check.verify(LinearCase.of(Numbers.BF16, tokens, 13, inputs).withLow().withScatteredRows());
                check.verify(LinearCase.of(Numbers.E4M3, tokens, 13, inputs));
                check.verify(LinearCase.of(Numbers.E4M3_BF16, tokens, 13, inputs));
            }
            for (int inputs : new int[] {16, 48, 176}) {
                check.verify(LinearCase.of(Numbers.NVFP4, tokens, 13, inputs).finishing(Finish.ADD_F32));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Finish.class)
    void everyFinish(Finish finish) {
        for (Numbers numbers : Numbers.values()) {
            for (int tokens : new int[] {2, 11, 19, 50, 66}) {
                check.verify(LinearCase.of(numbers, tokens, 37, 160).finishing(finish));
            }
        }
    }

    @Test
    void partsGoToOutputsOfTheirOwn() {
        List<Finish> mamba = List.of(Finish.STORE_BF16, Finish.STORE_F32, Finish.STORE_F32);
        List<Finish> attention = Collections.nCopies(3, Finish.STORE_BF16);
        for (Numbers numbers : Numbers.values()) {
            for (int tokens : new int[] {1, 13, 30, 60, 90}) {
                // z, xBC and dt of one matrix; borders inside a tile of 16 columns and at its edge
                check.verify(LinearCase.of(numbers, tokens, 1, 96).withParts(List.of(48, 72, 9), mamba).asRanges());
                // queries, keys and values of three matrices with three scales
                check.verify(LinearCase.of(numbers, tokens, 1, 96).withParts(List.of(37, 5, 6), attention));
                check.verify(LinearCase.of(numbers, tokens, 1, 96).withParts(List.of(130, 1),
                        List.of(Finish.SQUARED_RELU_E4M3, Finish.ADD_F32)));
            }
        }
    }

    @Test
    void activationsOfTwoBf16Values() {
        for (Numbers numbers : List.of(Numbers.BF16, Numbers.E4M3_BF16, Numbers.NVFP4)) {
            for (int tokens : new int[] {1, 8, 14, 31, 61, 100}) {
                check.verify(LinearCase.of(numbers, tokens, 40, inputs(numbers)).withLow().seeded(tokens));
            }
        }
    }

    @Test
    void tokensTakeRowsByAnIndexAndPaddedOnesNothing() {
        for (Numbers numbers : Numbers.values()) {
            for (int tokens : new int[] {1, 2, 8, 16, 32, 64, 128, 130}) {
                for (long seed = 0; seed < 3; seed++) {
                    check.verify(LinearCase.of(numbers, tokens, 33, 96).withScatteredRows().seeded(seed));
                }
                check.verify(LinearCase.of(numbers, tokens, 33, 96).withScatteredRows().finishing(Finish.ADD_F32));
            }
        }
    }

    /// Row -1 of a matrix this wide begins in front of what the check puts before the activations.
    @Test
    void noRowInFrontOfTheActivationsIsRead() {
        for (Numbers numbers : Numbers.values()) {
            for (int tokens : new int[] {7, 16, 40}) {
                for (long seed = 0; seed < 2; seed++) {
                    LinearCase shape = LinearCase.of(numbers, tokens, 33, 640).withScatteredRows().seeded(seed);
                    check.verify(numbers.sourceBits() == 16 ? shape.withLow() : shape);
                }
            }
        }
    }

    @Test
    void subnormalScales() {
        for (Numbers numbers : Numbers.values()) {
            for (int tokens : new int[] {3, 40}) {
                check.verify(LinearCase.of(numbers, tokens, 20, 64).scaled(0x1.8p-140f));
                check.verify(LinearCase.of(numbers, tokens, 20, 64).scaled(0x1.8p-140f).finishing(Finish.SQUARED_RELU_E4M3));
            }
        }
    }

    @Test
    void e4m3OutputsSaturate() {
        // given values whose squares are far beyond 448
        LinearCase shape = LinearCase.of(Numbers.E4M3, 5, 64, 256).finishing(Finish.SQUARED_RELU_E4M3).scaled(100);
        LinearData data = new LinearData(shape);

        // when they are stored as e4m3
        LinearCheck.Result result = check.run(data, null);

        // then they are 448, or 0 where they were negative
        int largest = 0;
        for (int token = 0; token < 5; token++) {
            for (byte code : LinearCheck.tokenBytes(shape, result, token)) {
                assertThat(code & 0xff).isLessThanOrEqualTo(0x7e);
                largest += code == 0x7e ? 1 : 0;
            }
        }
        assertThat(largest).isGreaterThan(100);
        check.verify(shape);
    }

    @ParameterizedTest
    @EnumSource(Numbers.class)
    void aCapturedProductIsRightAtEveryReplay(Numbers numbers) {
        LinearData data = new LinearData(LinearCase.of(numbers, 60, 40, inputs(numbers)));
        for (LinearPlan plan : List.of(new Skinny(8, 2), new Tiled(32, 2), new Tiled(128, 2))) {
            check.verifyReplays(data, 6, plan);
        }
    }

    @Test
    void aMatrixOfManyColumnsIsOneSegment() {
        int outputs = LinearPlan.OUTPUTS_OF_ONE_SEGMENT;
        check.verify(LinearCase.of(Numbers.BF16, 1, outputs, 40));
        check.verify(LinearCase.of(Numbers.NVFP4, 17, outputs + 3, 32));
    }

    @Test
    void randomSizes() {
        Random random = new Random(emulator.emulator().settings().seed());
        for (int i = 0; i < 150; i++) {
            Numbers numbers = Numbers.values()[random.nextInt(4)];
            int parts = 1 + random.nextInt(3);
            List<Integer> columns = new ArrayList<>();
            List<Finish> finishes = new ArrayList<>();
            for (int part = 0; part < parts; part++) {
                columns.add(1 + random.nextInt(random.nextBoolean() ? 20 : 150));
                finishes.add(Finish.values()[random.nextInt(5)]);
            }
            LinearCase shape = LinearCase.of(numbers, 1 + random.nextInt(random.nextBoolean() ? 20 : 140), 1,
                    numbers.vector() * (1 + random.nextInt(random.nextInt(4) == 0 ? 100 : 20)));
            shape = shape.withParts(columns, finishes).seeded(random.nextLong());
            shape = random.nextBoolean() ? shape.asRanges() : shape;
            shape = random.nextBoolean() ? shape.withScatteredRows() : shape;
            shape = random.nextInt(3) == 0 && numbers.sourceBits() == 16 ? shape.withLow() : shape;
            check.verify(shape);
        }
    }

    // ---- bits -----------------------------------------------------------------------------------------------------------

    /// Every way to compute a product of some tokens, with every number of splits.
    private static List<LinearPlan> plans(LinearCase shape) {
        List<LinearPlan> plans = new ArrayList<>();
        int tiles = Math.ceilDiv(shape.outputs(), 16);
        for (int blocks : new int[] {1, Math.min(2, tiles), tiles}) {
            if (shape.tokens() <= 8) {
                plans.add(new Skinny(8, blocks));
            }
            if (shape.tokens() <= 16) {
                plans.add(new Skinny(16, blocks));
            }
        }
        int segments = LinearPlan.segments(shape.numbers(), shape.outputs(), shape.inputs());
        for (int tokens : new int[] {32, 64, 128}) {
            for (int splits = 1; splits <= segments; splits++) {
                plans.add(new Tiled(tokens, splits));
            }
        }
        return plans;
    }

    @ParameterizedTest
    @EnumSource(Numbers.class)
    void everyPlanGivesTheSameBits(Numbers numbers) {
        // four segments, or three with longer ones; one tile of columns or two; one tile of tokens in Skinny(8) or two in Skinny(16)
        int inputs = numbers == Numbers.NVFP4 ? 2_528 : 1_696;
        LinearCase few = LinearCase.of(numbers, 6, 24, inputs);
        // adding shows a block that finishes a tile though it is not the last one there
        LinearCase more = LinearCase.of(numbers, 11, 150, inputs).withScatteredRows().finishing(Finish.ADD_F32);
        LinearCase low = numbers.sourceBits() == 16 ? few.withLow() : few.withTokens(8);
        for (LinearCase shape : List.of(few, more, low)) {
            LinearData data = new LinearData(shape);
            byte[] first = null;
            for (LinearPlan plan : plans(shape)) {
                LinearCheck.Result result = check.run(data, plan);
                if (first == null) {
                    check.compare(data, result, plan);
                    first = result.after().getFirst();
                }
                assertThat(result.after().getFirst()).as(shape + " by " + plan).isEqualTo(first);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Numbers.class)
    void aTokenHasTheSameBitsAloneAndAmongOthers(Numbers numbers) {
        // given 150 tokens, every one of them the row of a batch
        LinearCase many = LinearCase.of(numbers, 150, 56, inputs(numbers));
        LinearData all = new LinearData(many);
        LinearCheck.Result among = check.run(all, null);

        // when some are computed alone, or in batches of other sizes, at other places
        for (int count : new int[] {1, 5, 8, 16, 30, 64, 65}) {
            int first = 150 - count - 7;
            LinearData some = all.tokens(first, count);
            LinearCheck.Result alone = check.run(some, null);

            // then their bits are the same
            for (int token = 0; token < count; token++) {
                assertThat(LinearCheck.tokenBytes(some.shape, alone, token)).as("token %d of %d", token, count)
                        .isEqualTo(LinearCheck.tokenBytes(many, among, first + token));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Numbers.class)
    void aTokensNanStaysInItsRow(Numbers numbers) {
        for (int tokens : new int[] {2, 9, 20, 40, 70}) {
            LinearCase shape = LinearCase.of(numbers, tokens, 40, 96);
            LinearData data = new LinearData(shape);
            LinearCheck.Result sound = check.run(data, null);
            int bytes = data.x.length / data.sourceRows;
            Arrays.fill(data.x, bytes, 2 * bytes, (byte) 0xff);
            LinearCheck.Result broken = check.run(data, null);
            for (int token = 0; token < tokens; token++) {
                byte[] found = LinearCheck.tokenBytes(shape, broken, token);
                if (token == 1) {
                    assertThat(Float.isNaN(Float.intBitsToFloat(0x7fffffff & (found[3] << 24 | found[2] << 16 | 0xffff)))).isTrue();
                } else {
                    assertThat(found).isEqualTo(LinearCheck.tokenBytes(shape, sound, token));
                }
            }
        }
    }

    @Test
    void thePlainKernelGivesATokenItsBitsWhateverTheOthersAre() {
        LinearData all = new LinearData(LinearCase.of(Numbers.BF16, 20, 30, 77));
        LinearCheck.Result among = check.run(all, null);
        LinearData one = all.tokens(11, 1);
        assertThat(LinearCheck.tokenBytes(one.shape, check.run(one, new Plain()), 0))
                .isEqualTo(LinearCheck.tokenBytes(all.shape, among, 11));
    }

    // ---- refusals -------------------------------------------------------------------------------------------------------

    @Test
    void refusesWhatItCannotMultiply() {
        Linear linear = new Linear(emulator.kernels(), emulator.device().stream(), 0, 0);
        Linear.Weights weights = new Linear.Weights(Numbers.BF16, 4_096, 0, 32, 64, 1);
        Linear.Source source = Linear.Source.of(8_192, 1);
        Linear.Output output = new Linear.Output(16_384, 32, Finish.STORE_F32);

        assertThatThrownBy(() -> linear.multiply(emulator.device().stream(), Linear.Source.of(8_194, 1), weights, output))
                .hasMessageContaining("activations at 0x2002");
        assertThatThrownBy(() -> linear.multiply(emulator.device().stream(), source, List.of())).hasMessageContaining("0 parts");
        assertThatThrownBy(() -> linear.multiply(emulator.device().stream(), source, List.of(new Linear.Part(weights, output),
                new Linear.Part(new Linear.Weights(Numbers.BF16, 4_096, 0, 32, 128, 1), output))))
                .hasMessageContaining("width 64 and BF16 of width 128");
        assertThatThrownBy(() -> linear.multiply(emulator.device().stream(), source.withLow(64),
                new Linear.Weights(Numbers.E4M3, 4_096, 0, 32, 64, 1), output)).hasMessageContaining("no low part");
        assertThatThrownBy(() -> new Linear.Weights(Numbers.NVFP4, 4_096, 4_096, 32, 24, 1)).hasMessageContaining("width 24");
        assertThatThrownBy(() -> new Linear.Weights(Numbers.NVFP4, 4_096, 0, 32, 32, 1)).hasMessageContaining("block scales");
        assertThatThrownBy(() -> weights.columns(30, 3)).hasMessageContaining("columns 30 to 32");
        assertThatThrownBy(() -> new Linear.Output(1, 32, Finish.SQUARED_RELU_E4M3, 0)).hasMessageContaining("scale 0.0");
        assertThatThrownBy(() -> new Linear.Output(1, 32, Finish.STORE_BF16, 2)).hasMessageContaining("scale 2.0");
        assertThatThrownBy(() -> new Linear(emulator.kernels(), emulator.device().stream(), 100, 100))
                .hasMessageContaining("multiple of 256");
    }
}
