package dev.sidewinder.server.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ProgressTest {

    private final ByteArrayOutputStream output = new ByteArrayOutputStream();
    private long nanos = 5;

    @Test
    void aTerminalHasOneLineThatChanges() {
        Progress progress = progress(true);

        progress.bytes(0, 2000);
        progress.bytes(1, 2000);  // too soon
        wait(100);
        progress.bytes(500, 2000);
        wait(900);
        progress.finish("2.00 kB");

        assertThat(output()).isEqualTo("\r\033[Kwriting: 0 %, 0 B of 2.00 kB\r\033[Kwriting: 25 %, 500 B of 2.00 kB"
                + "\r\033[Kwriting: 2.00 kB in 1.0 s\n");
    }

    @Test
    void elsewhereThereIsALineEveryTenSeconds() {
        Progress progress = progress(false);

        for (int second = 0; second < 35; second++) {
            progress.bytes(second * 1_000_000L, 0);
            wait(1000);
        }
        progress.finish("35.0 MB");

        assertThat(output().lines()).containsExactly("writing: 10.0 MB", "writing: 20.0 MB", "writing: 30.0 MB",
                "writing: 35.0 MB in 35.0 s");
        assertThat(output()).doesNotContain("\033").doesNotContain("\r");
    }

    @Test
    void piecesOfWorkAreCounted() {
        Progress progress = progress(true);

        progress.pieces(1, 3, "cases", "1 right");
        progress.pieces(2, 3, "cases", "2 right");  // too soon
        wait(100);
        progress.pieces(3, 3, "cases", "2 right");
        progress.close();

        assertThat(output()).isEqualTo("\r\033[Kwriting: 33 %, 1 of 3 cases, 1 right"
                + "\r\033[Kwriting: 100 %, 3 of 3 cases, 2 right\r\033[K");
    }

    @ParameterizedTest
    @CsvSource({"0, 0 B", "999, 999 B", "1000, 1.00 kB", "9994, 9.99 kB", "9996, 10.0 kB", "99949, 99.9 kB",
        "99960, 100 kB", "999499, 999 kB", "999500, 1.00 MB", "1241275392, 1.24 GB", "31600000000, 31.6 GB",
        "9000000000000000, 9000 TB"})
    void sizesHaveThreeDigits(long bytes, String text) {
        assertThat(Progress.size(bytes)).isEqualTo(text);
    }

    private Progress progress(boolean terminal) {
        return new Progress("writing", new PrintStream(output, true, StandardCharsets.UTF_8), terminal, () -> nanos);
    }

    private void wait(int millis) {
        nanos += TimeUnit.MILLISECONDS.toNanos(millis);
    }

    private String output() {
        return output.toString(StandardCharsets.UTF_8);
    }
}
