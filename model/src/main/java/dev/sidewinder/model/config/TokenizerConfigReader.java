package dev.sidewinder.model.config;

import dev.sidewinder.model.config.JsonFields.Field;
import java.util.Optional;

/// Reads the chat template out of a `tokenizer_config.json`, where checkpoints without `chat_template.jinja` keep it.
public final class TokenizerConfigReader {

    private TokenizerConfigReader() {}

    /// The template: a string, or the entry called `default` of a list of named templates.
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
}
