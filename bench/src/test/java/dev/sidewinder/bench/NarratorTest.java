package dev.sidewinder.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class NarratorTest {

    private static final String ERASE_LINE = "\r\033[K";

    private final ByteArrayOutputStream output = new ByteArrayOutputStream();

    @Test
    void aTerminalHasOneLineThatChangesAndIsGoneInTheEnd() {
        try (Narrator narrator = narrator(true)) {
            narrator.begin("loading");
            narrator.at("50 %");
            narrator.begin("pp512");
        }

        assertThat(output()).isEqualTo(ERASE_LINE + "loading…" + ERASE_LINE + "loading: 50 %" + ERASE_LINE + "pp512…" + ERASE_LINE);
    }

    @Test
    void elsewhereThereIsALineForEachThingThatBegins() {
        try (Narrator narrator = narrator(false)) {
            narrator.begin("loading");
            narrator.at("50 %");
            narrator.begin("pp512");
            narrator.clear();
        }

        assertThat(output().lines()).containsExactly("loading…", "pp512…");
        assertThat(output()).doesNotContain("\033").doesNotContain("\r");
    }

    @Test
    void aMeasurementTellsOfItsRepeats() throws Exception {
        Narrator narrator = narrator(true);
        narrator.begin("pp512");

        Measurement measurement = Measurement.of("pp512", "tok/s", new Measurement.Plan(2, Duration.ZERO, narrator), () -> 1);

        assertThat(measurement.repeats()).isPositive();
        assertThat(output()).contains(ERASE_LINE + "pp512: repeat 1 of 2, waiting for a quiet machine" + ERASE_LINE + "pp512: repeat 1 of 2");
    }

    private Narrator narrator(boolean terminal) {
        return new Narrator(new PrintStream(output, true, StandardCharsets.UTF_8), terminal);
    }

    private String output() {
        return output.toString(StandardCharsets.UTF_8);
    }
}
