package dev.sidewinder.model.config;

import dev.sidewinder.model.config.JsonFields.Field;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Reads what a chat template needs out of a `tokenizer_config.json`.
public final class TokenizerConfigReader {

    private static final List<String> SPECIAL_TOKENS =
            List.of("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token");

    private TokenizerConfigReader() {}

    /// The template of a checkpoint that has no `chat_template.jinja`: a string, or the entry called `default` of a list
    /// of named templates.
    public static Optional<String> chatTemplate(String file, byte[] content) {
        JsonFields fields = JsonFile.parse(file, content);
        Optional<Field> found = fields.find("chat_template");
        if (found.isEmpty()) {
            return Optional.empty();
        }
        if (found.get().value().isTextual()) {
            return Optional.of(found.get().value().textValue());
        }
        for (Field item : fields.items(found.get())) {
            JsonFields named = fields.object(item);
            if (named.text("name").equals("default")) {
                return Optional.of(named.text("template"));
            }
        }
        throw fields.refuse(found.get(), "a string, or a list with a template named \"default\"");
    }

    /// The special tokens a template may print, such as `bos_token`: a string each, or an object with its `content`.
    public static Map<String, String> specialTokens(String file, byte[] content) {
        JsonFields fields = JsonFile.parse(file, content);
        Map<String, String> tokens = new LinkedHashMap<>();
        for (String name : SPECIAL_TOKENS) {
            fields.find(name).ifPresent(field -> tokens.put(name, field.value().isTextual()
                    ? field.value().textValue()
                    : fields.object(field).text("content")));
        }
        return tokens;
    }
}
