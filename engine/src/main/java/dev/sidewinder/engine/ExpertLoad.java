package dev.sidewinder.engine;

import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/// How many tokens went to each routed expert, for metrics. A token counts once for each of the experts that it was given to.
/// A backend that runs experts in blocks which a device shares out may also say how evenly.
///
/// A backend counts on its own and hands the counts over with [#record] now and then: when [#isDue] says so, and when it has
/// nothing else to do. So reading costs a step nothing, and numbers are at most [#RECORD_STEPS] steps old, and exact at rest.
///
/// Written by the thread that runs steps, read by any.
public final class ExpertLoad {

    /// How often counts are handed over. For 23 layers of 128 experts a copy is 24 KB and some microseconds: far below a
    /// thousandth of so many steps.
    public static final int RECORD_STEPS = 64;
    /// What [#imbalance] looks back over, to within [#RECORD_STEPS].
    public static final int WINDOW_STEPS = 1024;

    /// A layer that has experts.
    ///
    /// @param index   among the layers of the model, from 0
    /// @param experts routed ones
    public record Layer(int index, int experts) {}

    /// What the places have done on which a device runs blocks of experts: the busiest one, and the mean of those that had
    /// any, each summed over products.
    ///
    /// @param busiest in a unit of the backend's
    /// @param mean    in the same unit
    public record Work(long busiest, long mean) {

        static final Work NONE = new Work(0, 0);
    }

    /// @param steps  completed when it was taken
    /// @param tokens of each expert since the start, by layer
    /// @param work   since the start, by layer; empty where it is not counted
    private record Counts(long steps, long[][] tokens, List<Work> work) {}

    /// @param before where the window begins
    private record View(Counts now, Counts before) {}

    private final List<Layer> layers;
    /// The beginnings of windows to come, the oldest first; at least [#RECORD_STEPS] steps apart.
    private final Deque<Counts> earlier = new ArrayDeque<>();
    private volatile View view;

    private ExpertLoad(List<Layer> layers, boolean countsWork) {
        this.layers = List.copyOf(layers);
        var start = new Counts(0, layers.stream().map(layer -> new long[layer.experts()]).toArray(long[][]::new),
                countsWork ? layers.stream().map(_ -> Work.NONE).toList() : List.of());
        earlier.add(start);
        view = new View(start, start);
    }

    /// Zeros for every expert of a model, of a backend that counts tokens alone.
    public static ExpertLoad of(ModelConfig config) {
        return new ExpertLoad(expertLayers(config), false);
    }

    /// Zeros of a backend that counts work, too.
    public static ExpertLoad withWork(ModelConfig config) {
        return new ExpertLoad(expertLayers(config), true);
    }

    private static List<Layer> expertLayers(ModelConfig config) {
        List<Layer> layers = new ArrayList<>();
        for (int i = 0; i < config.layers().size(); i++) {
            if (config.layers().get(i) instanceof LayerSpec.Experts experts) {
                layers.add(new Layer(i, experts.routed()));
            }
        }
        return layers;
    }

    /// Those with experts, in the order of the model; empty for a model without.
    public List<Layer> layers() {
        return layers;
    }

    /// Whether there is a [#workImbalance].
    public boolean countsWork() {
        return !view.now().work().isEmpty();
    }

    /// Whether counts should be handed over again.
    ///
    /// @param steps completed so far
    public boolean isDue(long steps) {
        return !layers.isEmpty() && steps - view.now().steps() >= RECORD_STEPS;
    }

    /// Whether there are steps whose tokens have not been handed over.
    public boolean isBehind(long steps) {
        return !layers.isEmpty() && steps > view.now().steps();
    }

    /// Hands counts over.
    ///
    /// @param steps  completed when they were taken
    /// @param tokens of each expert since the start, by layer with experts; kept, so nobody writes it any more
    public void record(long steps, long[][] tokens) {
        record(steps, tokens, List.of());
    }

    /// The same with work.
    ///
    /// @param work since the start, by layer with experts; empty where it is not counted
    public void record(long steps, long[][] tokens, List<Work> work) {
        if (countsWork() != !work.isEmpty()) {
            throw new IllegalArgumentException("counts of work of " + work.size() + " layers, where "
                    + (countsWork() ? layers.size() + " are counted" : "none is"));
        }
        var now = new Counts(steps, tokens, List.copyOf(work));
        if (steps - earlier.getLast().steps() >= RECORD_STEPS) {
            earlier.add(now);
        }
        Counts before = earlier.removeFirst();
        while (!earlier.isEmpty() && earlier.getFirst().steps() <= steps - WINDOW_STEPS) {
            before = earlier.removeFirst();
        }
        earlier.addFirst(before);
        view = new View(now, before);
    }

    /// Tokens that ever went to an expert.
    ///
    /// @param layer index into [#layers]
    public long tokens(int layer, int expert) {
        return view.now().tokens()[layer][expert];
    }

    /// `max / mean - 1` of the tokens of a layer's experts over the last steps; 0 when there were none.
    ///
    /// @param layer index into [#layers]
    public double imbalance(int layer) {
        View current = view;
        long[] now = current.now().tokens()[layer];
        long[] before = current.before().tokens()[layer];
        long most = 0;
        long all = 0;
        for (int expert = 0; expert < now.length; expert++) {
            long tokens = now[expert] - before[expert];
            most = Math.max(most, tokens);
            all += tokens;
        }
        return all == 0 ? 0 : most * (double) now.length / all - 1;
    }

    /// `(busiest - mean) / mean` of the work of the places that run a layer's experts, over the last steps; 0 when there was none.
    ///
    /// @param layer index into [#layers]
    /// @throws IllegalStateException when it is not counted
    public double workImbalance(int layer) {
        if (!countsWork()) {
            throw new IllegalStateException("the work of experts is not counted by this backend");
        }
        View current = view;
        Work now = current.now().work().get(layer);
        Work before = current.before().work().get(layer);
        long mean = now.mean() - before.mean();
        return mean == 0 ? 0 : (now.busiest() - before.busiest() - mean) / (double) mean;
    }
}
