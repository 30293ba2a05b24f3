package dev.sidewinder.server.ops;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.model.Model;
import dev.sidewinder.server.settings.Installation;
import dev.sidewinder.server.settings.ServerConfig;
import dev.sidewinder.server.settings.SettingsException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BackendsTest {

    private static final Path REPOSITORY = Path.of("..").toAbsolutePath().normalize();
    private static final String FP8 = REPOSITORY.resolve("engine/src/test/resources/golden/fp8").toString();
    private static final long MACHINE_BYTES = 1L << 30;

    @TempDir
    Path folder;

    /// A GPU would round the activations by itself, so `auto` does not look for one.
    @ParameterizedTest
    @ValueSource(strings = {"cpu", "auto"})
    void roundsActivationsOfFp8MatricesOnTheCpu(String backend) {
        try (Model model = Model.open(FP8)) {
            PlannedBackend planned = Backends.plan(model, settings("--backend", backend, "--arithmetic", "fp8"), MACHINE_BYTES);

            assertThat(planned.cacheType()).isEqualTo("float32");
            try (var running = planned.build(LoadProgress.SILENT)) {
                assertThat(running.description()).contains("cpu, fp8 arithmetic");
            }
        }
    }

    @Test
    void refusesToRoundActivationsWhereNoMatrixTakesThem() {
        try (Model model = Model.open(REPOSITORY.resolve("models/tiny").toString())) {
            assertThatThrownBy(() -> Backends.plan(model, settings("--backend", "cpu", "--arithmetic", "fp8"), MACHINE_BYTES))
                    .isInstanceOf(SettingsException.class).hasMessageContaining("needs matrices that are stored in FP8");
        }
    }

    private ServerConfig.Engine settings(String... flags) {
        return ServerConfig.read(List.of(flags), Map.of(), folder, new Installation(REPOSITORY)).engine();
    }
}
