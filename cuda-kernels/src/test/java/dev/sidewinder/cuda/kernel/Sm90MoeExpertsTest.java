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

/// The experts' products on warpgroup instructions, with the check of the other ways: what lies between up and down, sums,
/// padded rows with NaN inside, memory that nobody wrote.
class Sm90MoeExpertsTest {

    private static final ExpertShape TINY = new ExpertShape(256, 8, 2, 256, 512);
    /// Rows of neither direction fill tiles of 128, k not steps of 128 bytes, and the shared expert's last piece is narrow.
    private static final ExpertShape RAGGED = new ExpertShape(320, 5, 3, 192, 448);
    /// Whole 16 bytes and nothing more: 272 values, 176, and pieces of 176, 176 and 48.
    private static final ExpertShape ODD = new ExpertShape(272, 5, 3, 176, 400);
    /// A last piece of 48 has one column of tiles where the others have two, of 256 or of 128.
    private static final ExpertShape NARROW = new ExpertShape(128, 3, 1, 320, 368);
    /// k of the published width, 14.5 steps of 128, of which half a step belongs to the next expert.
    private static final ExpertShape NANO = new ExpertShape(256, 3, 1, 1856, 1856);

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private MoeExpertsCheck check() {
        return new MoeExpertsCheck(emulator.device(), emulator.kernels());
    }

    @ParameterizedTest
    @EnumSource(value = ExpertFormat.class, names = {"BF16", "E4M3"})
    void anyNumberOfTokens(ExpertFormat format) {
        for (int tokens : new int[] {1, 2, 31, 64, 65, 127, 128, 129, 200}) {
            check().check(new Case(TINY, format, Routing.SKEWED, false, tokens, tokens), Way.WARPGROUP);
        }
    }

    @ParameterizedTest
    @EnumSource(value = ExpertFormat.class, names = {"BF16", "E4M3"})
    void sizesThatFillNothing(ExpertFormat format) {
        for (ExpertShape shape : new ExpertShape[] {RAGGED, ODD}) {
            check().check(new Case(shape, format, Routing.UNIFORM, false, 3, 11), Way.WARPGROUP);
            check().check(new Case(shape, format, Routing.UNIFORM, true, 70, 12), Way.WARPGROUP);
            check().check(new Case(shape, format, Routing.SKEWED, true, 150, 13), Way.WARPGROUP);
        }
    }

    @ParameterizedTest
    @EnumSource(value = ExpertFormat.class, names = {"BF16", "E4M3"})
    void someExpertsHaveAllTokensAndOthersNone(ExpertFormat format) {
        check().check(new Case(RAGGED, format, Routing.SAME, false, 130, 21), Way.WARPGROUP);
        check().check(new Case(ODD, format, Routing.SAME, true, 67, 22), Way.WARPGROUP);
        check().check(new Case(NARROW, format, Routing.SAME, false, 66, 23), Way.WARPGROUP);
    }

    @ParameterizedTest
    @EnumSource(value = ExpertFormat.class, names = {"BF16", "E4M3"})
    void thePublishedWidth(ExpertFormat format) {
        check().check(new Case(NANO, format, Routing.UNIFORM, false, 6, 31), Way.WARPGROUP);
    }

    @ParameterizedTest
    @EnumSource(value = ExpertFormat.class, names = {"BF16", "E4M3"})
    void worksWithoutASharedExpert(ExpertFormat format) {
        check().check(new Case(new ExpertShape(128, 8, 2, 96, 0), format, Routing.UNIFORM, true, 40, 41), Way.WARPGROUP);
    }

    @ParameterizedTest
    @EnumSource(value = ExpertFormat.class, names = {"BF16", "E4M3"})
    void aTokenHasTheSameBitsAloneAndAmongOthers(ExpertFormat format) {
        check().checkInvariance(new Case(RAGGED, format, Routing.UNIFORM, true, 9, 51), Way.WARPGROUP);
        // tiles of more than 64 rows against tiles of one
        check().checkInvariance(new Case(new ExpertShape(64, 2, 1, 64, 32), format, Routing.SAME, false, 70, 52), Way.WARPGROUP);
    }

    @Test
    void takesALayerByItsSizes() {
        MoeExperts experts = check().launcher();
        ExpertShape nano = new ExpertShape(2688, 128, 6, 1856, 3712);
        assertThat(experts.takesWarpgroups(nano, ExpertFormat.E4M3)).isTrue();
        assertThat(experts.takesWarpgroups(nano, ExpertFormat.BF16)).isTrue();
        assertThat(experts.takesWarpgroups(nano, ExpertFormat.E4M3_BF16)).isFalse();
        assertThat(experts.takesWarpgroups(nano, ExpertFormat.NVFP4)).isFalse();
        assertThat(experts.takesWarpgroups(new ExpertShape(2688, 4, 2, 1852, 0), ExpertFormat.BF16)).isFalse();
        assertThat(experts.takesWarpgroups(new ExpertShape(2692, 4, 2, 1856, 0), ExpertFormat.BF16)).isFalse();
        assertThat(experts.takesWarpgroups(new ExpertShape(2688, 4, 2, 1856, 1864), ExpertFormat.E4M3)).isFalse();
    }

    @Test
    void refusesWhatItCannotDo() {
        Case odd = new Case(new ExpertShape(100, 4, 2, 32, 0), ExpertFormat.BF16, Routing.UNIFORM, false, 2, 1);
        assertThatThrownBy(() -> check().check(odd, Way.WARPGROUP)).hasMessageContaining("not for the way WARPGROUP");
    }
}
