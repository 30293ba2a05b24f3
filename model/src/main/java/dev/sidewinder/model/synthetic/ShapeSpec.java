package dev.sidewinder.model.synthetic;

import dev.sidewinder.model.checkpoint.CheckpointException;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/// The shape of a synthetic model: a named one, single dimensions, or a named one with single dimensions changed.
///
/// Written `tiny`, `tiny,layers=MEM*E,hidden=128` or `hidden=64,experts=4`; what is not named comes from `tiny`. A
/// dimension of 0 switches its part off (`shared=0`, `latent=0`, `drafts=0`).
///
/// @param name       how it was written
/// @param layers     layer kinds, `M`, `E`, `*` and `-`
/// @param dimensions every other whole number
/// @param scale      factor on the routed experts' sum
public record ShapeSpec(String name, String layers, Map<Dimension, Integer> dimensions, double scale) {

    private static final String MAMBA_1B = "groups=8,state=128,conv=4,chunk=128";
    private static final String NANO_LAYERS = "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME";
    private static final String NANO = "hidden=2688,mamba-heads=64,mamba-head-dim=64," + MAMBA_1B
            + ",query-heads=32,kv-heads=2,head-dim=128,dense=1856,experts=128,active=6,intermediate=1856,shared=3712,"
            + "latent=0,drafts=0,positions=262144,scale=2.5";
    private static final String DENSE = "vocab=131072," + MAMBA_1B + ",head-dim=128,latent=0,drafts=0,experts=1,active=1,"
            + "intermediate=1,shared=0,positions=131072,scale=1";

    /// Shapes by name. The first is complete and serves as base of all that leave something out.
    private static final Map<String, String> NAMED = named();

    private static Map<String, String> named() {
        var named = new LinkedHashMap<String, String>();
        named.put("tiny", "layers=MEM*EME,hidden=256,vocab=1024,mamba-heads=8,mamba-head-dim=64,groups=2,state=128,conv=4,"
                + "chunk=128,query-heads=4,kv-heads=2,head-dim=64,dense=128,experts=8,active=2,intermediate=128,shared=256,"
                + "latent=0,drafts=0,positions=262144,scale=2.5");
        named.put("demo", "layers=MEM*EMM*E,hidden=128,vocab=512,mamba-heads=8,mamba-head-dim=32,groups=2,state=64,conv=4,"
                + "chunk=128,query-heads=4,kv-heads=2,head-dim=32,dense=96,experts=8,active=3,intermediate=96,shared=192,"
                + "latent=0,drafts=0,positions=262144,scale=2.5");
        named.put("bench-1b", "layers=MEMEM*EMEMEM*EME,hidden=1024,vocab=32768,mamba-heads=32,mamba-head-dim=64," + MAMBA_1B
                + ",query-heads=16,kv-heads=2,head-dim=128,dense=512,experts=64,active=6,intermediate=512,shared=1024,"
                + "latent=0,drafts=0,positions=262144,scale=2.5");
        // layers of the 30B shape, few of them, with a small vocabulary: for costs per layer by difference
        named.put("nano-m", "layers=MMMM*,vocab=1024," + NANO);
        named.put("nano-e", "layers=MMMME*,vocab=1024," + NANO);
        named.put("nano-a", "layers=MMMM**,vocab=1024," + NANO);
        named.put("nano-30b", "layers=" + NANO_LAYERS + ",vocab=131072," + NANO);
        named.put("lightning-30b", "layers=" + NANO_LAYERS + ",vocab=131072," + NANO.replace("drafts=0", "drafts=1")
                .replace("positions=262144", "positions=1048576"));
        named.put("super-120b", "layers=MEMEMEM*EMEMEMEM*EMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEMEM*EMEMEMEM*"
                + "EMEMEMEME,hidden=4096,vocab=131072,mamba-heads=128,mamba-head-dim=64," + MAMBA_1B
                + ",query-heads=32,kv-heads=2,head-dim=128,dense=2688,experts=512,active=22,intermediate=2688,"
                + "shared=5376,latent=1024,drafts=1,positions=262144,scale=5");
        named.put("nano-4b", "layers=M-M-M-MM-M-M*-M-M*-M-M-M*-M-M-MM*-MMM-M-M-,hidden=3136,mamba-heads=96,"
                + "mamba-head-dim=80,query-heads=40,kv-heads=8,dense=12544," + DENSE.replace("chunk=128", "chunk=256"));
        named.put("nano-9b-v2", "layers=M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-,hidden=4480,"
                + "mamba-heads=128,mamba-head-dim=80,query-heads=40,kv-heads=8,dense=15680," + DENSE);
        named.put("nano-12b-v2", "layers=M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M*-M-M-M-M-,hidden=5120,"
                + "mamba-heads=128,mamba-head-dim=80,query-heads=40,kv-heads=8,dense=20480," + DENSE);
        named.put("nemotron-h-8b", "layers=M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-,hidden=4096,"
                + "mamba-heads=128,mamba-head-dim=64,query-heads=32,kv-heads=8,dense=21504," + DENSE);
        return named;
    }

    public ShapeSpec {
        dimensions = Map.copyOf(dimensions);
    }

    /// The names that [#parse] knows.
    public static List<String> names() {
        return List.copyOf(NAMED.keySet());
    }

    /// The part of a shape's text that may name another one.
    static String baseName(String text) {
        int comma = text.indexOf(',');
        return comma < 0 ? text : text.substring(0, comma);
    }

    /// Reads a shape.
    ///
    /// @throws CheckpointException naming the part that is not understood
    public static ShapeSpec parse(String text) {
        var builder = new Builder(text);
        builder.addAll(NAMED.get("tiny"));
        boolean first = true;
        for (String part : text.split(",", -1)) {
            if (first && !part.contains("=")) {
                builder.addAll(base(text, part));
            } else {
                builder.add(part);
            }
            first = false;
        }
        return builder.build();
    }

    private static String base(String text, String name) {
        String base = NAMED.get(name);
        if (base == null) {
            throw new CheckpointException("synthetic shape \"" + text + "\": there is no shape named \"" + name
                    + "\"; known are " + String.join(", ", NAMED.keySet()));
        }
        return base;
    }

    int dimension(Dimension dimension) {
        return dimensions.get(dimension);
    }

    private static final class Builder {

        private final String text;
        private final Map<Dimension, Integer> dimensions = new EnumMap<>(Dimension.class);
        private String layers;
        private double scale;

        Builder(String text) {
            this.text = text;
        }

        void addAll(String parts) {
            for (String part : parts.split(",")) {
                add(part);
            }
        }

        void add(String part) {
            int equals = part.indexOf('=');
            String key = equals < 0 ? part : part.substring(0, equals);
            String value = equals < 0 ? "" : part.substring(equals + 1);
            switch (key) {
                case "layers" -> layers = value;
                case "scale" -> scale = number(key, value);
                default -> {
                    double number = number(key, value);
                    if (number != (int) number) {
                        throw refuse("\"" + key + "\" is " + value + "; expected a whole number below 2^31");
                    }
                    dimensions.put(dimension(key), (int) number);
                }
            }
        }

        private Dimension dimension(String key) {
            return Arrays.stream(Dimension.values()).filter(dimension -> dimension.key().equals(key)).findFirst()
                    .orElseThrow(() -> refuse("there is no dimension \"" + key + "\"; known are layers, scale, "
                            + Arrays.stream(Dimension.values()).map(Dimension::key).collect(Collectors.joining(", "))));
        }

        private double number(String key, String value) {
            if (value.matches("[0-9]{1,15}(\\.[0-9]{1,15})?")) {
                return Double.parseDouble(value);
            }
            throw refuse("\"" + key + "\" is \"" + value + "\"; expected key=number");
        }

        private CheckpointException refuse(String message) {
            return new CheckpointException("synthetic shape \"" + text + "\": " + message);
        }

        ShapeSpec build() {
            return new ShapeSpec(text, layers, dimensions, scale);
        }
    }
}
