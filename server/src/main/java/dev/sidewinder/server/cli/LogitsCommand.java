package dev.sidewinder.server.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.engine.cpu.CpuCacheLayout;
import dev.sidewinder.engine.cpu.CpuOptions;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// `./sidewinder logits`: what the model says after some tokens, in full precision, for comparison with another engine.
@Command(name = "logits", mixinStandardHelpOptions = true,
        description = "Prints the logits after the given tokens as one JSON object, in full precision.")
final class LogitsCommand implements Callable<Integer> {

    @Option(names = "--model", paramLabel = "DIR", required = true,
            description = "Checkpoint folder, or synthetic:SHAPE.")
    String location;

    @Option(names = "--tokens", paramLabel = "IDS", required = true, split = ",", description = "Token ids: 1,2,3")
    int[] tokens;

    @Option(names = "--arithmetic", paramLabel = "f32|bf16|fp8", defaultValue = "f32",
            description = "Format of the large sums; f32 is the reference (default: ${DEFAULT-VALUE}).")
    String arithmetic;

    @Option(names = "--all", description = "Logits of every token, not only of the last.")
    boolean all;

    @Option(names = "--top", paramLabel = "K", description = "Only the K most likely tokens of each position.")
    Integer top;

    @Override
    public Integer call() throws Exception {
        Arithmetic chosen = arithmetic();
        if (top != null && top < 1) {
            throw CommandException.wrongUsage("--top " + top + " is not positive");
        }
        try (Model model = Model.open(location)) {
            requireInVocabulary(model.config().vocabSize());
            BackendMemory memory = CpuCacheLayout.of(model.config(), chosen).memory(1, CacheShape.blocksFor(tokens.length));
            var options = CpuOptions.of(chosen, Math.min(tokens.length, PromptPass.PIECE_TOKENS));
            try (Progress progress = Progress.of("loading " + model.name());
                    var backend = new CpuBackend(model.config(), model.weights(), memory, options, progress::bytes)) {
                progress.close();
                print(model, backend, System.out);
            }
        }
        return 0;
    }

    private void print(Model model, CpuBackend backend, OutputStream target) throws Exception {
        try (JsonGenerator json = new JsonFactory().createGenerator(new BufferedOutputStream(target))
                .disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET)) {
            json.writeStartObject();
            json.writeStringField("model", model.name());
            json.writeStringField("arithmetic", arithmetic.toLowerCase(Locale.ROOT));
            json.writeFieldName("tokens");
            json.writeArray(tokens, 0, tokens.length);
            json.writeFieldName(top == null ? "logits" : "top");
            if (all) {
                json.writeStartArray();
            }
            int vocabSize = backend.vocabSize();
            PromptPass.run(backend, tokens, all, (position, values, offset) -> {
                requireFinite(position, values, offset, vocabSize);
                if (top == null) {
                    writeAll(json, values, offset, vocabSize);
                } else {
                    writeTop(json, values, offset, vocabSize);
                }
            });
            if (all) {
                json.writeEndArray();
            }
            json.writeEndObject();
            json.writeRaw('\n');
        }
    }

    private static void writeAll(JsonGenerator json, float[] values, int offset, int vocabSize) throws IOException {
        json.writeStartArray();
        for (int i = 0; i < vocabSize; i++) {
            json.writeNumber(values[offset + i]);
        }
        json.writeEndArray();
    }

    private void writeTop(JsonGenerator json, float[] values, int offset, int vocabSize) throws IOException {
        double logSum = logSumOfExponentials(values, offset, vocabSize);
        int[] best = IntStream.range(0, vocabSize).boxed()
                .sorted(Comparator.comparingDouble((Integer id) -> -values[offset + id]).thenComparing(id -> id))
                .limit(top).mapToInt(Integer::intValue).toArray();
        json.writeStartArray();
        for (int id : best) {
            json.writeStartObject();
            json.writeNumberField("token", id);
            json.writeNumberField("logit", values[offset + id]);
            json.writeNumberField("logprob", (float) (values[offset + id] - logSum));
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    private static double logSumOfExponentials(float[] values, int offset, int count) {
        double max = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < count; i++) {
            max = Math.max(max, values[offset + i]);
        }
        double sum = 0;
        for (int i = 0; i < count; i++) {
            sum += Math.exp(values[offset + i] - max);
        }
        return max + Math.log(sum);
    }

    private static void requireFinite(int position, float[] values, int offset, int vocabSize) {
        for (int i = 0; i < vocabSize; i++) {
            if (!Float.isFinite(values[offset + i])) {
                throw new CommandException("the logit of token " + i + " at position " + position + " is "
                        + values[offset + i] + ", not a finite number: are the weights damaged?");
            }
        }
    }

    private void requireInVocabulary(int vocabSize) {
        for (int token : tokens) {
            if (token < 0 || token >= vocabSize) {
                throw CommandException.wrongUsage("--tokens: " + token + " is not in the vocabulary, 0 to "
                        + (vocabSize - 1));
            }
        }
    }

    private Arithmetic arithmetic() {
        return Arrays.stream(Arithmetic.values()).filter(a -> a.name().equalsIgnoreCase(arithmetic)).findFirst()
                .orElseThrow(() -> CommandException.wrongUsage("--arithmetic " + arithmetic
                        + " is not known; choose f32, bf16 or fp8"));
    }
}
