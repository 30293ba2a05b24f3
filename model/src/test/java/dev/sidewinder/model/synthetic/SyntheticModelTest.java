package dev.sidewinder.model.synthetic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.model.Model;
import dev.sidewinder.model.checkpoint.Checkpoint;
import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.ModelFolder;
import dev.sidewinder.model.checkpoint.StoredTensor;
import dev.sidewinder.model.checkpoint.TensorSet;
import dev.sidewinder.model.checkpoint.TensorView;
import dev.sidewinder.model.checkpoint.WeightReader;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class SyntheticModelTest {

    /// Every layer kind, and few weights.
    private static final String SMALL = "synthetic:layers=MME*-,hidden=64,vocab=96,mamba-heads=4,mamba-head-dim=16,"
            + "groups=2,state=16,query-heads=4,kv-heads=2,head-dim=16,dense=80,experts=4,active=2,intermediate=48,shared=32";

    @TempDir
    Path folder;

    static List<String> shapes() {
        return ShapeSpec.names();
    }

    @ParameterizedTest
    @EnumSource(WeightFormat.class)
    void hasTheSameBytesInMemoryAndInAFolder(WeightFormat format) {
        SyntheticModel model = SyntheticModel.parse(SMALL + "?seed=5&format=" + format.name().toLowerCase());
        List<Long> reported = new ArrayList<>();
        long bytes = SyntheticFolder.write(model, folder, SyntheticFolder.DEFAULT_SHARD_BYTES, reported::add);

        try (TensorSet memory = model.tensors(); Checkpoint disk = Checkpoint.open(new ModelFolder(folder))) {
            assertSameTensors(memory, disk);
            assertThat(bytes).isEqualTo(disk.tensors().stream().mapToLong(t -> t.data().byteSize()).sum());
            assertThat(reported.stream().mapToLong(Long::longValue).sum()).isEqualTo(bytes);
        }
        try (Model inMemory = Model.open(SMALL + "?seed=5&format=" + format.name().toLowerCase());
                Model onDisk = Model.open(folder.toString())) {
            assertThat(inMemory.config()).isEqualTo(onDisk.config());
            assertThat(inMemory.fingerprint()).isEqualTo(onDisk.fingerprint());
            assertThat(inMemory.numberFormat()).isEqualTo(format.name().toLowerCase()).isEqualTo(onDisk.numberFormat());
            assertThat(inMemory.synthetic()).isTrue();
            assertThat(onDisk.synthetic()).isFalse();
        }
    }

    @Test
    void cutsLargeCheckpointsIntoShardsWithAnIndex() {
        SyntheticModel model = SyntheticModel.parse(SMALL);
        SyntheticFolder.write(model, folder, 20_000, done -> {});

        assertThat(folder.resolve("model.safetensors")).doesNotExist();
        try (TensorSet memory = model.tensors(); Checkpoint disk = Checkpoint.open(new ModelFolder(folder))) {
            assertThat(disk.files()).hasSizeGreaterThan(5)
                    .allMatch(file -> file.tensors().size() == 1 || file.bytes() < 20_000 + 10_000);
            assertThat(disk.files().getFirst().name()).matches("model-00001-of-000\\d\\d\\.safetensors");
            assertSameTensors(memory, disk);
        }
    }

    @Test
    void makesTheSameNumbersInAnyOrderAndInAnyPieces() {
        // given the tensors of a model, each made whole
        SyntheticModel model = SyntheticModel.parse(SMALL + "?format=nvfp4");
        RandomTensors numbers = model.numbers();
        long seed = 77;
        var random = new Random(seed);
        try (Arena arena = Arena.ofConfined()) {
            for (StoredTensor tensor : model.layout().reversed()) {
                MemorySegment whole = arena.allocate(tensor.bytes());
                numbers.fill(tensor, 0, whole);

                // when it is made again in pieces that end on multiples of 64 bytes
                MemorySegment pieces = arena.allocate(tensor.bytes());
                for (long from = 0; from < tensor.bytes();) {
                    long bytes = Math.min(tensor.bytes() - from, 64L * (1 + random.nextInt(40)));
                    model.numbers().fill(tensor, from, pieces.asSlice(from, bytes));
                    from += bytes;
                }

                // then nothing differs
                assertThat(whole.mismatch(pieces)).as("seed %d, %s", seed, tensor.name()).isEqualTo(-1);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(WeightFormat.class)
    void makesATensorWhenItIsFirstReadAndOnlyThen(WeightFormat format) {
        String location = SMALL + "?seed=5&format=" + format.name().toLowerCase();
        try (var unmade = (SyntheticTensors) SyntheticModel.parse(location).tensors();
                TensorSet made = SyntheticModel.parse(location).tensors()) {
            made.makeAll();

            // when heads are read, nothing is made
            unmade.tensors().forEach(tensor ->
                    assertThat(tensor.content().head(64)).hasSize((int) Math.min(64, tensor.bytes())));
            assertThat(unmade.madeBytes()).isZero();

            // when one is read, it is made, once
            TensorView first = unmade.tensors().iterator().next();
            assertThat(first.data().asSlice(0, 64).toArray(ValueLayout.JAVA_BYTE)).isEqualTo(first.content().head(64));
            assertThat(first.data()).isSameAs(first.data());
            assertThat(unmade.madeBytes()).isEqualTo(first.bytes());

            // and in the end everything is the same as when all was made at once
            assertSameTensors(unmade, made);
        }
        try (Model unmade = Model.openUnmade(location); Model made = Model.open(location)) {
            assertThat(unmade.fingerprint()).isEqualTo(made.fingerprint());
            assertThat(unmade.summary()).isEqualTo(made.summary());
        }
    }

    @Test
    void makesEachTensorOnceWhenManyThreadsReadIt() {
        try (var tensors = (SyntheticTensors) SyntheticModel.parse(SMALL).tensors()) {
            List<TensorView> twice = new ArrayList<>(tensors.tensors());
            twice.addAll(tensors.tensors());
            twice.parallelStream().forEach(TensorView::data);
            tensors.makeAll();
            assertThat(tensors.madeBytes()).isEqualTo(tensors.tensors().stream().mapToLong(TensorView::bytes).sum());
        }
    }

    @Test
    void opensShapesBeyondTheMemoryWhenNobodyReadsThem() {
        try (Model model = Model.openUnmade("synthetic:super-120b-fp8")) {
            assertThat(model.summary().bytes()).isGreaterThan(110_000_000_000L);
            assertThat(model.numberFormat()).isEqualTo("fp8");
        }
    }

    @Test
    void takesTheFormatBehindTheName() {
        SyntheticModel model = SyntheticModel.parse("synthetic:nano-30b-nvfp4,vocab=64?seed=2");
        assertThat(model).isEqualTo(SyntheticModel.parse("synthetic:nano-30b,vocab=64?format=nvfp4&seed=2"));
        assertThat(SyntheticModel.parse("synthetic:demo-fp8?format=fp8"))
                .isEqualTo(SyntheticModel.parse("synthetic:demo?format=fp8"));
        assertThatThrownBy(() -> SyntheticModel.parse("synthetic:demo-fp8?format=bf16"))
                .isInstanceOf(CheckpointException.class).hasMessageContaining("the name says FP8, and the option BF16");
        assertThatThrownBy(() -> SyntheticModel.parse("synthetic:nope-fp8"))
                .isInstanceOf(CheckpointException.class).hasMessageContaining("no shape named \"nope-fp8\"");
    }

    @Test
    void drawsOtherNumbersForAnotherSeedAndAnotherTensor() {
        try (TensorSet zero = SyntheticModel.parse(SMALL).tensors();
                TensorSet one = SyntheticModel.parse(SMALL + "?seed=1").tensors()) {
            Map<Long, String> seen = new HashMap<>();
            for (TensorSet set : List.of(zero, one)) {
                for (TensorView tensor : set.tensors()) {
                    if (tensor.data().byteSize() >= 64) {
                        String other = seen.put(checksum(tensor.data()), tensor.name());
                        assertThat(other).as("same bytes as %s", tensor.name()).isNull();
                    }
                }
            }
        }
    }

    /// Written models are kept and compared over months: these numbers must never change.
    @Test
    void keepsItsNumbersForever() {
        try (TensorSet tensors = SyntheticModel.parse("synthetic:tiny?seed=3").tensors()) {
            CRC32 crc = new CRC32();
            tensors.tensors().forEach(tensor -> crc.update(tensor.data().asByteBuffer()));
            assertThat(crc.getValue()).isEqualTo(2578255977L);
        }
    }

    @Test
    void spreadsItsValuesAsTheRecipeSays() {
        try (TensorSet tensors = SyntheticModel.parse("synthetic:tiny").tensors()) {
            for (TensorView tensor : tensors.tensors()) {
                float[] values = WeightReader.vector(tensor);
                if (tensor.name().endsWith("mixer.in_proj.weight")) {
                    assertMoments(values, 0, 1 / Math.sqrt(256), 0.01);
                } else if (tensor.name().equals("backbone.embeddings.weight")) {
                    assertMoments(values, 0, 0.5, 0.01);
                } else if (tensor.name().endsWith("experts.0.down_proj.weight")) {
                    assertMoments(values, 0, 0.2 / Math.sqrt(128), 0.02);
                } else if (tensor.name().endsWith("conv1d.weight")) {
                    assertMoments(values, 0, 1 / Math.sqrt(12), 0.03);
                    assertWithin(values, -0.5, 0.5);
                } else if (tensor.name().endsWith("A_log")) {
                    assertWithin(values, 0, 2.78);
                } else if (tensor.name().endsWith("dt_bias")) {
                    assertWithin(values, -7, -2.2);
                } else if (tensor.name().endsWith("norm.weight") || tensor.name().endsWith("norm_f.weight")) {
                    assertMoments(values, 1, 0.1, 0.15);
                }
            }
        }
    }

    @Test
    void quantisesTheSameNumbersInEveryFormat() {
        try (Model plain = Model.open(SMALL); Model fp8 = Model.open(SMALL + "?format=fp8");
                Model nvfp4 = Model.open(SMALL + "?format=nvfp4")) {
            // then the experts differ from BF16 by the rounding of their format only
            assertThat(relativeError(expert(plain), expert(fp8))).isBetween(0.01, 0.04);
            assertThat(relativeError(expert(plain), expert(nvfp4))).isBetween(0.05, 0.15);

            // and the first Mamba layer is quantised: attention does not follow it directly
            var first = (LayerWeights.Mamba) fp8.weights().layers().get(0);
            assertThat(first.inProjection()).isInstanceOf(LinearWeight.Fp8.class);
        }
        try (Model model = Model.open(SMALL.replace("MME*-", "MEM*") + "?format=fp8")) {
            var last = (LayerWeights.Mamba) model.weights().layers().get(2);
            assertThat(last.inProjection()).isInstanceOf(LinearWeight.Plain.class);
        }
        try (Model model = Model.open(SMALL.replace("MME*-", "MM*E-") + "?format=fp8")) {
            var first = (LayerWeights.Mamba) model.weights().layers().get(0);
            var beforeAttention = (LayerWeights.Mamba) model.weights().layers().get(1);
            assertThat(first.outProjection()).isInstanceOf(LinearWeight.Fp8.class);
            assertThat(beforeAttention.outProjection()).isInstanceOf(LinearWeight.Plain.class);
        }
    }

    @ParameterizedTest
    @MethodSource("shapes")
    void hasAConfigForEveryNamedShape(String name) {
        var model = new SyntheticModel(ShapeSpec.parse(name), WeightFormat.BF16, 0);

        assertThat(model.config().pattern()).isEqualTo(model.shape().layers());
        assertThat(model.layout()).hasSizeGreaterThan(10);
    }

    @ParameterizedTest
    @ValueSource(strings = {"synthetic:nope", "synthetic:", "synthetic:tiny,hidden", "synthetic:tiny,hidden=",
            "synthetic:tiny,hidden=0", "synthetic:tiny,hidden=-1", "synthetic:tiny,hidden=1e3", "synthetic:tiny,width=3",
            "synthetic:tiny,layers=MXM", "synthetic:tiny,layers=", "synthetic:tiny,hidden=99999999999",
            "synthetic:tiny?format=int4", "synthetic:tiny?seed=x", "synthetic:tiny?seed=1&", "synthetic:tiny?foo=1",
            "synthetic:tiny,kv-heads=3", "synthetic:hidden=40,layers=-?format=nvfp4", "synthetic:tiny,demo"})
    void refusesLocationsItDoesNotUnderstand(String location) {
        assertThatThrownBy(() -> Model.open(location)).isInstanceOf(CheckpointException.class)
                .message().hasSizeGreaterThan(20);
    }

    @Test
    void refusesShapesThatDoNotFitIntoMemory() {
        assertThatThrownBy(() -> Model.open("synthetic:layers=*,vocab=16000000,hidden=1048576"))
                .isInstanceOf(CheckpointException.class).hasMessageContaining("GB of memory");
    }

    @Test
    void doesNotOverwriteACheckpoint() throws Exception {
        Files.writeString(folder.resolve("config.json"), "{}");

        assertThatThrownBy(() -> SyntheticFolder.write(SyntheticModel.parse(SMALL), folder, 1 << 30, done -> {}))
                .isInstanceOf(CheckpointException.class).hasMessageContaining("holds config.json already");
    }

    private static void assertSameTensors(TensorSet memory, TensorSet disk) {
        Map<String, TensorView> found = new HashMap<>();
        disk.tensors().forEach(tensor -> found.put(tensor.name(), tensor));
        assertThat(found).hasSize(memory.tensors().size());
        for (TensorView tensor : memory.tensors()) {
            TensorView other = found.get(tensor.name());
            assertThat(other.type()).isEqualTo(tensor.type());
            assertThat(other.shape()).isEqualTo(tensor.shape());
            assertThat(other.data().mismatch(tensor.data())).as(tensor.name()).isEqualTo(-1);
        }
    }

    private static float[] expert(Model model) {
        var experts = (LayerWeights.Experts) model.weights().layers().get(2);
        LinearWeight up = experts.up().get(1);
        float[] values = new float[up.outputs() * up.inputs()];
        var reader = new WeightReader();
        for (int row = 0; row < up.outputs(); row++) {
            reader.readRow(up, row, values, row * up.inputs());
        }
        return values;
    }

    private static double relativeError(float[] expected, float[] found) {
        double difference = 0;
        double norm = 0;
        for (int i = 0; i < expected.length; i++) {
            difference += Math.pow(expected[i] - found[i], 2);
            norm += Math.pow(expected[i], 2);
        }
        return Math.sqrt(difference / norm);
    }

    private static void assertMoments(float[] values, double mean, double deviation, double tolerance) {
        double sum = 0;
        double squares = 0;
        for (float value : values) {
            sum += value;
            squares += (double) value * value;
        }
        double found = sum / values.length;
        assertThat(found).isBetween(mean - 4 * deviation / Math.sqrt(values.length) - 1e-3,
                mean + 4 * deviation / Math.sqrt(values.length) + 1e-3);
        assertThat(Math.sqrt(squares / values.length - found * found))
                .isBetween(deviation * (1 - tolerance), deviation * (1 + tolerance));
    }

    private static void assertWithin(float[] values, double low, double high) {
        for (float value : values) {
            assertThat((double) value).isBetween(low, high);
        }
    }

    private static long checksum(MemorySegment data) {
        CRC32 crc = new CRC32();
        crc.update(data.asByteBuffer());
        return crc.getValue();
    }
}
