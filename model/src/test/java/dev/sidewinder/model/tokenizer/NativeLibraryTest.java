package dev.sidewinder.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Starts JVMs of their own, because the library is loaded once in each.
class NativeLibraryTest {
    @TempDir
    Path folder;

    @Test
    void aHomeThatCannotBeWrittenIsNoObstacle() throws Exception {
        // given a home that is no folder, so that nothing can be made in it, even by root
        Path home = Files.createFile(folder.resolve("home"));
        Path temporary = Files.createDirectory(folder.resolve("tmp"));

        String output = encodeInAnotherJvm("-Duser.home=" + home, "-Djava.io.tmpdir=" + temporary);

        assertThat(output).contains("ids [12]");
        // and nothing stays behind
        assertThat(names(temporary)).noneMatch(name -> name.startsWith("sidewinder"));
    }

    @Test
    void theFolderItIsUnpackedInCanBeChosen() throws Exception {
        Path home = Files.createDirectory(folder.resolve("home"));
        Path cache = folder.resolve("cache");

        String output = encodeInAnotherJvm("-Duser.home=" + home, "-DDJL_CACHE_DIR=" + cache);

        assertThat(output).contains("ids [12]");
        assertThat(names(cache)).containsExactly("tokenizers");
        assertThat(names(home)).doesNotContain(".djl.ai");
    }

    @Test
    void aLibraryThatCannotBeLoadedIsNamed() throws Exception {
        // given a chosen folder that cannot be made
        Path cache = Files.createFile(folder.resolve("cache"));

        String output = encodeInAnotherJvm("-DDJL_CACHE_DIR=" + cache);

        assertThat(output).contains("CheckpointException: tokenizer.json: ").contains("cannot be loaded")
                .contains("DJL_CACHE_DIR");
    }

    private String encodeInAnotherJvm(String... options) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.add("--enable-native-access=ALL-UNNAMED");
        command.addAll(List.of(options));
        command.addAll(List.of("-cp", System.getProperty("surefire.test.class.path",
                System.getProperty("java.class.path")), Encode.class.getName(), folder.toString()));
        ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
        builder.environment().keySet().removeAll(List.of("DJL_CACHE_DIR", "ENGINE_CACHE_DIR"));
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).as(output).isTrue();
        return output;
    }

    private static List<String> names(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).toList();
        }
    }

    static final class Encode {
        public static void main(String[] arguments) {
            try (Tokenizer tokenizer = TokenizerFiles.openDemo(Path.of(arguments[0]))) {
                System.out.println("ids " + Arrays.toString(tokenizer.encode("<think>", false)));
            }
        }
    }
}
