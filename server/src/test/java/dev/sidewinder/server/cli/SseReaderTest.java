package dev.sidewinder.server.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.server.cli.SseReader.Event;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SseReaderTest {

    @Test
    void readsEventsOneByOne() throws IOException {
        assertThat(read("data: one\n\ndata: two\n\n")).containsExactly(message("one"), message("two"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"\n", "\r\n", "\r"})
    void takesEveryKindOfLineEnd(String end) throws IOException {
        assertThat(read(("data: one%n%ndata:two%ndata: three%n%n").replace("%n", end)))
                .containsExactly(message("one"), message("two\nthree"));
    }

    @Test
    void keepsTheTypeOfAnEventAndForgetsItForTheNext() throws IOException {
        assertThat(read("event: error\ndata: {}\n\ndata: after\n\n"))
                .containsExactly(new Event("error", "{}"), message("after"));
    }

    @Test
    void passesOverCommentsUnknownFieldsAndEventsWithoutData() throws IOException {
        assertThat(read(": ping\n\nid: 7\nretry: 10\ndata: x\n\nevent: nothing\n\nfoo\n\n")).containsExactly(message("x"));
    }

    @Test
    void takesOneSpaceOffAndNoMore() throws IOException {
        assertThat(read("data:  two spaces: colon\n\ndata\n\n"))
                .containsExactly(message(" two spaces: colon"), message(""));
    }

    @Test
    void anEventThatIsCutOffIsNone() throws IOException {
        assertThat(read("data: whole\n\ndata: half")).containsExactly(message("whole"));
        assertThat(read("data: whole\n\ndata: half\n")).containsExactly(message("whole"));
        assertThat(read("")).isEmpty();
    }

    @Test
    void aCharacterInTwoPacketsStaysWhole() throws IOException {
        assertThat(read("\ufeffdata: né 蛇 🐍\n\n")).containsExactly(message("né 蛇 🐍"));
    }

    private static Event message(String data) {
        return new Event("message", data);
    }

    /// Reads from a stream that hands out a byte at a time, the smallest packets there are.
    private static List<Event> read(String text) throws IOException {
        var bytes = new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8));
        var trickle = new InputStream() {
            @Override
            public int read() {
                return bytes.read();
            }

            @Override
            public int read(byte[] target, int offset, int length) {
                return bytes.read(target, offset, Math.min(1, length));
            }
        };
        List<Event> events = new ArrayList<>();
        var reader = new SseReader(trickle);
        for (Optional<Event> event = reader.next(); event.isPresent(); event = reader.next()) {
            events.add(event.get());
        }
        return events;
    }
}
