package dev.sidewinder.cuda.device;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

/// Through JCublas to a stand-in for CUDA 13's library, which needs the forwarder. A process loads one cuBLAS, so the other
/// ways to one have processes of their own.
class BlasTest {

    @TempDir
    Path folder;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension(EmulatorSettings.withSeed(0).lazily());

    static Path standIn(int version) {
        try {
            return Path.of(Emulator.class.getResource("native/libcublas.so." + version).toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    private Blas open() {
        return Blas.open(emulator.device(), Optional.of(standIn(13)));
    }

    @Test
    void multipliesWhatLiesRowByRow() {
        try (Blas blas = open()) {
            assertThat(blas.version()).isEqualTo(130_000);
            BlasCheck check = new BlasCheck(emulator.device(), blas);
            int[][] shapes = {{1, 1, 1}, {1, 7, 3}, {7, 1, 3}, {3, 5, 1}, {2, 3, 4}, {9, 65, 33}, {64, 31, 129}};
            for (int[] shape : shapes) {
                for (Blas.Result result : Blas.Result.values()) {
                    check.check(result, shape[0], shape[1], shape[2], shape[0] + 31L * shape[1]);
                }
            }
        }
    }

    @Test
    void worksInACaptureWithoutAllocating() {
        Stream stream = emulator.device().stream();
        try (Blas blas = open(); DeviceBuffer memory = emulator.device().allocate(1024);
                PinnedMemory host = emulator.device().pinned(4)) {
            // given a graph that adds a product of twos (bf16 0x4000) to a sum
            stream.fillWords(memory.at(256), 0x40004000, 64);
            stream.fillWords(memory.at(0), 0, 1);
            try (CudaGraph graph = stream.capture(() -> blas.multiply(stream, new Blas.Product(memory.at(0),
                    Blas.Result.ADDED_TO_F32, memory.at(256), memory.at(384), 1, 1, 8)))) {
                // when it runs three times
                for (int time = 0; time < 3; time++) {
                    graph.launch(stream);
                }
                stream.copyToHost(host.segment(), memory.at(0), 4);
                stream.synchronize();

                // then 8 products of 4 were added three times
                assertThat(host.segment().get(JAVA_FLOAT, 0)).isEqualTo(96);
            }
        }
    }

    @Test
    void refusesWhatCannotBeMeant() {
        assertThatThrownBy(() -> new Blas.Product(256, Blas.Result.F32, 256, 256, 0, 2, 3))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("a product of 0 x 3 by 2 x 3");
        assertThatThrownBy(() -> new Blas.Product(0, Blas.Result.F32, 256, 256, 1, 2, 3))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("y 0x0");
        Blas blas = open();
        blas.close();
        blas.close();
        assertThatThrownBy(() -> blas.multiply(emulator.device().stream(),
                new Blas.Product(256, Blas.Result.F32, 256, 256, 1, 1, 1)))
                .isInstanceOf(IllegalStateException.class).hasMessage("cuBLAS is closed");
    }

    @Test
    void oneProcessHasOneCublas() {
        open().close();
        assertThatThrownBy(() -> Blas.open(emulator.device(), Optional.of(Path.of("/other/libcublas.so.12"))))
                .isInstanceOf(CudaUnavailableException.class)
                .hasMessage("this process has loaded the cuBLAS of " + standIn(13)
                        + " and cannot load another; start another process");
    }

    @Test
    void findsTheSystemsCublasOfCuda12() throws Exception {
        assertThat(probe(12)).containsExactly("cublas 120000", "products are right", "left in the temporary folder: 0");
    }

    @Test
    void findsTheSystemsCublasOfCuda13AndStandsInFrontOfIt() throws Exception {
        assertThat(probe(13)).containsExactly("cublas 130000", "products are right", "left in the temporary folder: 0");
    }

    @Test
    void takesAFileOfCuda12() throws Exception {
        assertThat(ChildProcess.run(folder, Map.of(), BlasProbe.class, folder.toString(), standIn(12).toString()))
                .containsExactly("cublas 120000", "products are right", "left in the temporary folder: 0");
    }

    @Test
    void saysThatAFileDoesNotLoad() throws Exception {
        assertThat(ChildProcess.run(folder, Map.of(), BlasProbe.class, folder.toString(), "/no/such/libcublas.so.12"))
                .containsExactly("unavailable: the cuBLAS library /no/such/libcublas.so.12 does not load; check that the file "
                        + "is there and is for this system", "left in the temporary folder: 0");
    }

    /// A process whose dynamic linker finds the stand-in under its own name.
    private List<String> probe(int version) throws IOException, InterruptedException {
        Path libraries = Files.createDirectory(folder.resolve("libraries"));
        Files.copy(standIn(version), libraries.resolve("libcublas.so." + version));
        return ChildProcess.run(folder, Map.of("LD_LIBRARY_PATH", libraries.toString()), BlasProbe.class, folder.toString());
    }
}
