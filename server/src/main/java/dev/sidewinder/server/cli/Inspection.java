package dev.sidewinder.server.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.ModelSummary;
import dev.sidewinder.model.config.CacheFootprint;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.model.synthetic.SyntheticModel;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/// A model in numbers, as text for people and as JSON for programs.
final class Inspection {

    /// Lengths for which the table says how many sequences fit: short chats to the longest published contexts.
    static final List<Integer> LENGTHS = List.of(1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576);
    /// What the CPU backend keeps with its default arithmetic: fp32 states, bf16 keys and values.
    private static final CacheFootprint.Types TYPES = new CacheFootprint.Types(4, 4, 2);

    private final String name;
    private final boolean synthetic;
    private final ModelConfig config;
    private final ModelSummary summary;
    private final boolean tokenizer;
    private final boolean chatTemplate;
    private final long memoryBytes;

    private Inspection(String name, boolean synthetic, ModelConfig config, ModelSummary summary, boolean tokenizer,
            boolean chatTemplate, long memoryBytes) {
        this.name = name;
        this.synthetic = synthetic;
        this.config = config;
        this.summary = summary;
        this.tokenizer = tokenizer;
        this.chatTemplate = chatTemplate;
        this.memoryBytes = memoryBytes;
    }

    static Inspection of(Model model, long memoryBytes) {
        return new Inspection(model.name(), model.synthetic(), model.config(), model.summary(),
                model.tokenizer().isPresent(), model.chatTemplate().isPresent(), memoryBytes);
    }

    /// Of a model whose weights are not made, so that shapes larger than this machine can be looked at.
    static Inspection of(String location, SyntheticModel model, long memoryBytes) {
        return new Inspection(location, true, model.config(), ModelSummary.of(model),
                model.files().containsKey("tokenizer.json"), model.files().containsKey("chat_template.jinja"),
                memoryBytes);
    }

    String text() {
        List<String> lines = facts();
        lines.addAll(fits());
        return String.join(System.lineSeparator(), lines);
    }

    /// With what fits into a GPU in place of what fits into this machine.
    String text(DeviceInspection device) {
        List<String> lines = facts();
        lines.addAll(device.lines());
        return String.join(System.lineSeparator(), lines);
    }

    private List<String> facts() {
        List<String> lines = new ArrayList<>();
        lines.add(name + (synthetic ? " (random weights)" : ""));
        lines.add(row("layers", config.layers().size() + ": " + kinds()));
        lines.add(row("", config.pattern()));
        for (LayerSpec layer : distinctLayers()) {
            lines.add(row("  " + kind(layer.letter()), details(layer)));
        }
        if (config.draftLayers() > 0) {
            lines.add(row("", "and " + config.draftLayers() + " layers that draft tokens, not used"));
        }
        lines.add(row("width", number(config.hiddenSize()) + ", vocabulary " + number(config.vocabSize())));
        lines.add(row("parameters", count(summary.parameters()) + ", " + count(summary.activeParameters())
                + " of them active for a token"));
        lines.add(row("weights", Progress.size(summary.bytes()) + " in " + number(summary.tensors()) + " tensors"));
        for (ModelSummary.Stored stored : summary.formats()) {
            lines.add(row("  " + stored.format(), Progress.size(stored.bytes())
                    + (stored.parameters() == 0 ? "" : ", " + count(stored.parameters()) + " parameters")));
        }
        lines.add(row("text", text(tokenizer, chatTemplate)));
        lines.add(row("a sequence", Progress.size(summary.cache().stateBytes(TYPES)) + " of state, and "
                + number(summary.cache().kvBytesPerToken(TYPES)) + " B a token (bf16 keys and values)"));
        return lines;
    }

    private List<String> fits() {
        List<String> lines = new ArrayList<>();
        if (room() <= 0) {
            lines.add("The weights alone do not fit into " + Progress.size(memoryBytes) + ".");
            return lines;
        }
        lines.add("fits into " + Progress.size(memoryBytes) + " beside the weights:");
        for (long length : LENGTHS) {
            lines.add(String.format(Locale.ROOT, "  %,12d sequences of %,d tokens", sequences(length), length));
        }
        return lines;
    }

    String json() {
        ObjectNode root = jsonFacts();
        root.put("memory_bytes", memoryBytes);
        ArrayNode fits = root.putArray("fits");
        for (long length : LENGTHS) {
            fits.addObject().put("tokens", length).put("sequences", sequences(length));
        }
        return root.toString();
    }

    String json(DeviceInspection device) {
        ObjectNode root = jsonFacts();
        device.addTo(root);
        return root.toString();
    }

    private ObjectNode jsonFacts() {
        ObjectNode root = new ObjectMapper().createObjectNode();
        root.put("model", name).put("synthetic", synthetic);
        root.put("number_format", summary.formats().getFirst().format());
        root.put("pattern", config.pattern());
        ObjectNode layers = root.putObject("layers");
        summary.layers().forEach((letter, count) -> layers.put(String.valueOf(letter), count));
        root.put("draft_layers", config.draftLayers());
        root.put("hidden_size", config.hiddenSize()).put("vocab_size", config.vocabSize());
        root.put("parameters", summary.parameters()).put("active_parameters", summary.activeParameters());
        root.put("tensors", summary.tensors()).put("bytes", summary.bytes());
        ArrayNode formats = root.putArray("formats");
        for (ModelSummary.Stored stored : summary.formats()) {
            formats.addObject().put("format", stored.format()).put("tensors", stored.tensors())
                    .put("parameters", stored.parameters()).put("bytes", stored.bytes());
        }
        root.put("tokenizer", tokenizer).put("chat_template", chatTemplate);
        root.put("state_bytes", summary.cache().stateBytes(TYPES));
        root.put("kv_bytes_per_token", summary.cache().kvBytesPerToken(TYPES));
        return root;
    }

    private long room() {
        return memoryBytes - summary.bytes();
    }

    private long sequences(long length) {
        return summary.cache().sequencesThatFit(room(), length, TYPES);
    }

    private String kinds() {
        return summary.layers().entrySet().stream().map(entry -> entry.getValue() + " " + kind(entry.getKey()))
                .collect(Collectors.joining(", "));
    }

    private Set<LayerSpec> distinctLayers() {
        return new LinkedHashSet<>(config.layers());
    }

    private static String kind(char letter) {
        return switch (letter) {
            case 'M' -> "Mamba";
            case '*' -> "attention";
            case 'E' -> "experts";
            case '-' -> "MLP";
            default -> throw new IllegalArgumentException("layer kind " + letter);
        };
    }

    private static String details(LayerSpec layer) {
        return switch (layer) {
            case LayerSpec.Mamba mamba -> mamba.heads() + " heads of " + mamba.headDim() + ", " + mamba.groups()
                    + " groups, state " + mamba.stateDim() + ", convolution of " + mamba.convWidth();
            case LayerSpec.Attention attention -> attention.queryHeads() + " query heads, " + attention.kvHeads()
                    + " key and value heads of " + attention.headDim();
            case LayerSpec.Experts experts -> experts.active() + " of " + experts.routed() + " experts of width "
                    + number(experts.intermediate())
                    + (experts.latent() == 0 ? "" : " on a latent width of " + number(experts.latent()))
                    + (experts.sharedIntermediate() == 0 ? "" : ", a shared one of "
                            + number(experts.sharedIntermediate()));
            case LayerSpec.Mlp mlp -> "width " + number(mlp.intermediate());
        };
    }

    private static String text(boolean tokenizer, boolean template) {
        if (!tokenizer) {
            return "no tokenizer: serves token ids only";
        }
        return template ? "tokenizer and chat template" : "tokenizer, no chat template: completions only";
    }

    private static String row(String name, String value) {
        return String.format(Locale.ROOT, "%-13s %s", name, value);
    }

    private static String number(long value) {
        return String.format(Locale.ROOT, "%,d", value);
    }

    /// A count as model cards give it: `31.6 B`.
    private static String count(long parameters) {
        double millions = parameters / 1e6;
        return millions < 1000 ? String.format(Locale.ROOT, "%.1f M", millions)
                : String.format(Locale.ROOT, "%.2f B", millions / 1000);
    }
}
