package dev.sidewinder.server.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ByteSizeTest {

    @ParameterizedTest
    @CsvSource({"1, 1", "7B, 7", "5GB, 5000000000", "5 gb, 5000000000", "80GiB, 85899345920", "80g, 80000000000",
        "1.5KiB, 1536", "0.5MB, 500000", "2Ti, 2199023255552", "922337203685477580, 922337203685477580"})
    void readsWhatPeopleWrite(String text, long bytes) {
        assertThat(ByteSize.parse(text).bytes()).isEqualTo(bytes);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "GB", "-5GB", "5 apples", "1e9", "0", "0GB", "999999999TB", "5GBGB"})
    void refusesWhatIsNoSize(String text) {
        assertThatThrownBy(() -> ByteSize.parse(text)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("\"" + text + "\"");
    }
}
