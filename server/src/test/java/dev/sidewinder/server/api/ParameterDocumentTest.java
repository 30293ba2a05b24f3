package dev.sidewinder.server.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class ParameterDocumentTest {

    private static final Path DOCUMENT = Path.of("..", "docs", "parameters.md");

    /// With `-Dsidewinder.record=true` the page is written.
    @Test
    void thePageIsWhatTheTableSays() throws IOException {
        String generated = ParameterDocument.markdown();
        if (System.getProperty("sidewinder.record") != null) {
            Files.writeString(DOCUMENT, generated);
        }

        assertThat(Files.readString(DOCUMENT)).isEqualTo(generated);
    }
}
