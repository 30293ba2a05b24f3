package dev.sidewinder.server.auth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LiveKeysTest {

    @TempDir
    Path folder;

    private Path file;

    @BeforeEach
    void write() throws IOException {
        file = Files.writeString(folder.resolve("keys"), line("old"));
    }

    private static String line(String key) {
        return "a:inference:" + KeyFileTest.digest(key) + "\n";
    }

    @Test
    void takesOverWhatHasChanged() throws IOException {
        LiveKeys keys = LiveKeys.open(file);
        assertThat(keys.ring().find("old")).isPresent();

        // a change of the same length at the same time of change
        FileTime before = Files.getLastModifiedTime(file);
        Files.writeString(file, line("new"));
        Files.setLastModifiedTime(file, before);
        keys.look();

        assertThat(keys.ring().find("old")).isEmpty();
        assertThat(keys.ring().find("new")).isPresent();
    }

    @Test
    void keepsTheKeysWhenTheFileBecomesUnusableAndGoesOnLooking() throws IOException {
        LiveKeys keys = LiveKeys.open(file);
        KeyRing before = keys.ring();

        for (String unusable : new String[] {"", "# nothing\n", "a:inference", line("new") + "oops\n"}) {
            Files.writeString(file, unusable);
            keys.look();
            keys.look();
            assertThat(keys.ring()).as("after <%s>", unusable).isSameAs(before);
        }
        Files.delete(file);
        keys.look();
        assertThat(keys.ring()).isSameAs(before);

        // and takes what is right again
        Files.writeString(file, line("new"));
        keys.look();
        assertThat(keys.ring().find("new")).isPresent();
        assertThat(keys.ring().find("old")).isEmpty();
    }

    @Test
    void readsThroughALinkThatIsTurnedToAnotherFile() throws IOException {
        // given a file behind two links, as a cluster mounts its secrets
        Path first = Files.createDirectory(folder.resolve("first"));
        Path second = Files.createDirectory(folder.resolve("second"));
        Files.writeString(first.resolve("keys"), line("old"));
        Files.writeString(second.resolve("keys"), line("new"));
        Path data = Files.createSymbolicLink(folder.resolve("data"), first);
        LiveKeys keys = LiveKeys.open(data.resolve("keys"));

        Files.delete(data);
        Files.createSymbolicLink(data, second);
        keys.look();

        assertThat(keys.ring().find("new")).isPresent();
    }

    @Test
    void looksByItselfAndStopsWhenClosed() throws Exception {
        try (LiveKeys keys = LiveKeys.open(file).watched()) {
            Files.writeString(file, line("new"));
            long deadline = System.nanoTime() + 20_000_000_000L;
            while (keys.ring().find("new").isEmpty() && System.nanoTime() < deadline) {
                Thread.sleep(20);
            }
            assertThat(keys.ring().find("new")).isPresent();
        }
    }

    @Test
    void refusesToBeginWithAFileThatCannotBeUsed() throws IOException {
        Files.writeString(file, "a:b\n");
        assertThatThrownBy(() -> LiveKeys.open(file)).isInstanceOf(KeyFileException.class);
    }
}
