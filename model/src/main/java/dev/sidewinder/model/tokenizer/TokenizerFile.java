package dev.sidewinder.model.tokenizer;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.checkpoint.CheckpointException;
import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// `tokenizer.json`, read strictly and checked: whatever passes is a byte-level BPE without holes or contradictions.
///
/// @param json      the file as it is
/// @param plainJson the same vocabulary and merges without any way to reach an added token
/// @param spellings one per id
/// @param added     the added tokens, by id
record TokenizerFile(String json, String plainJson, String[] spellings, List<AddedToken> added) {
    private static final long LARGEST_BYTES = 256L << 20;

    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    /// @throws CheckpointException naming the file and what is wrong with it
    static TokenizerFile read(Path path) {
        String name = path.getFileName().toString();
        String json = text(path, name);
        if (!(parse(json, name) instanceof ObjectNode root)) {
            throw wrong(name, "is not a JSON object");
        }
        TokenizerPipeline.check(root, name);
        ObjectNode model = (ObjectNode) root.get("model");
        List<AddedToken> added = addedTokens(root, name);
        String[] spellings = spellings(model, added, name);
        checkMerges(model, name);
        return new TokenizerFile(json, plain(root, added), spellings, added);
    }

    private static String text(Path path, String name) {
        try {
            if (!Files.isRegularFile(path)) {
                throw wrong(name, "is missing or not a regular file");
            }
            long bytes = Files.size(path);
            if (bytes > LARGEST_BYTES) {
                throw wrong(name, "has " + bytes + " bytes; at most " + LARGEST_BYTES + " are read");
            }
            return Files.readString(path);
        } catch (CharacterCodingException e) {
            throw wrong(name, "is not UTF-8");
        } catch (IOException e) {
            throw new CheckpointException(name + ": cannot be read", e);
        }
    }

    private static JsonNode parse(String json, String name) {
        try {
            return JSON.readTree(json);
        } catch (JsonProcessingException e) {
            String where = e.getLocation() == null ? "" : " at line " + e.getLocation().getLineNr();
            throw new CheckpointException(name + ": is not strict JSON" + where + ": " + e.getOriginalMessage(), e);
        }
    }

    private static List<AddedToken> addedTokens(ObjectNode root, String name) {
        JsonNode list = root.path("added_tokens");
        if (!list.isArray() && !list.isMissingNode() && !list.isNull()) {
            throw wrong(name, "added_tokens is no list");
        }
        List<AddedToken> tokens = new ArrayList<>();
        Set<String> contents = new HashSet<>();
        for (JsonNode node : list) {
            String at = "added_tokens[" + tokens.size() + "]";
            JsonNode content = node.path("content");
            if (!content.isTextual() || content.textValue().isEmpty() || !wellFormed(content.textValue())) {
                throw wrong(name, at + ".content must be a text that is not empty, found " + content);
            }
            if (!contents.add(content.textValue())) {
                throw wrong(name, at + " repeats the content \"" + content.textValue() + "\"");
            }
            tokens.add(new AddedToken(id(node.path("id"), name, at + ".id"), content.textValue(),
                    flag(node, "special", name, at), flag(node, "lstrip", name, at), flag(node, "rstrip", name, at),
                    flag(node, "single_word", name, at), flag(node, "normalized", name, at)));
        }
        return List.copyOf(tokens);
    }

    private static boolean flag(JsonNode node, String field, String name, String at) {
        JsonNode flag = node.path(field);
        if (!flag.isBoolean()) {
            throw wrong(name, at + "." + field + " must be true or false, found " + flag);
        }
        return flag.booleanValue();
    }

    private static int id(JsonNode node, String name, String what) {
        if (!node.isIntegralNumber() || !node.canConvertToInt() || node.intValue() < 0) {
            throw wrong(name, what + " must be a token id, found " + node);
        }
        return node.intValue();
    }

    /// Entries of vocabulary and added tokens by id, each id exactly once and none left out.
    private static String[] spellings(ObjectNode model, List<AddedToken> added, String name) {
        JsonNode vocabulary = model.path("vocab");
        if (!vocabulary.isObject() || vocabulary.isEmpty()) {
            throw wrong(name, "model.vocab must be an object with an id for each token");
        }
        int extra = (int) added.stream().filter(token -> !vocabulary.has(token.content())).count();
        String[] spellings = new String[vocabulary.size() + extra];
        vocabulary.forEachEntry((spelling, id) -> place(spellings, spelling,
                id(id, name, "model.vocab \"" + spelling + "\""), name));
        for (AddedToken token : added) {
            JsonNode entry = vocabulary.path(token.content());
            if (entry.isMissingNode()) {
                place(spellings, token.content(), token.id(), name);
            } else if (entry.intValue() != token.id()) {
                throw wrong(name, "added token \"" + token.content() + "\" has id " + token.id()
                        + ", model.vocab gives it " + entry.intValue());
            }
        }
        checkBytes(vocabulary, added, name);
        return spellings;
    }

    private static void place(String[] spellings, String spelling, int id, String name) {
        if (spelling.isEmpty()) {
            throw wrong(name, "id " + id + " has an empty spelling");
        }
        if (id >= spellings.length) {
            throw wrong(name, "\"" + spelling + "\" has id " + id + ", but there are " + spellings.length
                    + " tokens: ids must be 0.." + (spellings.length - 1) + " without a gap");
        }
        if (spellings[id] != null) {
            throw wrong(name, "id " + id + " belongs to \"" + spellings[id] + "\" and to \"" + spelling + "\"");
        }
        spellings[id] = spelling;
    }

    private static void checkBytes(JsonNode vocabulary, List<AddedToken> added, String name) {
        BitSet shadowed = new BitSet(256);
        for (AddedToken token : added) {
            byte[] bytes = ByteAlphabet.bytes(token.content());
            if (token.content().length() == 1 && bytes.length == 1) {
                shadowed.set(bytes[0] & 0xFF);
            }
        }
        for (int value = 0; value < 256; value++) {
            String spelling = String.valueOf(ByteAlphabet.character(value));
            if (!vocabulary.has(spelling)) {
                throw wrong(name, "model.vocab has no entry \"" + spelling + "\" for byte 0x"
                        + Integer.toHexString(value) + "; a byte-level vocabulary has all 256");
            }
            if (shadowed.get(value)) {
                throw wrong(name, "added token \"" + spelling + "\" shadows the entry of byte 0x"
                        + Integer.toHexString(value));
            }
        }
    }

    private static void checkMerges(ObjectNode model, String name) {
        JsonNode merges = model.path("merges");
        JsonNode vocabulary = model.path("vocab");
        if (!merges.isArray()) {
            throw wrong(name, "model.merges must be a list");
        }
        Set<String> seen = HashSet.newHashSet(merges.size());
        for (int i = 0; i < merges.size(); i++) {
            String[] pair = pair(merges.get(i));
            String at = "model.merges[" + i + "]";
            if (pair.length != 2 || pair[0].isEmpty() || pair[1].isEmpty()) {
                throw wrong(name, at + " must be two pieces, found " + merges.get(i));
            }
            for (String piece : new String[] {pair[0], pair[1], pair[0] + pair[1]}) {
                if (!vocabulary.has(piece)) {
                    throw wrong(name, at + " refers to \"" + piece + "\", which is not in model.vocab");
                }
            }
            if (!seen.add(pair[0] + ' ' + pair[1])) {
                throw wrong(name, at + " repeats the merge of \"" + pair[0] + "\" and \"" + pair[1] + "\"");
            }
        }
    }

    /// A merge in either spelling: `["a", "b"]` or `"a b"`.
    private static String[] pair(JsonNode merge) {
        if (merge.isTextual()) {
            return merge.textValue().split(" ", -1);
        }
        boolean texts = merge.size() == 2 && merge.get(0).isTextual() && merge.get(1).isTextual();
        return texts ? new String[] {merge.get(0).textValue(), merge.get(1).textValue()} : new String[0];
    }

    /// The file without added tokens and post-processor. Their vocabulary entries go as well, or a pre-token spelled like
    /// one would still become it (`ignore_merges`), and with the entries all merges that mention them. Texts without
    /// such a literal lose nothing by that: a piece that a merge makes is always part of the text.
    private static String plain(ObjectNode root, List<AddedToken> added) {
        ObjectNode plain = root.objectNode();
        plain.setAll(root);
        plain.set("added_tokens", JsonNodeFactory.instance.arrayNode());
        plain.putNull("post_processor");
        plain.putNull("truncation");
        plain.putNull("padding");
        ObjectNode model = root.objectNode();
        model.setAll((ObjectNode) root.get("model"));
        plain.set("model", model);
        Set<String> contents = new HashSet<>();
        added.forEach(token -> contents.add(token.content()));
        ObjectNode vocabulary = root.objectNode();
        model.get("vocab").forEachEntry((spelling, id) -> {
            if (!contents.contains(spelling)) {
                vocabulary.set(spelling, id);
            }
        });
        ArrayNode merges = root.arrayNode();
        for (JsonNode merge : model.get("merges")) {
            String[] pair = pair(merge);
            if (Arrays.stream(pair).noneMatch(contents::contains) && !contents.contains(pair[0] + pair[1])) {
                merges.add(merge);
            }
        }
        model.set("vocab", vocabulary);
        model.set("merges", merges);
        model.putNull("unk_token");
        return plain.toString();
    }

    /// Whether every surrogate has its partner.
    static boolean wellFormed(String text) {
        return StandardCharsets.UTF_8.newEncoder().canEncode(text);
    }

    static CheckpointException wrong(String name, String what) {
        return new CheckpointException(name + ": " + what);
    }
}
