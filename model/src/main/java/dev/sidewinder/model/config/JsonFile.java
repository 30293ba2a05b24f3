package dev.sidewinder.model.config;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.core.JsonFactory;
import dev.sidewinder.model.checkpoint.CheckpointException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;

/// Reads the JSON files of a checkpoint: strict UTF-8, no duplicate keys, and the bare literals `Infinity`,
/// `-Infinity` and `NaN`, which files of the family contain.
final class JsonFile {

    private static final JsonMapper MAPPER = JsonMapper.builder(JsonFactory.builder()
            .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(64).maxNumberLength(64).build())
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .build())
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    private JsonFile() {}

    /// @param file name for the messages
    static JsonFields parse(String file, byte[] content) {
        String text;
        try {
            text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(content)).toString();
        } catch (CharacterCodingException malformed) {
            throw new CheckpointException(file + ": is not UTF-8 text", malformed);
        }
        try {
            JsonNode document = MAPPER.readTree(text);
            return new JsonFields(file, "", document);
        } catch (JsonProcessingException invalid) {
            throw new CheckpointException(file + ": is not valid JSON: " + invalid.getOriginalMessage() + place(invalid),
                    invalid);
        }
    }

    private static String place(JsonProcessingException invalid) {
        return invalid.getLocation() == null ? ""
                : " (line " + invalid.getLocation().getLineNr() + ", column " + invalid.getLocation().getColumnNr()
                        + ")";
    }
}
