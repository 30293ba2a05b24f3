package dev.sidewinder.server.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class LocalServerTest {

    @Test
    void aFailedStartIsTheErrorOfTheLogWhateverCameBehindIt() {
        assertThat(LocalServer.problem(List.of(
                "2026-11-22 04:51:08.154 INFO  listening on http://127.0.0.1:36313, loading m",
                "2026-11-22 04:51:08.161 ERROR cannot load m: m: has no config.json",
                "2026-11-22 04:51:08.200 WARN  Failed to register an accepted channel",
                "\tat io.netty.channel.nio.NioEventLoop.run(NioEventLoop.java:553)")))
                .isEqualTo("cannot load m: m: has no config.json");
    }

    @Test
    void withoutAnErrorTheLastLinesHaveToDo() {
        List<String> log = IntStream.rangeClosed(1, 25).mapToObj(i -> "line " + i).toList();

        assertThat(LocalServer.problem(log)).startsWith("line 6 | line 7").endsWith("line 24 | line 25");
        assertThat(LocalServer.problem(List.of())).isEmpty();
    }
}
