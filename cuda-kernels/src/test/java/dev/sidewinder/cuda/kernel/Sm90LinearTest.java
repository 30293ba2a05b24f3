package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.device.DeviceInfo;
import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import dev.sidewinder.cuda.kernel.Sm90Linear.Plan;
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

/// The products of prompts on warpgroup instructions against sums in double precision. What a GPU's tensor cores make of the
/// same descriptors and how they round, only a GPU can tell: `LinearCheck` runs there too.
class Sm90LinearTest {

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private LinearCheck check;
    private Sm90Linear prompts;

    @BeforeEach
    void open() {
        check = new LinearCheck(emulator.device(), emulator.kernels(), 0);
        prompts = Sm90Linear.on(emulator.kernels()).orElseThrow();
    }

    /// Values in 16 bytes: a width is a multiple of it.
    private static int unit(Numbers numbers) {
        return 128 / numbers.weightBits();
    }

    private void verify(LinearCase shape, Plan plan) {
        check.verify(shape, check.by(prompts, plan), plan, LinearCheck.SUM_TOLERANCE);
    }

    private void verify(LinearCase shape) {
        check.verifyPrompt(shape, LinearCheck.SUM_TOLERANCE);
    }

    /// Every width of tiles by one block, by two, and by one for each tile.
    private static List<Plan> plans(LinearCase shape) {
        List<Plan> plans = new ArrayList<>();
        for (int columns : new int[] {64, 128, 256}) {
            int tiles = Math.ceilDiv(shape.outputs(), columns) * Math.ceilDiv(shape.tokens(), 128);
            for (int blocks : new int[] {1, Math.min(2, tiles), tiles}) {
                plans.add(new Plan(columns, false, blocks));
            }
        }
        return plans.stream().distinct().toList();
    }

    @ParameterizedTest
    @EnumSource(value = Numbers.class, names = {"BF16", "E4M3"})
    void anyNumberOfTokens(Numbers numbers) {
        for (int tokens : new int[] {1, 2, 15, 16, 17, 63, 64, 65, 79, 80, 81, 127, 128, 129, 191, 193, 257}) {
            verify(LinearCase.of(numbers, tokens, 72, 17 * unit(numbers)).seeded(tokens));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {64, 128, 256})
    void anyNumberOfColumns(int columns) {
        for (int outputs : new int[] {1, 2, 31, 32, 33, 63, 64, 65, 127, 129, 255, 256, 257, 300}) {
            for (Numbers numbers : List.of(Numbers.BF16, Numbers.E4M3)) {
                // one tile of few tokens, and one of many, whose two warpgroups share the work in another way
                verify(LinearCase.of(numbers, 3, outputs, 6 * unit(numbers)).seeded(outputs), new Plan(columns, false, 1));
                verify(LinearCase.of(numbers, 70, outputs, 6 * unit(numbers)).seeded(outputs + 1), new Plan(columns, false, 2));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(value = Numbers.class, names = {"BF16", "E4M3"})
    void anyWidthOfWholePieces(Numbers numbers) {
        // up to more steps than the ring has stages, twice over
        for (int pieces : new int[] {1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 40, 64, 73, 136}) {
            for (int columns : new int[] {64, 256}) {
                verify(LinearCase.of(numbers, 66, 40, pieces * unit(numbers)).seeded(pieces), new Plan(columns, false, 1));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(value = Numbers.class, names = {"BF16", "E4M3"})
    void aBlockGoesFromTileToTile(Numbers numbers) {
        // more tiles than a group of eight columns has, with tails on both sides
        LinearCase shape = LinearCase.of(numbers, 150, 600, 9 * unit(numbers)).seeded(4);
        for (int blocks : new int[] {1, 3, 7, 20}) {
            verify(shape, new Plan(64, false, blocks));
        }
    }

    @ParameterizedTest
    @EnumSource(Finish.class)
    void everyFinish(Finish finish) {
        for (Numbers numbers : List.of(Numbers.BF16, Numbers.E4M3)) {
            // odd seeds have rows at odd places, even ones such that four values are written at once
            for (long seed = 1; seed <= 2; seed++) {
                verify(LinearCase.of(numbers, 19, 37, 10 * unit(numbers)).finishing(finish).seeded(seed));
                verify(LinearCase.of(numbers, 66, 103, 10 * unit(numbers)).finishing(finish).seeded(seed));
            }
        }
    }

    @Test
    void partsGoToOutputsOfTheirOwn() {
        List<Finish> mamba = List.of(Finish.STORE_BF16, Finish.STORE_F32, Finish.STORE_F32);
        for (Numbers numbers : List.of(Numbers.BF16, Numbers.E4M3)) {
            for (int tokens : new int[] {1, 60, 130}) {
                // z, xBC and dt of one matrix; then queries, keys and values of three with three scales
                verify(LinearCase.of(numbers, tokens, 1, 96).withParts(List.of(48, 72, 9), mamba).asRanges());
                verify(LinearCase.of(numbers, tokens, 1, 96).withParts(List.of(137, 5, 64), Collections.nCopies(3, Finish.STORE_BF16)));
                verify(LinearCase.of(numbers, tokens, 1, 96).withParts(List.of(300, 1), List.of(Finish.SQUARED_RELU_E4M3, Finish.ADD_F32))
                        .seeded(2));
            }
        }
    }

    @Test
    void activationsOfTwoBf16Values() {
        for (int tokens : new int[] {1, 64, 65, 140}) {
            verify(LinearCase.of(Numbers.BF16, tokens, 40, 200).withLow().seeded(tokens));
        }
    }

    @Test
    void sumsThatStayInTheTensorCores() {
        verify(LinearCase.of(Numbers.E4M3, 140, 260, 592), new Plan(256, true, 2));
        verify(LinearCase.of(Numbers.E4M3, 5, 40, 16), new Plan(256, true, 1));
    }

    @ParameterizedTest
    @EnumSource(value = Numbers.class, names = {"BF16", "E4M3"})
    void theWidthsOfTheModels(Numbers numbers) {
        for (int inputs : new int[] {256, 512, 1_856, 2_688, 4_096}) {
            verify(LinearCase.of(numbers, 33, 24, inputs).seeded(inputs));
        }
    }

    @Test
    void subnormalScales() {
        for (Numbers numbers : List.of(Numbers.BF16, Numbers.E4M3)) {
            verify(LinearCase.of(numbers, 40, 20, 64).scaled(0x1.8p-140f));
            verify(LinearCase.of(numbers, 40, 20, 64).scaled(0x1.8p-140f).finishing(Finish.SQUARED_RELU_E4M3));
        }
    }

    @Test
    void randomSizes() {
        Random random = new Random(emulator.emulator().settings().seed());
        for (int i = 0; i < 40; i++) {
            Numbers numbers = random.nextBoolean() ? Numbers.BF16 : Numbers.E4M3;
            int parts = 1 + random.nextInt(3);
            List<Integer> columns = new ArrayList<>();
            List<Finish> finishes = new ArrayList<>();
            for (int part = 0; part < parts; part++) {
                columns.add(1 + random.nextInt(random.nextBoolean() ? 20 : 150));
                finishes.add(Finish.values()[random.nextInt(5)]);
            }
            LinearCase shape = LinearCase.of(numbers, 1 + random.nextInt(random.nextBoolean() ? 70 : 260), 1,
                    unit(numbers) * (1 + random.nextInt(random.nextInt(4) == 0 ? 80 : 20)));
            shape = shape.withParts(columns, finishes).seeded(random.nextLong());
            shape = random.nextBoolean() ? shape.asRanges() : shape;
            shape = numbers == Numbers.BF16 && random.nextInt(3) == 0 ? shape.withLow() : shape;
            verify(shape);
        }
    }

    // ---- bits -----------------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @EnumSource(value = Numbers.class, names = {"BF16", "E4M3"})
    void everyPlanGivesTheSameBits(Numbers numbers) {
        LinearCase many = LinearCase.of(numbers, 130, 260, 30 * unit(numbers)).finishing(Finish.ADD_F32);
        LinearCase few = LinearCase.of(numbers, 20, 150, 30 * unit(numbers));
        LinearCase low = numbers == Numbers.BF16 ? few.withLow() : few.seeded(2);
        for (LinearCase shape : List.of(many, few, low)) {
            LinearData data = new LinearData(shape);
            byte[] first = null;
            for (Plan plan : plans(shape)) {
                byte[] found = check.runBy(check.by(prompts, plan), data).after().getFirst();
                first = first == null ? found : first;
                assertThat(found).as(shape + " by " + plan).isEqualTo(first);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(value = Numbers.class, names = {"BF16", "E4M3"})
    void aTokenHasTheSameBitsAloneAndAmongOthers(Numbers numbers) {
        // given 150 tokens, every one of them the row of a batch
        LinearCase many = LinearCase.of(numbers, 150, 56, 20 * unit(numbers));
        LinearData all = new LinearData(many);
        LinearCheck.Result among = check.runBy(check.by(prompts, null), all);

        // when some are computed alone, or in batches of other sizes, at other places
        for (int count : new int[] {1, 16, 64, 65}) {
            int first = 150 - count - 7;
            LinearData some = all.tokens(first, count);
            LinearCheck.Result alone = check.runBy(check.by(prompts, null), some);

            // then their bits are the same
            for (int token = 0; token < count; token++) {
                assertThat(LinearCheck.tokenBytes(some.shape, alone, token)).as("token %d of %d", token, count)
                        .isEqualTo(LinearCheck.tokenBytes(many, among, first + token));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(value = Numbers.class, names = {"BF16", "E4M3"})
    void aTokensNanStaysInItsRow(Numbers numbers) {
        for (int tokens : new int[] {20, 70}) {
            LinearCase shape = LinearCase.of(numbers, tokens, 40, 96);
            LinearData data = new LinearData(shape);
            LinearCheck.Result sound = check.runBy(check.by(prompts, null), data);
            int bytes = data.x.length / data.sourceRows;
            Arrays.fill(data.x, bytes, 2 * bytes, (byte) 0xff);
            LinearCheck.Result broken = check.runBy(check.by(prompts, null), data);
            for (int token = 0; token < tokens; token++) {
                if (token != 1) {
                    assertThat(LinearCheck.tokenBytes(shape, broken, token)).isEqualTo(LinearCheck.tokenBytes(shape, sound, token));
                }
            }
            assertThat(LinearCheck.tokenBytes(shape, broken, 1)).isNotEqualTo(LinearCheck.tokenBytes(shape, sound, 1));
        }
    }

    // ---- choices ----------------------------------------------------------------------------------------------------------

    private static Plan planned(int tokens, int outputs) {
        DeviceInfo h100 = new DeviceInfo("test", 9, 0, 132, 80L << 30, 227 << 10, 50 << 20, 1_755_000, 2_619_000, 5120, 13_000);
        Linear.Weights weights = new Linear.Weights(Numbers.E4M3, 4_096, 0, outputs, 2_688, 1);
        return Sm90Linear.plan(tokens, List.of(new Linear.Part(weights, new Linear.Output(4_096, outputs, Finish.STORE_F32))), h100);
    }

    @Test
    void tilesAreAsWideAsTheDeviceStaysBusy() {
        assertThat(planned(8_192, 10_304)).isEqualTo(new Plan(256, false, 132));
        assertThat(planned(8_192, 2_688)).isEqualTo(new Plan(256, false, 132));
        assertThat(planned(512, 2_688)).isEqualTo(new Plan(128, false, 84));
        assertThat(planned(1, 2_688)).isEqualTo(new Plan(64, false, 42));
    }

    @Test
    void aBlockFitsTheDevice() {
        for (int columns : new int[] {64, 128, 256}) {
            assertThat(Sm90Linear.sharedBytes(columns)).isLessThanOrEqualTo(227 << 10);
        }
        assertThat(Sm90Linear.sharedBytes(256)).isEqualTo(217_152);
    }

    @Test
    void whatItTakesFollowsFromTheMatrix() {
        Linear.Output output = new Linear.Output(4_096, 64, Finish.STORE_F32);
        for (int tokens : new int[] {1, 10_000}) {
            Linear.Source source = Linear.Source.of(4_096, tokens);
            assertThat(takes(source, new Linear.Weights(Numbers.BF16, 4_096, 0, 64, 40, 1), output)).isTrue();
            assertThat(takes(source, new Linear.Weights(Numbers.E4M3, 4_096, 0, 64, 48, 1), output)).isTrue();
            assertThat(takes(source, new Linear.Weights(Numbers.BF16, 4_096, 0, 64, 36, 1), output)).isFalse();
            assertThat(takes(source, new Linear.Weights(Numbers.E4M3, 4_096, 0, 64, 40, 1), output)).isFalse();
            assertThat(takes(source, new Linear.Weights(Numbers.E4M3_BF16, 4_096, 0, 64, 64, 1), output)).isFalse();
            assertThat(takes(source, new Linear.Weights(Numbers.NVFP4, 4_096, 4_096, 64, 64, 1), output)).isFalse();
            assertThat(takes(source.at(4_096), new Linear.Weights(Numbers.BF16, 4_096, 0, 64, 64, 1), output)).isFalse();
        }
        assertThatThrownBy(() -> prompts.multiply(emulator.device().stream(), Linear.Source.of(4_096, 1),
                List.of(new Linear.Part(new Linear.Weights(Numbers.NVFP4, 4_096, 4_096, 64, 64, 1), output))))
                .hasMessage("a product in NVFP4 of width 64 is not for the warpgroup kernels");
    }

    private boolean takes(Linear.Source source, Linear.Weights weights, Linear.Output output) {
        return prompts.takes(source, List.of(new Linear.Part(weights, output)));
    }
}
