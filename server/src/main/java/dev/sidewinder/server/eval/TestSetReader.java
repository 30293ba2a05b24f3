package dev.sidewinder.server.eval;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;

/// Reads test sets: text files with one JSON object a line, packed with gzip or not. Every mistake is told with file and
/// line.
public final class TestSetReader {

    private static final Pattern FILE = Pattern.compile("test.*\\.jsonl(\\.gz)?");

    private final List<TestSet.Source> sources = new ArrayList<>();
    private final List<TestCase> cases = new ArrayList<>();
    private final Map<String, String> places = new HashMap<>();

    private TestSetReader() {}

    /// Reads files, and of folders those named `test*.jsonl` and `test*.jsonl.gz` in the order of their names.
    ///
    /// @throws EvalException when there is no case, two have one id, or a line is not as it should be
    public static TestSet read(List<Path> locations) {
        var reader = new TestSetReader();
        for (Path location : locations) {
            reader.files(location).forEach(reader::add);
        }
        return new TestSet(reader.sources, reader.cases);
    }

    private List<Path> files(Path location) {
        if (!Files.isDirectory(location)) {
            return List.of(location);
        }
        try (Stream<Path> entries = Files.list(location)) {
            List<Path> files = entries.filter(entry -> FILE.matcher(entry.getFileName().toString()).matches())
                    .sorted(Comparator.comparing(TestSetReader::nameWithoutEnd)).toList();
            if (files.isEmpty()) {
                throw new EvalException(location + " holds no test*.jsonl or test*.jsonl.gz");
            }
            return files;
        } catch (IOException e) {
            throw new EvalException(location + " cannot be read: " + e.getMessage());
        }
    }

    /// So that `test.jsonl` comes before `test-long.jsonl`.
    private static String nameWithoutEnd(Path file) {
        String name = file.getFileName().toString();
        return name.substring(0, name.lastIndexOf(".jsonl"));
    }

    private void add(Path file) {
        byte[] stored = bytes(file);
        byte[] text = file.getFileName().toString().endsWith(".gz") ? unpacked(file, stored) : stored;
        int before = cases.size();
        int line = 1;
        for (int from = 0; from < text.length; line++) {
            int end = from;
            while (end < text.length && text[end] != '\n') {
                end++;
            }
            addLine(file + ", line " + line, ByteBuffer.wrap(text, from, end - from));
            from = end + 1;
        }
        if (cases.size() == before) {
            throw new EvalException(file + " holds no test case");
        }
        sources.add(new TestSet.Source(file.toString(), sha256(stored), cases.size() - before));
    }

    private void addLine(String place, ByteBuffer bytes) {
        String line;
        try {
            line = StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
        } catch (CharacterCodingException e) {
            throw new EvalException(place + ": is no UTF-8 text");
        }
        if (line.isBlank()) {
            return;
        }
        TestCase test;
        try {
            test = TestCaseReader.read(line);
        } catch (EvalException e) {
            throw new EvalException(place + ": " + e.getMessage());
        }
        String earlier = places.put(test.id(), place);
        if (earlier != null) {
            throw new EvalException(place + ": the id " + test.id() + " is taken by " + earlier);
        }
        cases.add(test);
    }

    private static byte[] bytes(Path file) {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new EvalException("the test set " + file + " cannot be read"
                    + (Files.exists(file) ? ": " + e.getMessage() : ": there is no such file"));
        }
    }

    private static byte[] unpacked(Path file, byte[] stored) {
        try (var stream = new GZIPInputStream(new ByteArrayInputStream(stored))) {
            return stream.readAllBytes();
        } catch (IOException e) {
            throw new EvalException(file + " is no complete gzip file: " + e.getMessage());
        }
    }

    private static String sha256(byte[] bytes) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }
}
