package dev.sidewinder.server.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class DependenciesTest {

    @Test
    void knowsNoWebFramework() throws IOException {
        try (Stream<Path> files = Files.walk(Path.of("src/main/java/dev/sidewinder/server/api"))) {
            List<Path> sources = files.filter(file -> file.toString().endsWith(".java")).toList();

            assertThat(sources).hasSizeGreaterThan(50);
            for (Path source : sources) {
                assertThat(Files.readString(source)).as("%s", source).doesNotContain("io.quarkus", "io.vertx", "jakarta.",
                        "io.netty", "dev.sidewinder.server.rest", "dev.sidewinder.server.ops");
            }
        }
    }
}
