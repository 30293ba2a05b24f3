package dev.sidewinder.server.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.engine.MemoryPlan;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.server.settings.Installation;
import dev.sidewinder.server.settings.ServerConfig;
import dev.sidewinder.server.settings.SettingsException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class CachePlannerTest {

    /// A state of 4 x (2 x 8 x 4 + (16 + 2 x 4) x 3) = 544 bytes, and blocks of 2 x 2 x 16 x 128 x 2 = 16 KiB in bf16: a frame is a block.
    private static final ModelConfig MODEL = new ModelConfig(32, 100, 1e-5f,
            List.of(new LayerSpec.Mamba(2, 8, 1, 4, 4), new LayerSpec.Attention(4, 2, 16)), 4096, false, 1, List.of(2), -1, 0);

    @Test
    void givesCachesAQuarterOfTheMachineAndSequencesWhatTheModelStates() {
        MemoryPlan plan = CachePlanner.plan(MODEL, engine(), 1L << 34);

        assertThat(plan.maxModelTokens()).isEqualTo(4096);
        assertThat(plan.maxSequences()).isEqualTo(256);
        assertThat(plan.bytes()).isLessThanOrEqualTo(1L << 32);
    }

    @Test
    void leavesRoomForAPieceOfAPromptInEveryStep() {
        assertThat(CachePlanner.plan(MODEL, engine("--max-num-batched-tokens", "256"), 1L << 34).maxSequences()).isEqualTo(128);
        assertThatThrownBy(() -> CachePlanner.plan(MODEL, engine("--max-num-seqs", "385"), 1L << 34))
                .isInstanceOf(SettingsException.class).hasMessageContaining("leaves no room");
    }

    @Test
    void cutsTheLengthToWhatFitsUnlessItWasAskedFor() {
        MemoryPlan plan = CachePlanner.plan(MODEL, engine("--cache-size", "64KiB", "--max-num-seqs", "1"), 0);

        assertThat(plan.maxModelTokens()).isEqualTo(3 * 128);
        assertThatThrownBy(() -> CachePlanner.plan(MODEL,
                engine("--cache-size", "64KiB", "--max-num-seqs", "1", "--max-model-len", "4096"), 0))
                .isInstanceOf(SettingsException.class).hasMessageContaining("raise sidewinder.engine.cache-size");
    }

    @Test
    void saysWhenNothingFits() {
        assertThatThrownBy(() -> CachePlanner.plan(MODEL, engine("--cache-size", "100"), 0))
                .isInstanceOf(SettingsException.class).hasMessageContaining("raise sidewinder.engine.cache-size");
    }

    @Test
    void countsFp32KeysTwice() {
        assertThat(CachePlanner.plan(MODEL, engine("--arithmetic", "f32"), 1L << 34).blockBytes())
                .isEqualTo(2 * CachePlanner.plan(MODEL, engine(), 1L << 34).blockBytes());
    }

    private static ServerConfig.Engine engine(String... flags) {
        return ServerConfig.read(List.of(flags), Map.of(), Path.of("/nowhere"), Installation.here()).engine();
    }
}
