package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.MoeExperts.Way;
import dev.sidewinder.cuda.kernel.MoeExpertsCheck.Case;
import dev.sidewinder.cuda.kernel.MoeExpertsCheck.Routing;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class MoeExpertsTest {

    private static final ExpertShape TINY = new ExpertShape(256, 8, 2, 256, 512);
    /// Neither rows nor k fill whole tiles: 192 is one and a half tiles of 128, 320 values are two and a half steps of 128.
    private static final ExpertShape RAGGED = new ExpertShape(320, 5, 3, 192, 448);
    private static final ExpertShape NANO = new ExpertShape(2688, 2, 1, 1856, 1856);

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private MoeExpertsCheck check() {
        return new MoeExpertsCheck(emulator.device(), emulator.kernels());
    }

    @ParameterizedTest
    @EnumSource(ExpertFormat.class)
    void streamsTheWeightsOfAFewTokens(ExpertFormat format) {
        for (int tokens : new int[] {1, 2, 3, 7, 8}) {
            check().check(new Case(TINY, format, Routing.UNIFORM, false, tokens, tokens), Way.STREAM);
        }
        check().check(new Case(RAGGED, format, Routing.SAME, false, 8, 21), Way.STREAM);
        check().check(new Case(RAGGED, format, Routing.SKEWED, true, 7, 22), Way.STREAM);
    }

    @ParameterizedTest
    @EnumSource(ExpertFormat.class)
    void groupsTokensInTilesOf16(ExpertFormat format) {
        for (int tokens : new int[] {1, 9, 16, 17}) {
            check().check(new Case(TINY, format, Routing.UNIFORM, false, tokens, tokens), Way.TILE16);
        }
        check().check(new Case(RAGGED, format, Routing.SKEWED, true, 65, 31), Way.TILE16);
    }

    @ParameterizedTest
    @EnumSource(ExpertFormat.class)
    void groupsTokensInTilesOf32(ExpertFormat format) {
        check().check(new Case(TINY, format, Routing.UNIFORM, false, 64, 41), Way.TILE32);
        check().check(new Case(RAGGED, format, Routing.SAME, true, 65, 42), Way.TILE32);
        check().check(new Case(RAGGED, format, Routing.SKEWED, false, 3, 43), Way.TILE32);
    }

    @ParameterizedTest
    @EnumSource(ExpertFormat.class)
    void groupsTokensInTilesOf128(ExpertFormat format) {
        check().check(new Case(TINY, format, Routing.SKEWED, false, 200, 51), Way.TILE128);
        check().check(new Case(RAGGED, format, Routing.SAME, true, 130, 52), Way.TILE128);
        check().check(new Case(RAGGED, format, Routing.UNIFORM, false, 2, 53), Way.TILE128);
    }

    @ParameterizedTest
    @EnumSource(ExpertFormat.class)
    void takesAnySizeThePlainWay(ExpertFormat format) {
        ExpertShape odd = format == ExpertFormat.NVFP4 ? new ExpertShape(80, 5, 3, 48, 112) : new ExpertShape(101, 5, 3, 37, 50);
        for (int tokens : new int[] {1, 9, 17}) {
            Case odds = new Case(odd, format, Routing.UNIFORM, tokens == 9, tokens, tokens);
            assertThat(check().launcher().way(odd, format, tokens)).isEqualTo(Way.PLAIN);
            check().check(odds, Way.PLAIN);
        }
        check().check(new Case(TINY, format, Routing.SAME, false, 3, 61), Way.PLAIN);
    }

    @ParameterizedTest
    @EnumSource(ExpertFormat.class)
    void worksWithoutASharedExpert(ExpertFormat format) {
        ExpertShape routedOnly = new ExpertShape(256, 8, 2, 128, 0);
        check().check(new Case(routedOnly, format, Routing.UNIFORM, false, 5, 71), Way.STREAM);
        check().check(new Case(routedOnly, format, Routing.UNIFORM, true, 40, 72), Way.TILE16);
        check().check(new Case(routedOnly, format, Routing.UNIFORM, true, 6, 73), Way.PLAIN);
    }

    @Test
    void takesThePublishedWidths() {
        check().check(new Case(NANO, ExpertFormat.E4M3, Routing.UNIFORM, false, 2, 81), Way.STREAM);
        check().check(new Case(NANO, ExpertFormat.NVFP4, Routing.UNIFORM, false, 1, 82), Way.TILE16);
        check().check(new Case(NANO, ExpertFormat.BF16, Routing.UNIFORM, false, 1, 83), Way.TILE128);
    }

    @ParameterizedTest
    @EnumSource(ExpertFormat.class)
    void aTokenHasTheSameBitsAloneAndAmongOthersAndEveryWay(ExpertFormat format) {
        check().checkInvariance(new Case(TINY, format, Routing.SKEWED, false, 8, 91), Way.STREAM, Way.TILE16, Way.TILE32, Way.TILE128);
        check().checkInvariance(new Case(RAGGED, format, Routing.UNIFORM, true, 20, 92), Way.TILE16, Way.TILE32, Way.TILE128);
        check().checkInvariance(new Case(RAGGED, format, Routing.UNIFORM, false, 5, 93), Way.PLAIN);
    }

    @Test
    void padsWholeBatches() {
        ExpertShape shape = new ExpertShape(256, 8, 2, 128, 128);
        for (Way way : Way.values()) {
            check().checkAllPadding(new Case(shape, ExpertFormat.BF16, Routing.UNIFORM, false, 4, 1), way);
        }
    }

    @Test
    void choosesTheWayBySize() {
        MoeExperts experts = check().launcher();
        ExpertShape nano = new ExpertShape(2688, 128, 6, 1856, 3712);
        assertThat(experts.way(nano, ExpertFormat.E4M3, 1)).isEqualTo(Way.STREAM);
        assertThat(experts.way(nano, ExpertFormat.E4M3, 8)).isEqualTo(Way.STREAM);
        assertThat(experts.way(nano, ExpertFormat.E4M3, 9)).isEqualTo(Way.TILE16);
        assertThat(experts.way(nano, ExpertFormat.E4M3, 106)).isEqualTo(Way.TILE16);
        assertThat(experts.way(nano, ExpertFormat.E4M3, 107)).isEqualTo(Way.TILE32);
        assertThat(experts.way(nano, ExpertFormat.E4M3, 512)).isEqualTo(Way.TILE32);
        assertThat(experts.way(nano, ExpertFormat.NVFP4, 8192)).isEqualTo(Way.TILE128);
        // Wider than shared memory: no streaming, but tiles.
        assertThat(experts.way(new ExpertShape(32_768, 128, 6, 1856, 0), ExpertFormat.BF16, 1)).isEqualTo(Way.TILE16);
        assertThat(experts.way(new ExpertShape(96, 8, 2, 96, 192), ExpertFormat.BF16, 1)).isEqualTo(Way.STREAM);
        assertThat(experts.way(new ExpertShape(96, 8, 2, 96, 192), ExpertFormat.E4M3, 1)).isEqualTo(Way.PLAIN);
        assertThat(experts.way(new ExpertShape(128, 8, 2, 64, 100), ExpertFormat.BF16, 1)).isEqualTo(Way.PLAIN);
    }

    @Test
    void refusesWhatItCannotDo() {
        Case nine = new Case(TINY, ExpertFormat.BF16, Routing.UNIFORM, false, 9, 1);
        assertThatThrownBy(() -> check().check(nine, Way.STREAM)).hasMessageContaining("9 tokens of width 256");
        Case odd = new Case(new ExpertShape(100, 4, 2, 32, 0), ExpertFormat.BF16, Routing.UNIFORM, false, 2, 1);
        assertThatThrownBy(() -> check().check(odd, Way.TILE16)).hasMessageContaining("not for the way TILE16");
        assertThatThrownBy(() -> check().launcher().way(new ExpertShape(100, 4, 2, 32, 0), ExpertFormat.NVFP4, 1))
                .hasMessageContaining("one scale for 16 values");
        MoeExperts.Matrices nothing = MoeExperts.Matrices.bf16(0, 0, 0);
        MoeExperts.Activations io = new MoeExperts.Activations(256, 256, 256, 256, 0, 0);
        ExpertMaps maps = new ExpertMaps(TINY, 2, 256);
        assertThatThrownBy(() -> check().launcher().run(emulator.device().stream(), Way.STREAM, maps, 2,
                new MoeExperts.Weights(ExpertFormat.BF16, nothing, nothing), io, 1)).hasMessage("up has no routed weights");
        assertThatThrownBy(() -> new MoeExperts.Activations(256, 256, 256, 0, 0, 0)).hasMessageContaining("sum goes nowhere");
        assertThatThrownBy(() -> new MoeExperts.Activations(8, 256, 256, 1, 0, 0)).hasMessageContaining("multiples of 16");
    }
}
