package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.kernel.AttentionShape;
import dev.sidewinder.engine.cpu.ReferenceModel;
import dev.sidewinder.engine.cpu.ReferenceModel.Input;
import dev.sidewinder.model.checkpoint.Bf16;
import dev.sidewinder.model.checkpoint.E4m3;
import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.DoubleUnaryOperator;

/// Where the CUDA backend rounds, for a [ReferenceModel]: in front of its products and in its cache, as the headers of the
/// kernels say. Its sums are left exact, and so is what it rounds within a kernel: probabilities, the operands of a scan.
///
/// Experts can be told from outside, for each token and layer; how far they lie below the reference's own choice is kept.
final class DeviceNumbers implements ReferenceModel.Numbers {

    private final KvFormat kvFormat;
    /// Tokens behind the prompt go through other kernels than those of the prompt.
    private boolean prompt = true;
    private int token;
    /// By token and layer.
    private final Map<Long, Set<Integer>> told = new HashMap<>();
    private final Map<Long, double[]> choices = new HashMap<>();
    private final Map<Long, int[]> taken = new HashMap<>();
    /// First matrices of shared experts that run by themselves, on activations that are bf16 already.
    private final Set<LinearWeight> sharedApart = Collections.newSetFromMap(new IdentityHashMap<>());
    private double farthestTie;

    DeviceNumbers(ModelConfig config, ModelWeights weights, KvFormat kvFormat) {
        this.kvFormat = kvFormat;
        for (int i = 0; i < config.layers().size(); i++) {
            if (weights.layers().get(i) instanceof LayerWeights.Experts experts && experts.sharedUp().isPresent()
                    && !new ExpertPlacement(i, (LayerSpec.Experts) config.layers().get(i), new WeightSink.Counting()).takesShared(experts)) {
                sharedApart.add(experts.sharedUp().get());
            }
        }
    }

    /// Says which token comes next.
    void begin(int token, boolean prompt) {
        this.token = token;
        this.prompt = prompt;
    }

    /// Says which experts a token goes to in a layer.
    void tell(int token, int layer, Set<Integer> experts) {
        told.put(key(token, layer), experts);
    }

    Optional<Set<Integer>> told(int token, int layer) {
        return Optional.ofNullable(told.get(key(token, layer)));
    }

    /// What the experts of a layer were chosen by.
    double[] choice(int token, int layer) {
        return choices.get(key(token, layer));
    }

    int[] taken(int token, int layer) {
        return taken.get(key(token, layer));
    }

    /// The farthest that any expert that was told lay below one that the reference would have taken.
    double farthestTie() {
        return farthestTie;
    }

    private static long key(int token, int layer) {
        return (long) token << 32 | layer;
    }

    @Override
    public int[] experts(int layer, double[] choice, int[] best) {
        choices.put(key(token, layer), choice);
        Set<Integer> wanted = told.get(key(token, layer));
        int[] result = wanted == null ? best : wanted.stream().mapToInt(Integer::intValue).toArray();
        taken.put(key(token, layer), result);
        farthestTie = wanted == null ? farthestTie : Math.max(farthestTie, tie(choice, best, wanted));
        return result;
    }

    private static double tie(double[] choice, int[] best, Set<Integer> wanted) {
        var missing = new HashSet<Integer>();
        for (int expert : best) {
            missing.add(expert);
        }
        missing.removeAll(wanted);
        double tie = 0;
        for (int expert : wanted) {
            boolean own = Arrays.stream(best).anyMatch(each -> each == expert);
            for (int left : missing) {
                tie = own ? tie : Math.max(tie, choice[left] - choice[expert]);
            }
        }
        return tie;
    }

    @Override
    public double[] input(LinearWeight weight, Input input, double[] x) {
        boolean narrow = takesE4m3(weight) && !sharedApart.contains(weight);
        return switch (input) {
            // two bf16 values, of which nothing is missed
            case MAMBA, GATED -> narrow ? e4m3(((LinearWeight.Fp8) weight).inputScale(), x) : x;
            case ATTENTION, ATTENDED, DENSE, MIDDLE, HEAD -> narrow ? e4m3(((LinearWeight.Fp8) weight).inputScale(), x) : bf16(x);
            // what the router has normalised is bf16 first
            case EXPERT, SHARED -> narrow ? e4m3(((LinearWeight.Fp8) weight).inputScale(), bf16(x)) : bf16(x);
            case LATENT -> bf16(x);
        };
    }

    @Override
    public double[] projected(LinearWeight in, double[] p) {
        return takesE4m3(in) ? bf16(p) : p;
    }

    @Override
    public double[] convolved(LinearWeight in, double[] u) {
        return takesE4m3(in) && prompt ? bf16(u) : u;
    }

    @Override
    public double[] scanned(LinearWeight in, double[] y) {
        return takesE4m3(in) && prompt ? bf16(y) : y;
    }

    private static boolean takesE4m3(LinearWeight weight) {
        return weight instanceof LinearWeight.Fp8 fp8 && WeightPlacement.hasInputScale(fp8);
    }

    @Override
    public double[] query(LayerSpec.Attention layer, double[] q) {
        if (!new AttentionShape(layer.queryHeads(), layer.kvHeads(), layer.headDim()).isTiled()) {
            return q;
        }
        return switch (kvFormat) {
            case BF16 -> bf16(q);
            case E4M3 -> each(q, value -> Float.float16ToFloat(Float.floatToFloat16((float) value)));
        };
    }

    @Override
    public double[] key(LayerWeights.Attention layer, double[] k) {
        return stored(layer.keyScale(), k);
    }

    @Override
    public double[] value(LayerWeights.Attention layer, double[] v) {
        return stored(layer.valueScale(), v);
    }

    private double[] stored(float scale, double[] x) {
        return switch (kvFormat) {
            case BF16 -> bf16(x);
            case E4M3 -> e4m3(scale, x);
        };
    }

    private static double[] bf16(double[] x) {
        return each(x, value -> Bf16.decode(Bf16.encode((float) value)));
    }

    private static double[] e4m3(float scale, double[] x) {
        float inverse = 1 / scale;
        return each(x, value -> (double) E4m3.decode(E4m3.encode((float) value * inverse)) * scale);
    }

    private static double[] each(double[] x, DoubleUnaryOperator rounding) {
        return Arrays.stream(x).map(rounding).toArray();
    }
}
