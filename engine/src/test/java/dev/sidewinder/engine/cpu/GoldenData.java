package dev.sidewinder.engine.cpu;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sidewinder.model.Model;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// The golden checkpoint and its recorded answers. See the README beside them.
public final class GoldenData {

    /// @param prompt token ids
    /// @param logits after the last of them
    /// @param greedy the next tokens by argmax
    public record Case(int[] prompt, float[] logits, int[] greedy) {
        @Override
        public String toString() {
            return prompt.length + " tokens";
        }
    }

    private static final String FOLDER = "/golden/hybrid/";

    public static List<Case> cases() {
        var cases = new ArrayList<Case>();
        for (JsonNode node : json(read("golden.json"))) {
            JsonNode logits = node.get("logits");
            float[] values = new float[logits.size()];
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) logits.get(i).asDouble();
            }
            cases.add(new Case(integers(node.get("tokens")), values, integers(node.get("greedy"))));
        }
        return cases;
    }

    /// Opens the checkpoint; the caller closes it.
    public static Model model() {
        try {
            return Model.open(Path.of(GoldenData.class.getResource(FOLDER).toURI()).toString());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    private static int[] integers(JsonNode node) {
        int[] values = new int[node.size()];
        for (int i = 0; i < values.length; i++) {
            values[i] = node.get(i).asInt();
        }
        return values;
    }

    private static JsonNode json(byte[] bytes) {
        try {
            return new ObjectMapper().readTree(bytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static byte[] read(String name) {
        try (var stream = GoldenData.class.getResourceAsStream(FOLDER + name)) {
            return stream.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
