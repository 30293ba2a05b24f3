package dev.sidewinder.server.settings;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class SettingsDocumentTest {

    private static final Path DOCUMENT = Path.of("../docs/settings.md");

    /// To renew the document: `mvn -pl server -am test -Dtest=SettingsDocumentTest -Dsidewinder.renew=true`
    @Test
    void isWhatStandsInTheDocs() throws IOException {
        if (Boolean.getBoolean("sidewinder.renew")) {
            Files.writeString(DOCUMENT, SettingsDocument.markdown());
        }
        assertThat(Files.readString(DOCUMENT)).isEqualTo(SettingsDocument.markdown());
    }

    @Test
    void listsEveryFlagInTheHelp() {
        for (Setting<?> setting : Settings.ALL) {
            assertThat(SettingsDocument.help()).contains(setting.flags()).contains(setting.meaning().replace("`", ""));
        }
    }
}
