package dev.sidewinder.model.tokenizer;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;

/// Tokenizer files for tests: the demo tokenizer, and changed copies of it.
final class TokenizerFiles {
    private static final ObjectMapper JSON = new ObjectMapper();

    private TokenizerFiles() {}

    static ObjectNode demo() {
        try (InputStream file = Tokenizer.class.getResourceAsStream("/dev/sidewinder/model/demo/tokenizer.json")) {
            return (ObjectNode) JSON.readTree(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Path changed(Path folder, Consumer<ObjectNode> change) {
        ObjectNode root = demo();
        change.accept(root);
        return text(folder, root.toString());
    }

    static Path text(Path folder, String content) {
        try {
            return Files.writeString(folder.resolve("tokenizer.json"), content);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static Tokenizer openDemo(Path folder) {
        return Tokenizer.open(changed(folder, _ -> {}));
    }

    static ObjectNode vocabulary(ObjectNode root) {
        return (ObjectNode) root.at("/model/vocab");
    }

    /// Appends an added token with the next free id.
    static ObjectNode add(ObjectNode root, String content) {
        int id = 0;
        for (var token : root.get("added_tokens")) {
            id = Math.max(id, token.get("id").intValue() + 1);
        }
        return root.withArray("added_tokens").addObject().put("id", Math.max(id, vocabulary(root).size()))
                .put("content", content).put("single_word", false).put("lstrip", false).put("rstrip", false)
                .put("normalized", false).put("special", true);
    }
}
