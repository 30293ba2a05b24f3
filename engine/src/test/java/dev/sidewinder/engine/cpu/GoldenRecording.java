package dev.sidewinder.engine.cpu;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.SafetensorsFile;
import dev.sidewinder.model.checkpoint.TensorView;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

/// What another implementation said after some prompts. The format is in `models/tiny/golden/README.md`.
///
/// @param weightsSha256 of the weights it was recorded from
public record GoldenRecording(String weightsSha256, List<Prompt> prompts) {

    private static final List<String> TENSORS = List.of("continuations", "lengths", "logits", "margins", "tokens");

    /// @param logits       after the last token
    /// @param continuation the next tokens by argmax
    /// @param margins      best logit minus second best at each of them
    public record Prompt(String name, int[] tokens, float[] logits, int[] continuation, float[] margins) {
        @Override
        public String toString() {
            return name + " (" + tokens.length + " tokens)";
        }
    }

    public GoldenRecording {
        prompts = List.copyOf(prompts);
    }

    /// Reads a recording.
    ///
    /// @throws IllegalArgumentException when it is not as the README says
    public static GoldenRecording read(Path path) {
        try (SafetensorsFile file = SafetensorsFile.open(path)) {
            require(file.tensors().stream().map(TensorView::name).sorted().toList().equals(TENSORS),
                    "the tensors are " + file.tensors().stream().map(TensorView::name).toList());
            int[] lengths = integers(file, "lengths", 1);
            int count = lengths.length;
            int[] tokens = integers(file, "tokens", 1);
            float[][] logits = rows(floats(file, "logits"), count);
            int[] continuations = integers(file, "continuations", 2);
            float[][] margins = rows(floats(file, "margins"), count);
            require(Arrays.stream(lengths).allMatch(length -> length > 0), "a prompt is empty");
            require(Arrays.stream(lengths).sum() == tokens.length, "the lengths do not add up to the tokens");
            int steps = continuations.length / count;
            require(continuations.length == steps * count && margins[0].length == steps,
                    "continuations and margins differ in size");
            List<String> names = names(file.metadata(), count);
            List<Prompt> prompts = new ArrayList<>();
            int from = 0;
            for (int i = 0; i < count; i++) {
                prompts.add(new Prompt(names.get(i), Arrays.copyOfRange(tokens, from, from + lengths[i]), logits[i],
                        Arrays.copyOfRange(continuations, i * steps, (i + 1) * steps), margins[i]));
                from += lengths[i];
            }
            return new GoldenRecording(file.metadata().getOrDefault("weights_sha256", "not stated"), prompts);
        }
    }

    /// SHA-256 of a file, as the recording states it.
    static String sha256(Path file) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file)));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    private static List<String> names(Map<String, String> metadata, int count) {
        List<String> names = new ArrayList<>();
        try {
            for (JsonNode name : new ObjectMapper().readTree(metadata.getOrDefault("names", ""))) {
                names.add(name.asText());
            }
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException("\"names\" is no JSON list: " + e.getOriginalMessage(), e);
        }
        require(names.size() == count, "there are " + names.size() + " names for " + count + " prompts");
        return names;
    }

    private static int[] integers(SafetensorsFile file, String name, int dimensions) {
        TensorView tensor = tensor(file, name, DType.I32);
        require(tensor.shape().size() == dimensions, name + " has the shape " + tensor.shape());
        return tensor.data().toArray(ValueLayout.JAVA_INT_UNALIGNED);
    }

    private static float[] floats(SafetensorsFile file, String name) {
        TensorView tensor = tensor(file, name, DType.F32);
        require(tensor.shape().size() == 2, name + " has the shape " + tensor.shape());
        return tensor.data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
    }

    private static float[][] rows(float[] values, int count) {
        int width = values.length / count;
        require(width > 0 && width * count == values.length, values.length + " values are not " + count + " rows");
        float[][] rows = new float[count][];
        Arrays.setAll(rows, i -> Arrays.copyOfRange(values, i * width, (i + 1) * width));
        return rows;
    }

    private static TensorView tensor(SafetensorsFile file, String name, DType type) {
        TensorView tensor = file.tensors().stream().filter(view -> view.name().equals(name)).findFirst().orElseThrow();
        require(tensor.type() == type, name + " is " + tensor.type() + ", not " + type);
        return tensor;
    }

    private static void require(boolean holds, String problem) {
        if (!holds) {
            throw new IllegalArgumentException("golden recording: " + problem + "; see models/tiny/golden/README.md");
        }
    }
}
