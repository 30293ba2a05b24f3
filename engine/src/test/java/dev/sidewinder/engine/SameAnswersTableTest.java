package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/// docs/same-answers.md names tests that are there.
class SameAnswersTableTest {

    private static final Path REPOSITORY = Path.of("").toAbsolutePath().getParent();
    private static final Pattern TEST = Pattern.compile("`(\\w+(?:Test|IT))(?:\\.(\\w+))?`");

    @Test
    void everyTestThatItNamesExists() throws IOException {
        List<MatchResult> named = TEST.matcher(page()).results().toList();
        assertThat(named).hasSizeGreaterThan(10);
        for (MatchResult test : named) {
            String source = source(test.group(1));
            if (test.group(2) != null) {
                assertThat(source).as(test.group()).contains(" " + test.group(2) + "(");
            }
        }
    }

    @Test
    void everyHappeningHasALineAndEveryWayOfAskingAColumn() throws IOException {
        List<String> names = new ArrayList<>(Arrays.stream(Happening.values()).map(Enum::name).toList());
        names.addAll(Arrays.stream(Asking.values()).map(Enum::name).toList());
        assertThat(page()).contains(names.stream().map(name -> "`" + name + "`").toArray(String[]::new));
    }

    private static String page() throws IOException {
        return Files.readString(REPOSITORY.resolve("docs/same-answers.md"));
    }

    private static String source(String test) throws IOException {
        for (String folder : List.of("engine/src/test/java", "kv-cache/src/test/java", "src/test/java")) {
            try (Stream<Path> files = Files.walk(REPOSITORY.resolve(folder))) {
                List<Path> found = files.filter(file -> file.getFileName().toString().equals(test + ".java")).toList();
                if (!found.isEmpty()) {
                    return Files.readString(found.getFirst());
                }
            }
        }
        throw new AssertionError("docs/same-answers.md names " + test + ", and there is no such test");
    }
}
