package dev.sidewinder.it.support;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Predicate;
import java.util.zip.GZIPInputStream;

/// Cases of the held-back test set of `models/tiny`.
public final class TinyCases {

    private static final Path FOLDER = Launcher.REPOSITORY.resolve("models/tiny/eval");

    private TinyCases() {}

    /// The first case of a task that thinks, or does not.
    public static JsonNode first(String task, boolean thinking) {
        return find(test -> test.get("task").asText().equals(task) && test.get("enable_thinking").asBoolean() == thinking,
                "case of " + task);
    }

    public static JsonNode named(String id) {
        return find(test -> test.get("id").asText().equals(id), "case " + id);
    }

    private static JsonNode find(Predicate<JsonNode> wanted, String description) {
        for (String name : new String[] {"test.jsonl.gz", "test-long.jsonl.gz"}) {
            try (var lines = new BufferedReader(new InputStreamReader(
                    new GZIPInputStream(Files.newInputStream(FOLDER.resolve(name))), StandardCharsets.UTF_8))) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    JsonNode test = Api.parse(line);
                    if (wanted.test(test)) {
                        return test;
                    }
                }
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
        throw new AssertionError(FOLDER + " has no such " + description);
    }

    /// The chat request that a case is, greedy.
    public static ObjectNode request(JsonNode test) {
        ObjectNode request = new ObjectMapper().createObjectNode().put("temperature", 0)
                .put("max_completion_tokens", test.get("max_tokens").asInt());
        request.set("messages", test.get("messages"));
        if (test.has("tools")) {
            request.set("tools", test.get("tools"));
        }
        request.putObject("chat_template_kwargs").put("enable_thinking", test.get("enable_thinking").asBoolean());
        return request;
    }
}
