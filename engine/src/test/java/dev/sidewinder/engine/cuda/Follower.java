package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.run;

import dev.sidewinder.engine.ExpertLoad;
import dev.sidewinder.engine.cpu.ReferenceModel;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.scheduler.LogitRows;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/// Runs a sequence on the CUDA backend and on a [ReferenceModel] in doubles that rounds where the device does and takes the
/// experts that the device took: what differs then is the order of sums, and what that turns in roundings behind it.
///
/// Which experts the device took is read off its counters: for a generated token exactly, for a prompt by the sums over its
/// tokens. Where these differ, the token is looked for that was nearest to the other choice.
final class Follower {

    private static final int MOST_TURNED = 24;

    private final ModelConfig config;
    private final ModelWeights weights;
    private final KvFormat kvFormat;
    private final CudaBackend device;
    private final int[] prompt;
    private final TestSequence sequence;
    private DeviceNumbers numbers;
    private ReferenceModel reference;
    private int length;
    private double[] expected;
    private float[] actual;

    /// An expert that a token of the prompt went to in place of another.
    private record Turn(int token, int layer, int from, int to) {}

    Follower(ModelConfig config, ModelWeights weights, KvFormat kvFormat, CudaBackend device, int blocks, int[] prompt) {
        this.config = config;
        this.weights = weights;
        this.kvFormat = kvFormat;
        this.device = device;
        this.prompt = prompt;
        sequence = TestSequence.at(0, blocks, prompt);
    }

    /// Runs the prompt in pieces, to its last row.
    void prompt(int pieceTokens) {
        long[][] before = counts();
        while (sequence.remaining() > pieceTokens) {
            run(device, sequence.next(pieceTokens, LogitRows.NONE));
        }
        actual = run(device, sequence.next(sequence.remaining(), LogitRows.LAST))[0];
        long[][] taken = difference(counts(), before);
        List<Turn> turns = new ArrayList<>();
        runPrompt(turns);
        for (Turn turn = nearest(taken); turn != null; turn = nearest(taken)) {
            turns.add(turn);
            if (turns.size() > MOST_TURNED) {
                throw new AssertionError("the device took other experts for more than " + MOST_TURNED + " tokens: " + turns);
            }
            runPrompt(turns);
        }
        length = prompt.length;
    }

    private void runPrompt(List<Turn> turns) {
        DeviceNumbers before = numbers;
        numbers = new DeviceNumbers(config, weights, kvFormat);
        for (Turn turn : turns) {
            Set<Integer> told = numbers.told(turn.token(), turn.layer()).orElseGet(() -> asSet(before.taken(turn.token(), turn.layer())));
            Set<Integer> changed = new HashSet<>(told);
            changed.remove(turn.from());
            changed.add(turn.to());
            numbers.tell(turn.token(), turn.layer(), changed);
        }
        reference = new ReferenceModel(config, weights, numbers);
        for (int i = 0; i < prompt.length; i++) {
            numbers.begin(i, true);
            expected = reference.run(prompt[i])[0];
        }
    }

    /// The nearest tie in the first layer whose counts are not the device's; null when they all are.
    private Turn nearest(long[][] taken) {
        List<ExpertLoad.Layer> layers = device.expertLoad().orElseThrow().layers();
        for (int i = 0; i < layers.size(); i++) {
            long[] missing = taken[i].clone();
            for (int token = 0; token < prompt.length; token++) {
                for (int expert : numbers.taken(token, layers.get(i).index())) {
                    missing[expert]--;
                }
            }
            if (Arrays.stream(missing).anyMatch(count -> count != 0)) {
                return nearest(layers.get(i).index(), missing);
            }
        }
        return null;
    }

    private Turn nearest(int layer, long[] missing) {
        Turn nearest = null;
        double least = Double.POSITIVE_INFINITY;
        for (int token = 0; token < prompt.length; token++) {
            Set<Integer> taken = asSet(numbers.taken(token, layer));
            double[] choice = numbers.choice(token, layer);
            for (int from : taken) {
                for (int to = 0; to < missing.length; to++) {
                    if (missing[from] < 0 && missing[to] > 0 && !taken.contains(to) && choice[from] - choice[to] < least) {
                        least = choice[from] - choice[to];
                        nearest = new Turn(token, layer, from, to);
                    }
                }
            }
        }
        if (nearest == null) {
            throw new AssertionError("layer " + layer + ": counts differ by " + Arrays.toString(missing) + ", which no token explains");
        }
        return nearest;
    }

    /// Runs one generated token.
    void next(int token) {
        long[][] before = counts();
        sequence.append(token);
        actual = run(device, sequence.next(1, LogitRows.LAST))[0];
        long[][] taken = difference(counts(), before);
        List<ExpertLoad.Layer> layers = device.expertLoad().orElseThrow().layers();
        for (int i = 0; i < layers.size(); i++) {
            Set<Integer> experts = new HashSet<>();
            for (int expert = 0; expert < taken[i].length; expert++) {
                if (taken[i][expert] > 0) {
                    experts.add(expert);
                }
            }
            numbers.tell(length, layers.get(i).index(), experts);
        }
        numbers.begin(length++, false);
        expected = reference.run(token)[0];
    }

    private static Set<Integer> asSet(int[] experts) {
        Set<Integer> set = new HashSet<>();
        for (int expert : experts) {
            set.add(expert);
        }
        return set;
    }

    private long[][] counts() {
        device.idle();
        ExpertLoad load = device.expertLoad().orElseThrow();
        long[][] counts = new long[load.layers().size()][];
        for (int layer = 0; layer < counts.length; layer++) {
            counts[layer] = new long[load.layers().get(layer).experts()];
            for (int expert = 0; expert < counts[layer].length; expert++) {
                counts[layer][expert] = load.tokens(layer, expert);
            }
        }
        return counts;
    }

    private static long[][] difference(long[][] after, long[][] before) {
        for (int layer = 0; layer < after.length; layer++) {
            for (int expert = 0; expert < after[layer].length; expert++) {
                after[layer][expert] -= before[layer][expert];
            }
        }
        return after;
    }

    /// The best token by the reference.
    int expectedChoice() {
        return argMax(expected);
    }

    /// How far the reference's best token is ahead of its second.
    double lead() {
        int best = expectedChoice();
        double second = Double.NEGATIVE_INFINITY;
        for (int token = 0; token < expected.length; token++) {
            second = token == best ? second : Math.max(second, expected[token]);
        }
        return expected[best] - second;
    }

    /// The largest difference of any logit.
    double worstDifference() {
        double worst = 0;
        for (int i = 0; i < expected.length; i++) {
            worst = Math.max(worst, Math.abs(actual[i] - expected[i]));
        }
        return worst;
    }

    private static int argMax(double[] values) {
        int best = 0;
        for (int i = 1; i < values.length; i++) {
            best = values[i] > values[best] ? i : best;
        }
        return best;
    }

    float[] actual() {
        return actual;
    }

    /// How far below its own choice the reference had to go to follow the device; 0 when it never had to.
    double farthestTie() {
        return numbers.farthestTie();
    }

    double relativeError() {
        double squares = 0;
        double differences = 0;
        for (int i = 0; i < expected.length; i++) {
            squares += expected[i] * expected[i];
            differences += (actual[i] - expected[i]) * (actual[i] - expected[i]);
        }
        return Math.sqrt(differences / squares);
    }
}
