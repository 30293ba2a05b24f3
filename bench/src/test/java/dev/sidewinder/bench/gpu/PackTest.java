package dev.sidewinder.bench.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.model.Model;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

class PackTest {

    private static final int PORTABLE = 1;
    private static final int MACHINE_CODE = 2;

    @TempDir
    Path folder;

    /// An image as nvcc writes it: its header, then so many bytes of its number.
    private static byte[] image(int kind, int architecture, int bytes) {
        ByteBuffer image = ByteBuffer.allocate(64 + bytes).order(ByteOrder.LITTLE_ENDIAN);
        image.putShort(0, (short) kind).putInt(4, 64).putLong(8, bytes).putInt(28, architecture);
        for (int i = 0; i < bytes; i++) {
            image.put(64 + i, (byte) architecture);
        }
        return image.array();
    }

    private static byte[] fatBinary(byte[]... images) {
        int bytes = 0;
        for (byte[] image : images) {
            bytes += image.length;
        }
        ByteBuffer file = ByteBuffer.allocate(16 + bytes).order(ByteOrder.LITTLE_ENDIAN);
        file.putInt(0xBA55ED50).putShort((short) 1).putShort((short) 16).putLong(bytes);
        for (byte[] image : images) {
            file.put(image);
        }
        return file.array();
    }

    @Test
    void takesTheMachineCodeOfOneArchitectureAlone() {
        byte[] wanted = image(MACHINE_CODE, 90, 40);
        byte[] all = fatBinary(image(PORTABLE, 80, 24), image(PORTABLE, 90, 16), image(MACHINE_CODE, 80, 32), wanted,
                image(MACHINE_CODE, 89, 8));

        assertThat(FatBinary.only("linear", all, "90a")).isEqualTo(fatBinary(wanted));
        assertThat(FatBinary.only("linear", all, "89")).isEqualTo(fatBinary(image(MACHINE_CODE, 89, 8)));
    }

    @Test
    void refusesWhatItDoesNotKnow() {
        byte[] good = fatBinary(image(MACHINE_CODE, 90, 40));
        assertThatThrownBy(() -> FatBinary.only("linear", good, "80")).hasMessage("linear has no machine code for 80");
        assertThatThrownBy(() -> FatBinary.only("linear", good, "sm_90")).hasMessageContaining("\"sm_90\"");
        byte[] cut = java.util.Arrays.copyOf(good, good.length - 1);
        assertThatThrownBy(() -> FatBinary.only("linear", cut, "90")).hasMessageContaining("no fat binary");
        byte[] elf = {0x7f, 'E', 'L', 'F'};
        assertThatThrownBy(() -> FatBinary.only("linear", elf, "90")).hasMessageContaining("no fat binary");
        byte[] lying = good.clone();
        ByteBuffer.wrap(lying).order(ByteOrder.LITTLE_ENDIAN).putLong(16 + 8, 1L << 40);
        assertThatThrownBy(() -> FatBinary.only("linear", lying, "90")).hasMessageContaining("an image at 16");
    }

    @Test
    void leavesOutOfJarsWhatNoDeviceNeeds() throws IOException {
        // given a jar with kernels, JCuda's compiler and the emulator
        Path jar = folder.resolve("a.jar");
        byte[] wanted = image(MACHINE_CODE, 90, 40);
        try (OutputStream file = Files.newOutputStream(jar); ZipOutputStream zip = new ZipOutputStream(file)) {
            put(zip, "x/linear.fatbin", fatBinary(image(PORTABLE, 80, 24), wanted));
            put(zip, "x/Linear.class", new byte[] {1, 2, 3});
            put(zip, "lib/libJNvPTXCompiler-12.6.0-linux-x86_64.so", new byte[100]);
            put(zip, "lib/libJCudaDriver-12.6.0-linux-x86_64.so", new byte[] {4});
            put(zip, "dev/sidewinder/cuda/emulator/native/libcuda.so.1", new byte[100]);
        }

        // when it is copied for one architecture, and for all
        Path one = folder.resolve("one.jar");
        Path all = folder.resolve("all.jar");
        Pack.copyJar(jar, one, Optional.of("90a"));
        Pack.copyJar(jar, all, Optional.empty());

        // then classes, the driver's binding and the kernels for it are left
        try (ZipFile found = new ZipFile(one.toFile())) {
            assertThat(found.stream().map(ZipEntry::getName)).containsExactlyInAnyOrder("x/linear.fatbin", "x/Linear.class",
                    "lib/libJCudaDriver-12.6.0-linux-x86_64.so");
            assertThat(found.getInputStream(found.getEntry("x/linear.fatbin")).readAllBytes()).isEqualTo(fatBinary(wanted));
            assertThat(found.getInputStream(found.getEntry("x/Linear.class")).readAllBytes()).containsExactly(1, 2, 3);
        }
        try (ZipFile found = new ZipFile(all.toFile())) {
            assertThat(found.getInputStream(found.getEntry("x/linear.fatbin")).readAllBytes())
                    .isEqualTo(fatBinary(image(PORTABLE, 80, 24), wanted));
        }
    }

    private static void put(ZipOutputStream zip, String name, byte[] content) throws IOException {
        zip.putNextEntry(new ZipEntry(name));
        zip.write(content);
        zip.closeEntry();
    }

    @Test
    void overwritesNothing() throws IOException {
        var contents = new Pack.Contents(Optional.empty(), Optional.empty(), "abc");
        Path taken = Files.writeString(folder.resolve("taken.tar.gz"), "something");
        assertThatThrownBy(() -> Pack.make(taken, contents, new PrintStream(new ByteArrayOutputStream())))
                .isInstanceOf(IOException.class).hasMessageContaining("is there already");
        assertThatThrownBy(() -> Pack.make(folder, contents, new PrintStream(new ByteArrayOutputStream())))
                .hasMessageContaining("is there already");
    }

    @Test
    void takesAModelAlongWithoutItsSubfolders() throws IOException {
        Path model = Files.createDirectories(folder.resolve("some/tiny"));
        Files.writeString(model.resolve("config.json"), "{}");
        Files.createDirectories(model.resolve("train"));

        Pack.copyModel(model, folder.resolve("models"));

        assertThat(folder.resolve("models/tiny/config.json")).hasContent("{}");
        assertThat(folder.resolve("models/tiny/train")).doesNotExist();
    }

    /// The recall test encodes text, which needs jars of which nothing of ours names a class.
    @Test
    @Timeout(120)
    void itsJarsAndItsRuntimeAreEnoughForTheTokenizer() throws Exception {
        // given what a pack takes of our class path, and our own classes where they are no jars
        String ours = System.getProperty("java.class.path");
        String classPath = Stream.concat(Pack.jars(ours).stream(),
                        Arrays.stream(ours.split(File.pathSeparator)).map(Path::of).filter(Files::isDirectory))
                .map(Path::toString).collect(Collectors.joining(File.pathSeparator));

        // when a process that has nothing else encodes a word
        Path out = folder.resolve("said");
        Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--limit-modules", Pack.MODULES, "--enable-native-access=ALL-UNNAMED", "-Dslf4j.internal.verbosity=ERROR",
                "-cp", classPath, EncodesAWord.class.getName()).redirectErrorStream(true).redirectOutput(out.toFile()).start();
        int status = process.waitFor();

        // then it comes back
        assertThat(out).hasContent("Hello there");
        assertThat(status).isZero();
    }

    /// Main class of another process.
    static final class EncodesAWord {
        public static void main(String... arguments) {
            try (Model model = Model.open(Path.of("..", "models", "tiny").toString())) {
                Tokenizer tokenizer = model.tokenizer().orElseThrow();
                System.out.println(tokenizer.decode(tokenizer.encode("Hello there", false), false));
            }
        }
    }
}
