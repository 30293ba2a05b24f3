package dev.sidewinder.engine.cuda;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.TensorView;
import dev.sidewinder.model.synthetic.RandomTensor;
import dev.sidewinder.model.synthetic.SyntheticFolder;
import dev.sidewinder.model.synthetic.SyntheticModel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The host's maker is the reference: its bytes, by way of a checkpoint folder, against those made on the device.
class SyntheticMakerTest {

    /// Every layer kind, the latent width, and sizes that are round in no sense but NVFP4's.
    private static final String ODD = ",layers=MM*-EE,hidden=80,vocab=301,mamba-heads=6,mamba-head-dim=24,groups=2,"
            + "state=20,query-heads=6,kv-heads=2,head-dim=24,dense=112,experts=5,active=2,intermediate=48,shared=144,latent=48";
    /// The 30B shape in small: its shared expert runs with the routed ones.
    private static final String NANO = ",layers=MEM*E,hidden=64,vocab=256,mamba-heads=4,mamba-head-dim=16,groups=2,"
            + "state=64,query-heads=4,kv-heads=2,head-dim=64,experts=4,active=2,intermediate=64,shared=128";

    @TempDir
    Path folder;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension(EmulatorSettings.withSeed(4).lazily());

    @ParameterizedTest
    @CsvSource({"bf16, 0", "fp8, 7", "nvfp4, -3"})
    void makesTheBytesThatTheHostMakes(String format, long seed) {
        for (String shape : List.of(ODD, NANO)) {
            String location = "synthetic:tiny-" + format + shape + "?seed=" + seed;
            Path written = folder.resolve(shape == ODD ? "odd" : "nano");
            SyntheticFolder.write(SyntheticModel.parse(location), written, 1L << 40, _ -> {});
            try (Model onDevice = Model.openUnmade(location); Model onHost = Model.open(written.toString())) {
                byte[] made = placed(onDevice);
                byte[] stored = placed(onHost);
                for (int i = 0; i < stored.length; i++) {
                    if (made[i] != stored[i]) {
                        throw new AssertionError("%s: byte %d of %d is 0x%02x on the device, 0x%02x on the host"
                                .formatted(location, i, stored.length, made[i], stored[i]));
                    }
                }
                assertThat(made).hasSameSizeAs(stored);
            }
        }
    }

    @Test
    void leavesTheHostWithoutMatrices() {
        try (Model model = Model.openUnmade("synthetic:tiny-fp8" + NANO)) {
            placed(model);

            var experts = (LayerWeights.Experts) model.weights().layers().get(1);
            var mamba = (LayerWeights.Mamba) model.weights().layers().get(0);
            assertThat(List.of(model.weights().embeddings(), experts.gate(), experts.norm(), mamba.convWeight(),
                    ((LinearWeight.Plain) model.weights().head()).tensor(),
                    ((LinearWeight.Fp8) mamba.inProjection()).tensor(),
                    ((LinearWeight.Fp8) experts.up().getLast()).tensor())).noneMatch(SyntheticMakerTest::isMade);
            // while decay rates are computed on the host
            assertThat(isMade(mamba.aLog())).isTrue();
        }
    }

    private static boolean isMade(TensorView tensor) {
        return ((RandomTensor) tensor.content()).isMade();
    }

    /// The weights of a model as they lie on the device, zeros between them.
    private byte[] placed(Model model) {
        long bytes = DeviceWeights.bytes(model.config(), model.weights());
        try (DeviceBuffer buffer = emulator.device().allocate(bytes);
                var upload = new WeightUpload(emulator.kernels(), buffer, 1 << 20, (_, _) -> {});
                Arena arena = Arena.ofConfined()) {
            emulator.device().stream().fill(buffer.address(), (byte) 0, bytes);
            new WeightPlacement(model.config(), upload).place(model.weights());
            upload.finish();
            MemorySegment back = arena.allocate(bytes);
            emulator.device().stream().copyToHost(back, buffer.address(), bytes);
            emulator.device().stream().synchronize();
            return back.toArray(ValueLayout.JAVA_BYTE);
        }
    }
}
