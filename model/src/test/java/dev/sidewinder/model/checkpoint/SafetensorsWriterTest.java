package dev.sidewinder.model.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.model.checkpoint.Parameter.Kind;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsWriterTest {

    /// One byte more than a window, one piece exactly, one byte, nothing.
    private static final List<StoredTensor> TENSORS = List.of(tensor("large", (32L << 20) + 1), tensor("piece", 1L << 20),
            tensor("byte", 1), tensor("none", 0), tensor("é \"quoted\" \\ name", 17));

    @TempDir
    Path folder;

    @Test
    void writesWhatTheReaderReads() throws IOException {
        Path path = folder.resolve("m.safetensors");
        List<Long> progress = new ArrayList<>();

        long written = SafetensorsWriter.write(path, TENSORS, SafetensorsWriterTest::fill, progress::add);

        assertThat(written).isEqualTo(Files.size(path));
        assertThat(progress.stream().mapToLong(Long::longValue).sum())
                .isEqualTo(TENSORS.stream().mapToLong(StoredTensor::bytes).sum());
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertThat(file.metadata()).containsEntry("format", "pt");
            assertThat(file.tensors()).extracting(TensorView::name)
                    .containsExactlyElementsOf(TENSORS.stream().map(StoredTensor::name).toList());
            for (TensorView tensor : file.tensors()) {
                for (long at = 0; at < tensor.data().byteSize(); at += 4093) {
                    assertThat(tensor.data().get(ValueLayout.JAVA_BYTE, at)).isEqualTo(value(tensor.name(), at));
                }
            }
            // the data section begins on a multiple of 8
            assertThat((Files.size(path) - TENSORS.stream().mapToLong(StoredTensor::bytes).sum()) % 8).isZero();
        }
    }

    @Test
    void leavesNothingBehindWhenItFails() {
        assertThatThrownBy(() -> SafetensorsWriter.write(folder.resolve("m.safetensors"), TENSORS, (tensor, _, _) -> {
            if (tensor.name().equals("byte")) {
                throw new IllegalArgumentException("no such byte");
            }
        }, done -> {})).hasMessageContaining("no such byte");

        assertThat(folder).isEmptyDirectory();
    }

    private static void fill(StoredTensor tensor, long from, MemorySegment into) {
        for (long i = 0; i < into.byteSize(); i++) {
            into.set(ValueLayout.JAVA_BYTE, i, value(tensor.name(), from + i));
        }
    }

    private static byte value(String name, long at) {
        return (byte) (name.length() * 31 + at * 7 + (at >> 8));
    }

    private static StoredTensor tensor(String name, long bytes) {
        return StoredTensor.plain(new Parameter(name, Kind.NORM, List.of(bytes), -1), DType.U8);
    }
}
