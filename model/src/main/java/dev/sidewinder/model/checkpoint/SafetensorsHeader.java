package dev.sidewinder.model.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// The JSON header of a safetensors file, read and checked against the size of its data section.
///
/// Read as a stream: a header with 165,860 tensors takes a fraction of a second and little more memory than its
/// entries. Source: the format description of the safetensors library.
final class SafetensorsHeader {

    private static final int MAX_RANK = 8;
    private static final int MAX_NAME_CHARS = 1024;

    private static final JsonFactory JSON = JsonFactory.builder()
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(4).maxNumberLength(32).maxNameLength(MAX_NAME_CHARS).build())
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .build();

    private final String file;
    private final long dataBytes;
    private final List<HeaderEntry> entries = new ArrayList<>();
    private final Map<String, String> metadata = new HashMap<>();

    private SafetensorsHeader(String file, long dataBytes) {
        this.file = file;
        this.dataBytes = dataBytes;
    }

    /// @param file      name for the messages
    /// @param dataBytes bytes of the file behind the header
    /// @throws CheckpointException when the header is malformed or does not cover the data exactly
    static SafetensorsHeader parse(String file, byte[] json, long dataBytes) {
        var header = new SafetensorsHeader(file, dataBytes);
        header.checkUtf8(json);
        header.read(json);
        header.checkCoverage();
        return header;
    }

    /// In the order of the file's header.
    List<HeaderEntry> entries() {
        return entries;
    }

    Map<String, String> metadata() {
        return metadata;
    }

    /// Jackson guesses the encoding and lets some malformed sequences pass; the format allows UTF-8 only.
    private void checkUtf8(byte[] json) {
        if (json.length == 0 || json[0] != '{') {
            throw refuse("header does not start with '{'; expected a JSON object");
        }
        var decoder = StandardCharsets.UTF_8.newDecoder()
                .onMalformedInput(CodingErrorAction.REPORT).onUnmappableCharacter(CodingErrorAction.REPORT);
        ByteBuffer in = ByteBuffer.wrap(json);
        CharBuffer scratch = CharBuffer.allocate(1 << 14);
        while (true) {
            var result = decoder.decode(in, scratch.clear(), true);
            if (result.isError()) {
                throw refuse("header is not UTF-8 at byte " + in.position());
            }
            if (result.isUnderflow()) {
                return;
            }
        }
    }

    private void read(byte[] json) {
        // a NUL as second byte would make Jackson read UTF-16 or UTF-32; UTF-8 has been checked, so read it as such
        if (json.length > 1 && json[1] == 0) {
            throw refuse("header is not valid JSON: NUL at byte 1");
        }
        try (JsonParser parser = JSON.createParser(json)) {
            expect(parser, parser.nextToken(), JsonToken.START_OBJECT, "a JSON object");
            for (String name = parser.nextFieldName(); name != null; name = parser.nextFieldName()) {
                if (name.equals("__metadata__")) {
                    readMetadata(parser);
                } else {
                    entries.add(readEntry(parser, name));
                }
            }
            expect(parser, parser.currentToken(), JsonToken.END_OBJECT, "the end of the header's object");
            if (parser.nextToken() != null) {
                throw refuse("header goes on behind its JSON object");
            }
        } catch (JsonProcessingException invalid) {
            throw new CheckpointException(file + ": header is not valid JSON: " + invalid.getOriginalMessage(), invalid);
        } catch (IOException impossible) {
            throw new IllegalStateException("reading from memory", impossible);
        }
    }

    private void readMetadata(JsonParser parser) throws IOException {
        expect(parser, parser.nextToken(), JsonToken.START_OBJECT, "\"__metadata__\" to be an object of strings");
        for (String key = parser.nextFieldName(); key != null; key = parser.nextFieldName()) {
            expect(parser, parser.nextToken(), JsonToken.VALUE_STRING, "\"__metadata__\" to be an object of strings");
            metadata.put(key, parser.getText());
        }
    }

    private HeaderEntry readEntry(JsonParser parser, String name) throws IOException {
        DType type = null;
        long[] shape = null;
        long[] offsets = null;
        expect(parser, parser.nextToken(), JsonToken.START_OBJECT, "tensor " + quote(name) + " to be an object");
        for (String key = parser.nextFieldName(); key != null; key = parser.nextFieldName()) {
            JsonToken value = parser.nextToken();
            switch (key) {
                case "dtype" -> type = readType(parser, value, name);
                case "shape" -> shape = readNumbers(parser, value, name, "shape", MAX_RANK);
                case "data_offsets" -> offsets = readNumbers(parser, value, name, "data_offsets", 2);
                default -> throw refuse("tensor " + quote(name) + " has an unknown field " + quote(key)
                        + "; expected dtype, shape and data_offsets");
            }
        }
        if (type == null || shape == null || offsets == null) {
            throw refuse("tensor " + quote(name) + " has no "
                    + (type == null ? "dtype" : shape == null ? "shape" : "data_offsets"));
        }
        return checked(name, type, shape, offsets);
    }

    private DType readType(JsonParser parser, JsonToken value, String name) throws IOException {
        if (value == JsonToken.VALUE_STRING) {
            String text = parser.getText();
            for (DType type : DType.values()) {
                if (type.name().equals(text)) {
                    return type;
                }
            }
        }
        throw refuse("tensor " + quote(name) + " has dtype " + quote(parser.getText()) + "; expected one of "
                + Arrays.toString(DType.values()));
    }

    private long[] readNumbers(JsonParser parser, JsonToken value, String name, String field, int most)
            throws IOException {
        expect(parser, value, JsonToken.START_ARRAY, "\"" + field + "\" of tensor " + quote(name) + " to be a list");
        long[] numbers = new long[most];
        int count = 0;
        for (JsonToken token = parser.nextToken(); token != JsonToken.END_ARRAY; token = parser.nextToken()) {
            if (token != JsonToken.VALUE_NUMBER_INT
                    || parser.getNumberType() == JsonParser.NumberType.BIG_INTEGER || parser.getLongValue() < 0) {
                throw refuse("\"" + field + "\" of tensor " + quote(name) + " contains " + quote(parser.getText())
                        + "; expected integers from 0 to 2^63-1");
            }
            if (count == most) {
                throw refuse("\"" + field + "\" of tensor " + quote(name) + " has more than " + most + " numbers");
            }
            numbers[count++] = parser.getLongValue();
        }
        return Arrays.copyOf(numbers, count);
    }

    private HeaderEntry checked(String name, DType type, long[] shape, long[] offsets) {
        long bytes = type.bytes();
        for (long dim : shape) {
            long high = Math.multiplyHigh(bytes, dim);
            bytes *= dim;
            if (high != 0 || bytes < 0) {
                throw refuse("tensor " + quote(name) + " has shape " + Arrays.toString(shape)
                        + ", whose size overflows");
            }
        }
        if (offsets.length != 2) {
            throw refuse("tensor " + quote(name) + " has data_offsets " + Arrays.toString(offsets)
                    + "; expected [begin, end]");
        }
        if (offsets[0] > offsets[1]) {
            throw refuse("tensor " + quote(name) + " has data_offsets " + Arrays.toString(offsets)
                    + ": begin lies behind end");
        }
        if (offsets[1] > dataBytes) {
            throw refuse("tensor " + quote(name) + " ends at byte " + offsets[1] + " of the data, but the file holds "
                    + dataBytes + " bytes of data: it is truncated or the header is wrong");
        }
        if (offsets[1] - offsets[0] != bytes) {
            throw refuse("tensor " + quote(name) + " is " + type + " " + Arrays.toString(shape) + " (" + bytes
                    + " bytes), but its data_offsets span " + (offsets[1] - offsets[0]) + " bytes");
        }
        return new HeaderEntry(name, type, shape, offsets[0], offsets[1]);
    }

    /// Sorted by place, each tensor begins where the one before it ended, and the last ends with the file.
    private void checkCoverage() {
        var sorted = new ArrayList<>(entries);
        sorted.sort(Comparator.comparingLong(HeaderEntry::begin).thenComparingLong(HeaderEntry::end));
        long covered = 0;
        String before = null;
        for (HeaderEntry entry : sorted) {
            if (entry.begin() < covered) {
                throw refuse("tensors " + quote(before) + " and " + quote(entry.name()) + " overlap: the second begins "
                        + "at byte " + entry.begin() + " of the data, the first ends at " + covered);
            }
            if (entry.begin() > covered) {
                throw refuse("bytes " + covered + " to " + entry.begin() + " of the data, in front of tensor "
                        + quote(entry.name()) + ", belong to no tensor");
            }
            covered = entry.end();
            before = entry.name();
        }
        if (covered != dataBytes) {
            throw refuse("the last " + (dataBytes - covered) + " bytes of the file belong to no tensor");
        }
    }

    private void expect(JsonParser parser, JsonToken found, JsonToken wanted, String expected) throws IOException {
        if (found != wanted) {
            throw refuse("header: expected " + expected + ", found "
                    + (found == null ? "its end" : quote(parser.getText())));
        }
    }

    private CheckpointException refuse(String message) {
        return new CheckpointException(file + ": " + message);
    }

    private static String quote(String text) {
        return '"' + (text.length() <= 160 ? text : text.substring(0, 160) + "…") + '"';
    }
}
