package dev.sidewinder.model.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Safetensors files, right ones and a corpus of wrong ones. Every wrong one gets an error that names the file.
class SafetensorsFileTest {

    private static final String A = "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}";

    @TempDir
    Path folder;

    @Test
    void mapsTensorsByNameWithTheirBytes() {
        byte[] ramp = new byte[12];
        for (int i = 0; i < ramp.length; i++) {
            ramp[i] = (byte) i;
        }
        Path path = new SafetensorsBytes().put("ramp", DType.BF16, ramp, 2, 3).zeros("none", DType.F32, 0, 7)
                .floats("scalar", new float[] {2.5f}).write(folder.resolve("model.safetensors"));

        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertThat(file.tensors()).extracting(TensorView::name).containsExactly("ramp", "none", "scalar");
            assertThat(file.tensors().get(0).shape()).containsExactly(2L, 3L);
            assertThat(file.tensors().get(0).data().toArray(ValueLayout.JAVA_BYTE)).isEqualTo(ramp);
            assertThat(file.tensors().get(1).data().byteSize()).isZero();
            assertThat(file.tensors().get(2).shape()).isEmpty();
            assertThat(WeightReader.vector(file.tensors().get(2))).containsExactly(2.5f);
            assertThat(file.bytes()).isEqualTo(path.toFile().length());
        }
    }

    @Test
    void closesItsMappingOnce() {
        SafetensorsFile file = SafetensorsFile.open(new SafetensorsBytes().zeros("a", DType.F32, 2)
                .write(folder.resolve("model.safetensors")));
        TensorView tensor = file.tensors().getFirst();
        file.close();

        assertThatThrownBy(() -> WeightReader.vector(tensor)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void readsTheMetadataOfAHeader() {
        Path path = SafetensorsBytes.write(folder.resolve("m"), SafetensorsBytes.file("{\"__metadata__\":{\"format\":\"pt\","
                + "\"note\":\"\\u00e4\"}," + A + "}   ", new byte[8]));

        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            assertThat(file.metadata()).containsEntry("format", "pt").containsEntry("note", "ä");
        }
    }

    /// Each check broken once. The message must say what is wrong, in the words given here.
    static List<Arguments> wrongHeaders() {
        return List.of(
                wrong("header as array", "[" + A.substring(4) + "]", 8, "does not start with '{'"),
                wrong("header of spaces", " ".repeat(64), 8, "does not start with '{'"),
                wrong("empty header", "", 0, "does not start with '{'"),
                wrong("header as number", "17", 0, "does not start with '{'"),
                wrong("unterminated", "{" + A, 8, "not valid JSON"),
                wrong("two documents", "{" + A + "}{}", 8, "goes on behind"),
                wrong("duplicate tensor", "{" + A + "," + A + "}", 8, "Duplicate field 'a'"),
                wrong("duplicate field", "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],"
                        + "\"data_offsets\":[0,8]}}", 8, "Duplicate field 'dtype'"),
                wrong("entry as list", "{\"a\":[]}", 0, "tensor \"a\" to be an object"),
                wrong("entry as null", "{\"a\":null}", 0, "tensor \"a\" to be an object"),
                wrong("unknown field", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", 8,
                        "unknown field \"x\""),
                wrong("no dtype", "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "has no dtype"),
                wrong("no shape", "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "has no shape"),
                wrong("no offsets", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "has no data_offsets"),
                wrong("unknown dtype", entry("F31", "[2]", "[0,8]"), 8, "dtype \"F31\""),
                wrong("dtype as number", "{\"a\":{\"dtype\":32,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype \"32\""),
                wrong("negative dimension", entry("F32", "[-2]", "[0,8]"), 8, "contains \"-2\""),
                wrong("fractional dimension", entry("F32", "[2.0]", "[0,8]"), 8, "contains \"2.0\""),
                wrong("dimension as string", entry("F32", "[\"2\"]", "[0,8]"), 8, "contains \"2\""),
                wrong("nested shape", entry("F32", "[[2]]", "[0,8]"), 8, "contains"),
                wrong("shape as number", entry("F32", "2", "[0,8]"), 8, "to be a list"),
                wrong("dimension of 2^63", entry("F32", "[9223372036854775808]", "[0,8]"), 8, "expected integers from 0"),
                wrong("size overflows", entry("F32", "[4294967296,4294967296]", "[0,8]"), 8, "overflows"),
                wrong("size wraps to the right one", entry("U8", "[4294967297,4294967296,8]", "[0,8]"), 8, "overflows"),
                wrong("size overflows by the type", entry("F32", "[4611686018427387904]", "[0,8]"), 8, "overflows"),
                wrong("nine dimensions", entry("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), 8, "more than 8"),
                wrong("negative offset", entry("F32", "[2]", "[-8,0]"), 8, "contains \"-8\""),
                wrong("swapped offsets", entry("F32", "[2]", "[8,0]"), 8, "begin lies behind end"),
                wrong("one offset", entry("F32", "[2]", "[8]"), 8, "expected [begin, end]"),
                wrong("three offsets", entry("F32", "[2]", "[0,8,8]"), 8, "more than 2"),
                wrong("offset of 2^63", entry("F32", "[2]", "[0,9223372036854775808]"), 8, "expected integers"),
                wrong("offset of 2^63-1", entry("F32", "[2]", "[0,9223372036854775807]"), 8, "truncated"),
                wrong("truncated data", entry("F32", "[2]", "[0,8]"), 7, "truncated"),
                wrong("range too short", entry("F32", "[2]", "[0,4]"), 4, "span 4 bytes"),
                wrong("range too long", entry("F32", "[2]", "[0,12]"), 12, "span 12 bytes"),
                wrong("bytes behind the last tensor", entry("F32", "[2]", "[0,8]"), 9, "last 1 bytes"),
                wrong("hole in front", entry("F32", "[2]", "[4,12]"), 12, "belong to no tensor"),
                wrong("hole between", "{" + A + ",\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[9,10]}}", 10,
                        "bytes 8 to 9"),
                wrong("shared range", "{" + A + ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
                        "overlap"),
                wrong("partial overlap", "{" + A + ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12,
                        "tensors \"a\" and \"b\" overlap"),
                wrong("metadata of numbers", "{\"__metadata__\":{\"n\":1}," + A + "}", 8, "object of strings"),
                wrong("metadata as string", "{\"__metadata__\":\"pt\"," + A + "}", 8, "object of strings"),
                wrong("bare NaN", entry("F32", "[NaN]", "[0,8]"), 8, "not valid JSON"),
                wrong("comment", "{/* */" + A + "}", 8, "not valid JSON"),
                wrong("a number of 100 digits", entry("F32", "[" + "9".repeat(100) + "]", "[0,8]"), 8, "not valid JSON"),
                wrong("a name of 2000 letters", "{" + A.replace("\"a\"", '"' + "n".repeat(2000) + '"') + "}", 8,
                        "not valid JSON"),
                wrong("10,000 open brackets", "{\"a\":" + "[".repeat(10_000), 8, "tensor \"a\" to be an object"),
                wrong("10,000 open objects", "{\"a\":{\"dtype\":" + "{".repeat(10_000), 8, ""));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("wrongHeaders")
    void refusesWrongHeaders(String what, String header, int dataBytes, String expected) {
        Path path = SafetensorsBytes.write(folder.resolve("w.safetensors"),
                SafetensorsBytes.file(header, new byte[dataBytes]));

        assertThatThrownBy(() -> SafetensorsFile.open(path)).isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("w.safetensors: ").hasMessageContaining(expected);
    }

    /// The length prefix against the size of the file: nothing may be allocated by it.
    static List<Arguments> wrongLengths() {
        return List.of(
                Arguments.of("zero bytes", new byte[0], "has 0 bytes"),
                Arguments.of("seven bytes", new byte[7], "has 7 bytes"),
                Arguments.of("eight bytes", new byte[8], "does not start with '{'"),
                Arguments.of("2^64-1", prefix(-1, 100), "header of 18446744073709551615 bytes"),
                Arguments.of("2^64-8, so that 8 + length is 0", prefix(-8, 100), "header of 18446744073709551608 bytes"),
                Arguments.of("2^63", prefix(Long.MIN_VALUE, 100), "header of 9223372036854775808 bytes"),
                Arguments.of("2^63-1", prefix(Long.MAX_VALUE, 100), "only 100 bytes follow"),
                Arguments.of("one too many", prefix(101, 100), "only 100 bytes follow"),
                Arguments.of("big-endian", bigEndian(), "only"));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("wrongLengths")
    void comparesTheLengthOfTheHeaderWithTheFile(String what, byte[] content, String expected) {
        Path path = SafetensorsBytes.write(folder.resolve("w.safetensors"), content);

        assertThatThrownBy(() -> SafetensorsFile.open(path)).isInstanceOf(CheckpointException.class)
                .hasMessageStartingWith("w.safetensors: ").hasMessageContaining(expected);
    }

    @Test
    void refusesHeadersAboveTheLimit() {
        byte[] content = SafetensorsBytes.file("{" + A + "}" + " ".repeat(1000), new byte[8]);
        Path path = SafetensorsBytes.write(folder.resolve("w.safetensors"), content);

        assertThatThrownBy(() -> SafetensorsFile.open(path, 1000)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("at most 1000");
        SafetensorsFile.open(path, 2000).close();
        assertThatThrownBy(() -> SafetensorsFile.open(path, SafetensorsFile.MAX_HEADER_BYTES + 1))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void refusesHeadersThatAreNotUtf8() {
        byte[] overlong = {'{', '"', (byte) 0xC0, (byte) 0xAF, '"', ':', '1', '}'};
        byte[] surrogate = {'{', '"', (byte) 0xED, (byte) 0xA0, (byte) 0x80, '"', ':', '1', '}'};
        byte[] latin1 = {'{', '"', (byte) 0xE4, '"', ':', '1', '}'};
        for (byte[] json : List.of(overlong, surrogate, latin1)) {
            assertThatThrownBy(() -> SafetensorsHeader.parse("w", json, 0)).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("not UTF-8 at byte 2");
        }
        byte[] utf16 = ("{" + A + "}").getBytes(StandardCharsets.UTF_16LE);
        assertThatThrownBy(() -> SafetensorsHeader.parse("w", utf16, 8)).isInstanceOf(CheckpointException.class);
        byte[] bom = ("\uFEFF{" + A + "}").getBytes(StandardCharsets.UTF_8);
        assertThatThrownBy(() -> SafetensorsHeader.parse("w", bom, 8)).isInstanceOf(CheckpointException.class);
    }

    @Test
    @Timeout(value = 20, unit = TimeUnit.SECONDS)
    void refusesWhatIsNoRegularFile() throws Exception {
        Path fifo = folder.resolve("fifo.safetensors");
        assertThat(new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor()).isZero();

        assertThatThrownBy(() -> SafetensorsFile.open(folder)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("is a directory");
        assertThatThrownBy(() -> SafetensorsFile.open(fifo)).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("pipe, socket or device");
        assertThatThrownBy(() -> SafetensorsFile.open(Path.of("/dev/zero"))).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("pipe, socket or device");
        assertThatThrownBy(() -> SafetensorsFile.open(folder.resolve("none"))).isInstanceOf(CheckpointException.class)
                .hasMessageContaining("cannot be read");
    }

    @Test
    void noticesThatAFileChangedBehindItsBack() throws IOException {
        Path path = new SafetensorsBytes().zeros("a", DType.F32, 2).write(folder.resolve("m.safetensors"));

        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            file.checkUnchanged();
            Files.setLastModifiedTime(path, FileTime.fromMillis(1_000_000));
            assertThatThrownBy(file::checkUnchanged).isInstanceOf(CheckpointException.class)
                    .hasMessageContaining("m.safetensors: changed while");
        }
    }

    /// Thousands of damaged headers: each opens, or is refused as a checkpoint; nothing else ever happens.
    @Test
    void survivesRandomDamage() {
        long seed = 20260102;
        var random = new Random(seed);
        var tensors = new SafetensorsBytes();
        for (int i = 0; i < 6; i++) {
            tensors.zeros("layers." + i + ".weight", DType.values()[i], 1 + i, 3);
        }
        byte[] original = tensors.bytes();
        int refused = 0;
        for (int round = 0; round < 20_000; round++) {
            byte[] damaged = damage(original, random);
            try {
                SafetensorsHeader header = parse(damaged);
                checkCoverage(header, damaged.length);
            } catch (CheckpointException expected) {
                refused++;
            } catch (RuntimeException | Error other) {
                throw new AssertionError("seed " + seed + ", round " + round, other);
            }
        }
        assertThat(refused).as("seed %d", seed).isGreaterThan(10_000);
    }

    /// The same through the file system, fewer of them.
    @Test
    void survivesRandomDamageOnDisk() {
        long seed = 20260103;
        var random = new Random(seed);
        byte[] original = new SafetensorsBytes().zeros("a", DType.BF16, 3, 5).zeros("b", DType.F32, 2).bytes();
        for (int round = 0; round < 500; round++) {
            Path path = SafetensorsBytes.write(folder.resolve("w.safetensors"), damage(original, random));
            try (SafetensorsFile file = SafetensorsFile.open(path)) {
                file.tensors().forEach(tensor -> tensor.data().toArray(ValueLayout.JAVA_BYTE));
            } catch (CheckpointException expected) {
                assertThat(expected).as("seed %d, round %d", seed, round).hasMessageStartingWith("w.safetensors: ");
            }
        }
    }

    private static SafetensorsHeader parse(byte[] content) {
        if (content.length < 8) {
            throw new CheckpointException("too short");
        }
        long length = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN).getLong();
        if (length < 0 || length > content.length - 8) {
            throw new CheckpointException("wrong length");
        }
        byte[] json = Arrays.copyOfRange(content, 8, 8 + (int) length);
        return SafetensorsHeader.parse("w.safetensors", json, content.length - 8 - length);
    }

    private static void checkCoverage(SafetensorsHeader header, int fileBytes) {
        long sum = 0;
        for (HeaderEntry entry : header.entries()) {
            assertThat(entry.begin()).isBetween(0L, (long) fileBytes);
            assertThat(entry.end()).isBetween(entry.begin(), (long) fileBytes);
            sum += entry.bytes();
        }
        assertThat(sum).isLessThan(fileBytes);
    }

    /// Flips bits, replaces characters by ones that matter in JSON, cuts, doubles and swaps pieces.
    private static byte[] damage(byte[] original, Random random) {
        byte[] bytes = original.clone();
        String marks = "{}[]\",:0123456789-eE.\\ \u0000ntf";
        for (int i = 0, count = 1 + random.nextInt(3); i < count; i++) {
            int at = random.nextInt(bytes.length);
            switch (random.nextInt(5)) {
                case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
                case 1 -> bytes[at] = (byte) marks.charAt(random.nextInt(marks.length()));
                case 2 -> bytes = Arrays.copyOf(bytes, Math.max(1, at));
                case 3 -> {
                    var doubled = new ArrayList<Byte>();
                    for (byte value : bytes) {
                        doubled.add(value);
                    }
                    int end = Math.min(bytes.length, at + random.nextInt(40));
                    doubled.addAll(at, List.copyOf(doubled.subList(at, end)));
                    byte[] longer = new byte[doubled.size()];
                    for (int j = 0; j < longer.length; j++) {
                        longer[j] = doubled.get(j);
                    }
                    bytes = longer;
                }
                default -> {
                    int other = random.nextInt(bytes.length);
                    byte value = bytes[at];
                    bytes[at] = bytes[other];
                    bytes[other] = value;
                }
            }
        }
        return bytes;
    }

    private static Arguments wrong(String what, String header, int dataBytes, String expected) {
        return Arguments.of(what, header, dataBytes, expected);
    }

    private static String entry(String type, String shape, String offsets) {
        return "{\"a\":{\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}";
    }

    private static byte[] prefix(long length, int follow) {
        return ByteBuffer.allocate(8 + follow).order(ByteOrder.LITTLE_ENDIAN).putLong(length).array();
    }

    private static byte[] bigEndian() {
        byte[] json = ("{" + A + "}").getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(8 + json.length + 8).putLong(json.length).put(json).array();
    }
}
