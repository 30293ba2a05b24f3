package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.WeightReader;
import dev.sidewinder.model.config.LayerSpec;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/// Chooses experts: fp32 logits, sigmoid, a correction bias that counts for choosing only, optional routing groups.
///
/// Ties go to the lower index, and a token's experts come in the order of their rank, so that what is later added up in
/// that order is the same whoever else is in the batch.
final class Router {

    /// Keeps the sum of chosen weights away from zero. Source: the published model's own code.
    private static final float TINY = 1e-20f;

    private final CpuMath math;
    private final LayerSpec.Experts spec;
    private final int hidden;
    private final MemorySegment gate;
    private final boolean gateIsBf16;
    private final float[] correctionBias;
    private final Scratch[] scratch;

    private static final class Scratch {
        final MemorySegment logits;
        final float[] product = new float[CpuMath.PRODUCT_SCRATCH];
        final float[] scores;
        final float[] choice;
        final float[] groupScores;

        Scratch(MemorySegment logits, int experts, int groups) {
            this.logits = logits;
            scores = new float[experts];
            choice = new float[experts];
            groupScores = new float[groups];
        }
    }

    Router(CpuRuntime runtime, LayerSpec.Experts spec, LayerWeights.Experts weights) {
        this.math = runtime.math();
        this.spec = spec;
        hidden = Math.toIntExact(weights.gate().elements() / spec.routed());
        gateIsBf16 = weights.gate().type() == DType.BF16;
        gate = gateIsBf16 ? weights.gate().data() : widened(runtime, WeightReader.vector(weights.gate()));
        correctionBias = WeightReader.vector(weights.correctionBias());
        scratch = new Scratch[runtime.pool().workers()];
        for (int worker = 0; worker < scratch.length; worker++) {
            scratch[worker] = new Scratch(runtime.memory().allocate(4L * spec.routed()), spec.routed(), spec.groups());
        }
    }

    private static MemorySegment widened(CpuRuntime runtime, float[] values) {
        MemorySegment memory = runtime.memory().allocate(4L * values.length);
        MemorySegment.copy(values, 0, memory, JAVA_FLOAT, 0, values.length);
        return memory;
    }

    /// Routes one token.
    ///
    /// @param rows    normalised activations in fp32
    /// @param experts receives the chosen experts, best first, from `at` on
    /// @param weights receives their weights
    void route(SourceRows rows, int row, int[] experts, float[] weights, int at, int worker) {
        Scratch mine = scratch[worker];
        math.product(rows.data(), rows.at(row), 1, hidden, gate, 0, gateIsBf16, spec.routed(), mine.logits,
                mine.product);
        for (int expert = 0; expert < spec.routed(); expert++) {
            float logit = mine.logits.get(ValueLayout.JAVA_FLOAT, 4L * expert);
            mine.scores[expert] = (float) (1 / (1 + Math.exp(-logit)));
            mine.choice[expert] = mine.scores[expert] + correctionBias[expert];
        }
        if (spec.groups() > 1) {
            keepBestGroups(mine);
        }
        choose(mine, experts, weights, at);
    }

    /// Sets the scores of all but the best groups to zero; a group counts as much as its two best experts.
    private void keepBestGroups(Scratch mine) {
        int size = spec.routed() / spec.groups();
        for (int group = 0; group < spec.groups(); group++) {
            float best = Float.NEGATIVE_INFINITY;
            float second = Float.NEGATIVE_INFINITY;
            for (int expert = group * size; expert < (group + 1) * size; expert++) {
                float score = mine.choice[expert];
                if (score > best) {
                    second = best;
                    best = score;
                } else if (score > second) {
                    second = score;
                }
            }
            mine.groupScores[group] = size > 1 ? best + second : best;
        }
        for (int kept = 0; kept < spec.activeGroups(); kept++) {
            mine.groupScores[best(mine.groupScores)] = Float.NaN;
        }
        for (int group = 0; group < spec.groups(); group++) {
            if (!Float.isNaN(mine.groupScores[group])) {
                Arrays.fill(mine.choice, group * size, (group + 1) * size, 0);
            }
        }
    }

    private void choose(Scratch mine, int[] experts, float[] weights, int at) {
        float sum = 0;
        for (int rank = 0; rank < spec.active(); rank++) {
            int expert = best(mine.choice);
            mine.choice[expert] = Float.NaN;
            experts[at + rank] = expert;
            weights[at + rank] = mine.scores[expert];
            sum += mine.scores[expert];
        }
        if (spec.normalise()) {
            for (int rank = 0; rank < spec.active(); rank++) {
                weights[at + rank] /= sum + TINY;
            }
        }
    }

    /// Index of the first largest value that is not NaN (NaN marks what is taken); 0 when there is none.
    private static int best(float[] values) {
        int best = 0;
        for (int i = 1; i < values.length; i++) {
            if (values[i] > values[best] || Float.isNaN(values[best]) && !Float.isNaN(values[i])) {
                best = i;
            }
        }
        return best;
    }
}
