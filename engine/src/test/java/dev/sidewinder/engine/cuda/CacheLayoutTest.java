package dev.sidewinder.engine.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.model.Model;
import dev.sidewinder.model.config.CacheFootprint;
import dev.sidewinder.model.synthetic.SyntheticModel;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class CacheLayoutTest {

    @ParameterizedTest
    @EnumSource(KvFormat.class)
    void holdsWhatTheModelNeedsAndNothingElseWhereSizesAreRound(KvFormat format) {
        var config = SyntheticModel.parse("synthetic:nano-30b").config();
        CacheLayout layout = CacheLayout.of(config, format);
        CacheFootprint footprint = CacheFootprint.of(config);
        var types = new CacheFootprint.Types(4, 4, format.bytes());

        assertThat(layout.slotBytes()).isEqualTo(footprint.stateBytes(types));
        assertThat(layout.blockBytes()).isEqualTo(128 * footprint.kvBytesPerToken(types));
    }

    @Test
    void givesEveryLayerAPlaceOfItsOwnAtAMultipleOf256() {
        try (Model model = Model.open(EmulatedBackend.ODD)) {
            CacheLayout layout = CacheLayout.of(model.config(), KvFormat.E4M3);

            // layers M*-EM: 6 x 24 x 20 states and 3 x 224 inputs of the convolution in fp32
            assertThat(layout.recurrentOffset()).containsExactly(0, 0, 0, 0, 11_520 + 2_816);
            assertThat(layout.historyOffset()).containsExactly(11_520, 0, 0, 0, 2 * 11_520 + 2_816);
            assertThat(layout.slotBytes()).isEqualTo(2 * (11_520 + 2_816)).isGreaterThanOrEqualTo(2 * 4 * (6 * 24 * 20 + 3 * 224));
            assertThat(layout.blockBytes()).isEqualTo(2 * 2 * 24 * 128);
        }
    }
}
