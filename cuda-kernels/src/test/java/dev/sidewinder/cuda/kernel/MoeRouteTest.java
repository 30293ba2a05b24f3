package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.MoeRoute.Choosing;
import dev.sidewinder.cuda.kernel.MoeRouteCheck.Case;
import dev.sidewinder.cuda.kernel.MoeRouteCheck.Scores;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class MoeRouteTest {

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private MoeRouteCheck check() {
        return new MoeRouteCheck(emulator.device(), emulator.kernels());
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 64, 65, 127, 128, 129, 200, 257})
    void choosesTheBestExpertsOfEveryRow(int tokens) {
        check().check(Case.of(256, 8, 2, 2, tokens, tokens));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 4, 5, 64, 130})
    void leavesOutPaddedRows(int tokens) {
        check().check(Case.of(256, 8, 2, 1, tokens, 100 + tokens).withPadding());
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 9})
    void takesTheShapesOfPublishedModels(int tokens) {
        check().check(Case.of(2688, 128, 6, 2, tokens, 7));
        check().check(Case.of(2688, 128, 6, 2, tokens, 8).withFloats());
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 5})
    void takesAnyWidthAndNumberOfExperts(int tokens) {
        for (int hidden : new int[] {1, 3, 31, 130, 1021, 1025}) {
            check().check(Case.of(hidden, 5, 3, 1, tokens, hidden));
            check().check(Case.of(hidden, 33, 4, 0, tokens, hidden).withFloats());
        }
        check().check(Case.of(64, 1, 1, 0, tokens, 1));
        check().check(Case.of(64, 512, 32, 2, tokens, 2));
        check().check(Case.of(64, 32, 32, 32, tokens, 3));
    }

    @Test
    void takesTwoRowsOfABlockWhereEightDoNotFit() {
        check().check(Case.of(9000, 8, 2, 1, 5, 4));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 6})
    void keepsTheBestRoutingGroups(int tokens) {
        check().check(Case.of(128, 64, 6, 1, tokens, 1).with(new Choosing(8, 3, true)));
        check().check(Case.of(128, 64, 6, 1, tokens, 2).with(new Choosing(64, 5, true)));
        check().check(Case.of(128, 12, 4, 0, tokens, 3).with(new Choosing(2, 1, false)));
        check().check(Case.of(128, 512, 8, 0, tokens, 4).with(new Choosing(128, 7, true)).withPadding());
    }

    @Test
    void givesTiesToTheLowerIndex() {
        check().check(Case.of(256, 16, 6, 0, 9, 5).with(Scores.TIES));
        check().check(Case.of(256, 128, 6, 0, 3, 6).with(Scores.TIES));
        check().check(Case.of(256, 64, 6, 0, 3, 6).with(Scores.TIES).with(new Choosing(4, 2, true)));
    }

    @Test
    void biasesCountForChoosingOnly() {
        check().check(Case.of(256, 20, 10, 0, 9, 5).with(Scores.EXTREME_BIAS));
        check().check(Case.of(256, 20, 20, 0, 4, 6).with(Scores.EXTREME_BIAS));
        check().check(Case.of(256, 20, 3, 0, 4, 6).with(Scores.SATURATED));
        check().check(Case.of(256, 20, 3, 0, 4, 6).with(new Choosing(1, 1, false)));
    }

    @Test
    void aRowHasTheSameChoiceAloneAndAmongOthers() {
        check().checkInvariance(Case.of(256, 8, 2, 2, 17, 11).withPadding());
        check().checkInvariance(Case.of(130, 40, 5, 0, 6, 12).withFloats());
    }

    @ParameterizedTest
    @ValueSource(ints = {8, 9, 16, 32, 128})
    void cutsTheSlotsOfAUnitIntoTiles(int tileTokens) {
        check().check(Case.of(64, 8, 2, 2, 70, 3).withTiles(tileTokens));
        check().check(Case.of(64, 8, 2, 2, 300, 3).withTiles(tileTokens).withPadding());
    }

    @Test
    void mapsTokensOfEmptyAndFullExperts() {
        ExpertShape shape = new ExpertShape(8, 512, 3, 8, 24);
        Random random = new Random(5);
        for (int tokens : new int[] {1, 31, 32, 33, 127, 128, 129, 1000}) {
            int[] same = new int[3 * tokens];
            int[] skewed = new int[3 * tokens];
            int[] padded = new int[3 * tokens];
            for (int i = 0; i < same.length; i++) {
                same[i] = new int[] {511, 0, 300}[i % 3];
                skewed[i] = i % 3 * 170 + (int) (170 * Math.pow(random.nextDouble(), 5));
                padded[i] = -1;
            }
            check().checkMaps(shape, same, 16);
            check().checkMaps(shape, skewed, 16);
            check().checkMaps(shape, padded, 16);
        }
    }

    @Test
    void boundsTheNumberOfTiles() {
        Random random = new Random(9);
        for (int round = 0; round < 2000; round++) {
            ExpertShape shape = new ExpertShape(8, 1 + random.nextInt(20), 1, 8, 8 * random.nextInt(3));
            int tokens = 1 + random.nextInt(60);
            int tile = 8 + random.nextInt(20);
            int[] counts = new int[shape.experts()];
            for (int token = 0; token < tokens; token++) {
                counts[(int) (counts.length * Math.pow(random.nextDouble(), 3))]++;
            }
            int tiles = shape.parts() * Math.ceilDiv(tokens, tile);
            for (int count : counts) {
                tiles += Math.ceilDiv(count, tile);
            }
            assertThat(shape.tiles(tokens, tile)).as("round %d", round).isGreaterThanOrEqualTo(tiles);
        }
    }

    @Test
    void refusesWhatItCannotDo() {
        assertThatThrownBy(() -> new ExpertShape(8, 513, 1, 8, 0)).hasMessageContaining("at most 512");
        assertThatThrownBy(() -> new ExpertShape(8, 4, 5, 8, 0)).hasMessageContaining("5 of 4 experts");
        assertThatThrownBy(() -> new ExpertShape(8, 64, 33, 8, 0)).hasMessageContaining("33 of 64 experts");
        assertThatThrownBy(() -> new ExpertShape(8, 64, 3, 8, 8 * 33)).hasMessageContaining("more than 32 times as wide");
        assertThatThrownBy(() -> ExpertMaps.bytes(new ExpertShape(8, 4, 2, 8, 0), 1 << 24)).hasMessageContaining("tokens are 1 to");
        assertThatThrownBy(() -> check().check(Case.of(256, 9, 2, 0, 1, 1).with(new Choosing(2, 1, true))))
                .hasMessageContaining("9 experts in 2 routing groups");
        assertThatThrownBy(() -> check().check(Case.of(64, 8, 2, 0, 3, 1).withTiles(7))).hasMessageContaining("tiles of 7 tokens");
        assertThatThrownBy(() -> check().check(Case.of(60_000, 8, 2, 0, 1, 1))).hasMessageContaining("width 60000");
        assertThatThrownBy(() -> new Choosing(2, 3, true)).hasMessageContaining("3 of 2 routing groups");
    }
}
