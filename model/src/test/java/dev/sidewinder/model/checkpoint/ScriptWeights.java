package dev.sidewinder.model.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.Map;

/// The weights of a scripted model, whose layers are `ME*-`; the first two add nothing.
///
/// The residual stream has a dimension for each token, one that is always 1, one for each cue, and one for each step that
/// a cue decides. The attention layer asks the same question everywhere; only cues answer, the later declared the
/// louder, and switch their dimension on. A unit of the dense layer fires where both its token and its cue are on, and
/// switches its step on. The head turns steps into next tokens, and tokens into those that follow without a cue.
final class ScriptWeights implements SafetensorsWriter.Source {
    static final String LAYERS = "ME*-";
    static final int QUERY_HEADS = 2;
    private static final int MULTIPLE = 64;
    private static final ValueLayout.OfShort BF16 =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /// Difference of the attention scores of two cues: a million other tokens weigh nothing beside the stronger one.
    private static final double SCORE_STEP = 45;
    /// Two switches that are on reach 2, one reaches 1: a unit fires above the middle.
    private static final double THRESHOLD = 1.5;
    /// Factors of the head. Behind the last norm a switch that is on has a value above 10, so logits lie tens apart.
    private static final float CUED = 12;
    private static final float DEFAULT = 6;
    private static final float ENDING = 1;

    /// @param hidden  width of the residual stream
    /// @param headDim width of an attention head, at least one dimension for each cue
    /// @param units   width of the dense layer, at least one for each step that a cue decides
    record Sizes(int vocabulary, int hidden, int headDim, int units) {
        static Sizes of(ScriptMachine machine, int vocabulary) {
            int steps = machine.transitions().entrySet().stream()
                    .filter(entry -> entry.getKey() != ScriptMachine.NO_CUE).mapToInt(entry -> entry.getValue().size()).sum();
            return new Sizes(vocabulary, roundUp(vocabulary + 1 + machine.cueCount() + steps), roundUp(machine.cueCount()),
                    roundUp(steps));
        }

        private static int roundUp(int value) {
            return Math.max(MULTIPLE, (value + MULTIPLE - 1) / MULTIPLE * MULTIPLE);
        }
    }

    private final Sizes sizes;
    private final Map<String, float[]> values = new HashMap<>();

    ScriptWeights(ScriptMachine machine, Sizes sizes, int end) {
        this.sizes = sizes;
        embeddings();
        attention(machine);
        steps(machine, end);
    }

    /// Index of the dimension that is always on; those of cues and steps follow.
    private int always() {
        return sizes.vocabulary();
    }

    private void embeddings() {
        float[] embeddings = tensor("backbone.embeddings.weight", sizes.vocabulary() * sizes.hidden());
        for (int token = 0; token < sizes.vocabulary(); token++) {
            embeddings[token * sizes.hidden() + token] = 1;
            embeddings[token * sizes.hidden() + always()] = 1;
        }
    }

    private void attention(ScriptMachine machine) {
        int hidden = sizes.hidden();
        int headDim = sizes.headDim();
        String mixer = "backbone.layers." + LAYERS.indexOf('*') + ".mixer.";
        // two dimensions are on before this layer: this is what the norm makes of each
        double on = Math.sqrt(hidden / 2.0);
        double factor = Math.sqrt(SCORE_STEP * Math.sqrt(headDim)) / on;
        tensor(mixer + "q_proj.weight", QUERY_HEADS * headDim * hidden)[always()] = (float) factor;
        float[] key = tensor(mixer + "k_proj.weight", headDim * hidden);
        float[] value = tensor(mixer + "v_proj.weight", headDim * hidden);
        float[] output = tensor(mixer + "o_proj.weight", hidden * QUERY_HEADS * headDim);
        machine.cues().forEach((token, cue) -> {
            key[token] = (float) (factor * (cue + 1));
            value[cue * hidden + token] = (float) (1 / on);
            output[(always() + 1 + cue) * QUERY_HEADS * headDim + cue] = 1;
        });
    }

    private void steps(ScriptMachine machine, int end) {
        int hidden = sizes.hidden();
        String mixer = "backbone.layers." + LAYERS.indexOf('-') + ".mixer.";
        // token, constant and cue are on: so a unit's half above the threshold becomes 1
        double factor = 1 / ((2 - THRESHOLD) * Math.sqrt(hidden / 3.0));
        float[] up = tensor(mixer + "up_proj.weight", sizes.units() * hidden);
        float[] down = tensor(mixer + "down_proj.weight", hidden * sizes.units());
        float[] head = tensor("lm_head.weight", sizes.vocabulary() * hidden);
        head[end * hidden + always()] = ENDING;
        int firstStep = always() + 1 + machine.cueCount();
        int unit = 0;
        for (var cued : machine.transitions().entrySet()) {
            int cue = cued.getKey();
            for (var step : cued.getValue().entrySet()) {
                int token = step.getKey();
                int next = step.getValue();
                if (cue == ScriptMachine.NO_CUE) {
                    head[next * hidden + token] = DEFAULT;
                    continue;
                }
                up[unit * hidden + token] = (float) factor;
                up[unit * hidden + always() + 1 + cue] = (float) factor;
                up[unit * hidden + always()] = (float) (-THRESHOLD * factor);
                down[(firstStep + unit) * sizes.units() + unit] = 1;
                head[next * hidden + firstStep + unit] = CUED;
                unit++;
            }
        }
    }

    private float[] tensor(String name, int elements) {
        float[] tensor = new float[elements];
        values.put(name, tensor);
        return tensor;
    }

    @Override
    public void fill(StoredTensor tensor, long from, MemorySegment into) {
        into.fill((byte) 0);
        float[] stored = values.get(tensor.name());
        boolean ones = tensor.parameter().kind() == Parameter.Kind.NORM;
        if (stored == null && !ones) {
            return;
        }
        int first = Math.toIntExact(from / Short.BYTES);
        for (int i = 0; i < into.byteSize() / Short.BYTES; i++) {
            into.set(BF16, (long) i * Short.BYTES, Bf16.encode(ones ? 1 : stored[first + i]));
        }
    }
}
