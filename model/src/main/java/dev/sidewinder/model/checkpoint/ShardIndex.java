package dev.sidewinder.model.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SequencedMap;

/// `model.safetensors.index.json`: which shard holds which tensor.
///
/// @param shardOf tensor name to the plain file name of its shard
record ShardIndex(SequencedMap<String, String> shardOf) {

    /// Largest index accepted; Super's, with 165,860 tensors, has about 20 MB.
    static final int MAX_BYTES = 256 << 20;

    private static final JsonFactory JSON = JsonFactory.builder()
            .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(16).maxNumberLength(64)
                    .maxNameLength(1024).maxStringLength(1 << 16).build())
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .build();

    static ShardIndex parse(String file, byte[] content) {
        SequencedMap<String, String> shardOf = new LinkedHashMap<>();
        // one String per shard, not one per tensor
        Map<String, String> shards = new LinkedHashMap<>();
        boolean found = false;
        try (JsonParser parser = JSON.createParser(content)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new CheckpointException(file + ": is no JSON object");
            }
            for (String key = parser.nextFieldName(); key != null; key = parser.nextFieldName()) {
                JsonToken value = parser.nextToken();
                if (!key.equals("weight_map")) {
                    parser.skipChildren();
                    continue;
                }
                found = true;
                if (value != JsonToken.START_OBJECT) {
                    throw new CheckpointException(file + ": \"weight_map\" is no JSON object");
                }
                for (String tensor = parser.nextFieldName(); tensor != null; tensor = parser.nextFieldName()) {
                    if (parser.nextToken() != JsonToken.VALUE_STRING) {
                        throw new CheckpointException(file + ": \"weight_map\" names no file for tensor \"" + tensor
                                + "\"");
                    }
                    String shard = parser.getText();
                    shardOf.put(tensor, shards.computeIfAbsent(shard, name -> name));
                }
            }
            if (parser.nextToken() != null) {
                throw new CheckpointException(file + ": goes on behind its JSON object");
            }
        } catch (JsonProcessingException invalid) {
            throw new CheckpointException(file + ": is not valid JSON: " + invalid.getOriginalMessage(), invalid);
        } catch (IOException impossible) {
            throw new IllegalStateException("reading from memory", impossible);
        }
        if (!found || shardOf.isEmpty()) {
            throw new CheckpointException(file + ": has no tensors in \"weight_map\"");
        }
        return new ShardIndex(shardOf);
    }
}
