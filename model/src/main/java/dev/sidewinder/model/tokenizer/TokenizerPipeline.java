package dev.sidewinder.model.tokenizer;

import static dev.sidewinder.model.tokenizer.TokenizerFile.wrong;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/// Checks that the stages of a `tokenizer.json` are those of a byte-level BPE, because decoding by our own table and
/// encoding piece by piece hold only for them.
final class TokenizerPipeline {
    private static final Set<String> NORMALIZERS = Set.of("NFC", "NFD", "NFKC", "NFKD");
    private static final Set<String> SPLITTERS = Set.of("Split", "Digits", "Punctuation", "UnicodeScripts");

    private TokenizerPipeline() {}

    static void check(ObjectNode root, String name) {
        checkModel(root.path("model"), name);
        for (JsonNode stage : stages(root, "normalizer", "normalizers", name)) {
            requireType(stage, NORMALIZERS, "normalizer", name);
        }
        List<JsonNode> splitters = stages(root, "pre_tokenizer", "pretokenizers", name);
        List<JsonNode> decoders = stages(root, "decoder", "decoders", name);
        requireByteLevel(splitters, "pre_tokenizer", name);
        for (JsonNode stage : splitters.subList(0, splitters.size() - 1)) {
            requireType(stage, SPLITTERS, "pre_tokenizer", name);
        }
        requireByteLevel(decoders, "decoder", name);
        if (decoders.size() > 1) {
            throw wrong(name, "decoder has " + decoders.size() + " stages; a byte-level tokenizer has ByteLevel only");
        }
    }

    private static void checkModel(JsonNode model, String name) {
        if (!model.isObject()) {
            throw wrong(name, "model must be an object");
        }
        // files of the first years carry no type; the lists of a BPE give them away
        String type = model.path("type").asText(model.has("merges") ? "BPE" : "unknown");
        if (!type.equals("BPE")) {
            throw wrong(name, "model is " + type + "; this server reads byte-level BPE");
        }
        for (String field : List.of("continuing_subword_prefix", "end_of_word_suffix")) {
            if (!model.path(field).asText("").isEmpty() && !model.path(field).isNull()) {
                throw wrong(name, "model." + field + " is " + model.path(field) + "; byte-level BPE has none");
            }
        }
        if (model.path("dropout").asDouble(0) != 0) {
            throw wrong(name, "model.dropout is " + model.path("dropout") + "; a text would encode differently each time");
        }
        if (model.path("byte_fallback").asBoolean(false)) {
            throw wrong(name, "model.byte_fallback is true; byte-level BPE spells every byte in its vocabulary");
        }
    }

    /// A stage, or the stages of a sequence; nothing where the field is null or missing.
    private static List<JsonNode> stages(ObjectNode root, String field, String listName, String name) {
        JsonNode node = root.path(field);
        if (node.isNull() || node.isMissingNode()) {
            return List.of();
        }
        if (!node.path("type").asText().equals("Sequence")) {
            return List.of(node);
        }
        List<JsonNode> stages = new ArrayList<>();
        node.path(listName).forEach(stages::add);
        if (!node.path(listName).isArray()) {
            throw wrong(name, field + " is a Sequence without a list \"" + listName + "\"");
        }
        return stages;
    }

    private static void requireType(JsonNode stage, Set<String> known, String field, String name) {
        String type = stage.path("type").asText("without a type");
        if (!known.contains(type)) {
            throw wrong(name, field + " is " + type + "; this server knows "
                    + String.join(", ", known.stream().sorted().toList()));
        }
    }

    private static void requireByteLevel(List<JsonNode> stages, String field, String name) {
        if (stages.isEmpty() || !stages.getLast().path("type").asText().equals("ByteLevel")) {
            String found = stages.isEmpty() ? "missing" : stages.getLast().path("type").asText("without a type");
            throw wrong(name, field + " must end in ByteLevel, found " + found);
        }
    }
}
