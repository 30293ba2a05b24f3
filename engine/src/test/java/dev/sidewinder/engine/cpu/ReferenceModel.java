package dev.sidewinder.engine.cpu;

import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.LinearWeight;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.checkpoint.TensorView;
import dev.sidewinder.model.checkpoint.WeightReader;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// The whole model once more, in double precision, one token after the other, formula by formula: slow, plain, and
/// sharing no code with the backend but the reading of weights. For one sequence, which each call goes on with.
///
/// Where a backend rounds on the way, and which experts it chose where two were as good, it can be told with [Numbers]: what
/// then differs comes from orders of sums alone.
public final class ReferenceModel {

    /// What goes into a product.
    public enum Input { MAMBA, GATED, ATTENTION, ATTENDED, EXPERT, LATENT, SHARED, DENSE, MIDDLE, HEAD }

    /// What is lost on the way. By default nothing is.
    public interface Numbers {

        Numbers EXACT = new Numbers() {};

        /// Activations in front of a product.
        default double[] input(LinearWeight weight, Input input, double[] x) {
            return x;
        }

        /// What comes of a Mamba layer's input projection.
        default double[] projected(LinearWeight in, double[] p) {
            return p;
        }

        /// x, B and C of a Mamba layer behind the convolution.
        default double[] convolved(LinearWeight in, double[] u) {
            return u;
        }

        /// What comes of the recurrence.
        default double[] scanned(LinearWeight in, double[] y) {
            return y;
        }

        default double[] query(LayerSpec.Attention layer, double[] q) {
            return q;
        }

        /// A key as it is stored.
        default double[] key(LayerWeights.Attention layer, double[] k) {
            return k;
        }

        /// A value as it is stored.
        default double[] value(LayerWeights.Attention layer, double[] v) {
            return v;
        }

        /// Which experts a token goes to.
        ///
        /// @param choice what they are chosen by, the largest first
        /// @param best   those that are, the best first
        default int[] experts(int layer, double[] choice, int[] best) {
            return best;
        }
    }

    private final ModelConfig config;
    private final Numbers numbers;
    private final LinearWeight headWeight;
    private final double[][] embeddings;
    private final List<Mixer> mixers = new ArrayList<>();
    private final List<double[]> norms = new ArrayList<>();
    private final double[] finalNorm;
    private final double[][] head;

    private interface Mixer {
        double[] apply(double[] x);
    }

    public ReferenceModel(ModelConfig config, ModelWeights weights) {
        this(config, weights, Numbers.EXACT);
    }

    public ReferenceModel(ModelConfig config, ModelWeights weights, Numbers numbers) {
        this.config = config;
        this.numbers = numbers;
        embeddings = matrix(new LinearWeight.Plain(weights.embeddings(), 0, config.vocabSize(), config.hiddenSize()));
        for (int i = 0; i < config.layers().size(); i++) {
            LayerWeights layer = weights.layers().get(i);
            norms.add(vector(layer.norm()));
            mixers.add(switch (config.layers().get(i)) {
                case LayerSpec.Mamba spec -> new Mamba(spec, (LayerWeights.Mamba) layer, config.normEpsilon(), numbers);
                case LayerSpec.Attention spec -> new Attention(spec, (LayerWeights.Attention) layer, numbers);
                case LayerSpec.Experts spec -> new Experts(spec, (LayerWeights.Experts) layer, i, numbers);
                case LayerSpec.Mlp spec -> {
                    var mlp = (LayerWeights.Mlp) layer;
                    double[][] up = matrix(mlp.up());
                    double[][] down = matrix(mlp.down());
                    yield x -> times(down, numbers.input(mlp.down(), Input.MIDDLE,
                            squaredRelu(times(up, numbers.input(mlp.up(), Input.DENSE, x)))));
                }
            });
        }
        finalNorm = vector(weights.finalNorm());
        headWeight = weights.head();
        head = matrix(headWeight);
    }

    /// The logits after each token.
    public double[][] run(int... tokens) {
        double[][] logits = new double[tokens.length][];
        for (int t = 0; t < tokens.length; t++) {
            double[] x = embeddings[tokens[t]].clone();
            for (int layer = 0; layer < mixers.size(); layer++) {
                double[] mixed = mixers.get(layer).apply(rms(x, norms.get(layer), config.normEpsilon()));
                for (int i = 0; i < x.length; i++) {
                    x[i] += mixed[i];
                }
            }
            logits[t] = times(head, numbers.input(headWeight, Input.HEAD, rms(x, finalNorm, config.normEpsilon())));
        }
        return logits;
    }

    private static final class Mamba implements Mixer {
        private final LayerSpec.Mamba spec;
        private final LayerWeights.Mamba weights;
        private final Numbers numbers;
        private final double epsilon;
        private final double[][] in;
        private final double[][] out;
        private final double[] convWeight;
        private final double[] convBias;
        private final double[] aLog;
        private final double[] skip;
        private final double[] timeStepBias;
        private final double[] gateNorm;
        private final List<double[]> past = new ArrayList<>();
        private final double[][][] state;

        Mamba(LayerSpec.Mamba spec, LayerWeights.Mamba weights, double epsilon, Numbers numbers) {
            this.spec = spec;
            this.weights = weights;
            this.numbers = numbers;
            this.epsilon = epsilon;
            in = matrix(weights.inProjection());
            out = matrix(weights.outProjection());
            convWeight = vector(weights.convWeight());
            convBias = weights.convBias().map(ReferenceModel::vector).orElseGet(() -> new double[spec.convDim()]);
            aLog = vector(weights.aLog());
            skip = vector(weights.skip());
            timeStepBias = vector(weights.timeStepBias());
            gateNorm = vector(weights.gateNorm());
            state = new double[spec.heads()][spec.headDim()][spec.stateDim()];
            for (int i = 0; i < spec.convWidth() - 1; i++) {
                past.add(new double[spec.convDim()]);
            }
        }

        @Override
        public double[] apply(double[] x) {
            int inner = spec.innerDim();
            double[] p = numbers.projected(weights.inProjection(), times(in, numbers.input(weights.inProjection(), Input.MAMBA, x)));
            past.add(Arrays.copyOfRange(p, inner, inner + spec.convDim()));
            double[] u = new double[spec.convDim()];
            for (int c = 0; c < u.length; c++) {
                double sum = convBias[c];
                for (int j = 0; j < spec.convWidth(); j++) {
                    sum += convWeight[c * spec.convWidth() + j] * past.get(past.size() - spec.convWidth() + j)[c];
                }
                u[c] = silu(sum);
            }
            u = numbers.convolved(weights.inProjection(), u);
            double[] y = new double[inner];
            for (int h = 0; h < spec.heads(); h++) {
                head(h, u, p[inner + spec.convDim() + h], y);
            }
            y = numbers.scanned(weights.inProjection(), y);
            for (int i = 0; i < inner; i++) {
                y[i] *= silu(p[i]);
            }
            int width = inner / spec.groups();
            double[] o = new double[inner];
            for (int k = 0; k < spec.groups(); k++) {
                double[] part = rms(Arrays.copyOfRange(y, k * width, (k + 1) * width),
                        Arrays.copyOfRange(gateNorm, k * width, (k + 1) * width), epsilon);
                System.arraycopy(part, 0, o, k * width, width);
            }
            return times(out, numbers.input(weights.outProjection(), Input.GATED, o));
        }

        private void head(int h, double[] u, double rawTimeStep, double[] y) {
            int group = h / (spec.heads() / spec.groups());
            int b = spec.innerDim() + group * spec.stateDim();
            int c = spec.innerDim() + (spec.groups() + group) * spec.stateDim();
            double dt = Math.log1p(Math.exp(rawTimeStep + timeStepBias[h]));
            double decay = Math.exp(-dt * Math.exp(aLog[h]));
            for (int p = 0; p < spec.headDim(); p++) {
                double value = u[h * spec.headDim() + p];
                double sum = skip[h] * value;
                for (int n = 0; n < spec.stateDim(); n++) {
                    state[h][p][n] = decay * state[h][p][n] + dt * value * u[b + n];
                    sum += state[h][p][n] * u[c + n];
                }
                y[h * spec.headDim() + p] = sum;
            }
        }
    }

    private static final class Attention implements Mixer {
        private final LayerSpec.Attention spec;
        private final LayerWeights.Attention weights;
        private final Numbers numbers;
        private final double[][] query;
        private final double[][] key;
        private final double[][] value;
        private final double[][] output;
        private final List<double[]> keys = new ArrayList<>();
        private final List<double[]> values = new ArrayList<>();

        Attention(LayerSpec.Attention spec, LayerWeights.Attention weights, Numbers numbers) {
            this.spec = spec;
            this.weights = weights;
            this.numbers = numbers;
            query = matrix(weights.query());
            key = matrix(weights.key());
            value = matrix(weights.value());
            output = matrix(weights.output());
        }

        @Override
        public double[] apply(double[] x) {
            int d = spec.headDim();
            double[] q = numbers.query(spec, times(query, numbers.input(weights.query(), Input.ATTENTION, x)));
            keys.add(numbers.key(weights, times(key, numbers.input(weights.key(), Input.ATTENTION, x))));
            values.add(numbers.value(weights, times(value, numbers.input(weights.value(), Input.ATTENTION, x))));
            double[] mixed = new double[spec.queryHeads() * d];
            for (int h = 0; h < spec.queryHeads(); h++) {
                int kv = h / (spec.queryHeads() / spec.kvHeads()) * d;
                double[] shares = new double[keys.size()];
                double total = 0;
                for (int t = 0; t < shares.length; t++) {
                    double score = 0;
                    for (int i = 0; i < d; i++) {
                        score += q[h * d + i] * keys.get(t)[kv + i];
                    }
                    shares[t] = Math.exp(score / Math.sqrt(d));
                    total += shares[t];
                }
                for (int t = 0; t < shares.length; t++) {
                    for (int i = 0; i < d; i++) {
                        mixed[h * d + i] += shares[t] / total * values.get(t)[kv + i];
                    }
                }
            }
            return times(output, numbers.input(weights.output(), Input.ATTENDED, mixed));
        }
    }

    private static final class Experts implements Mixer {
        private final LayerSpec.Experts spec;
        private final double[][] gate;
        private final double[] bias;
        private final List<double[][]> up;
        private final List<double[][]> down;
        private final LayerWeights.Experts weights;
        private final int layer;
        private final Numbers numbers;

        Experts(LayerSpec.Experts spec, LayerWeights.Experts weights, int layer, Numbers numbers) {
            this.spec = spec;
            this.weights = weights;
            this.layer = layer;
            this.numbers = numbers;
            int hidden = (int) (weights.gate().elements() / spec.routed());
            gate = matrix(new LinearWeight.Plain(weights.gate(), 0, spec.routed(), hidden));
            bias = vector(weights.correctionBias());
            up = weights.up().stream().map(ReferenceModel::matrix).toList();
            down = weights.down().stream().map(ReferenceModel::matrix).toList();
        }

        @Override
        public double[] apply(double[] x) {
            double[] scores = times(gate, x);
            double[] choice = new double[scores.length];
            for (int e = 0; e < scores.length; e++) {
                scores[e] = 1 / (1 + Math.exp(-scores[e]));
                choice[e] = scores[e] + bias[e];
            }
            double[] allowed = restricted(choice);
            int[] chosen = numbers.experts(layer, allowed, best(allowed, spec.active()));
            double total = spec.normalise() ? Arrays.stream(chosen).mapToDouble(e -> scores[e]).sum() + 1e-20 : 1;
            double[] narrow = weights.latentIn().map(in -> times(matrix(in), numbers.input(in, Input.LATENT, x))).orElse(x);
            double[] routed = new double[narrow.length];
            for (int e : chosen) {
                double[] y = dense(weights.up().get(e), up.get(e), weights.down().get(e), down.get(e), Input.EXPERT, narrow);
                for (int i = 0; i < y.length; i++) {
                    routed[i] += scores[e] / total * y[i];
                }
            }
            double[] wide = weights.latentOut().isPresent()
                    ? times(matrix(weights.latentOut().get()), numbers.input(weights.latentOut().get(), Input.LATENT, scaled(routed)))
                    : scaled(routed);
            double[] result = new double[x.length];
            double[] shared = weights.sharedUp()
                    .map(sharedUp -> dense(sharedUp, matrix(sharedUp), weights.sharedDown().get(), matrix(weights.sharedDown().get()),
                            Input.SHARED, x))
                    .orElseGet(() -> new double[x.length]);
            for (int i = 0; i < result.length; i++) {
                result[i] = wide[i] + shared[i];
            }
            return result;
        }

        private double[] scaled(double[] routed) {
            return Arrays.stream(routed).map(value -> spec.scale() * value).toArray();
        }

        private double[] dense(LinearWeight upWeight, double[][] up, LinearWeight downWeight, double[][] down, Input input, double[] x) {
            return times(down, numbers.input(downWeight, Input.MIDDLE, squaredRelu(times(up, numbers.input(upWeight, input, x)))));
        }

        /// With several groups only the best may be chosen from; a group counts as the sum of its two best.
        private double[] restricted(double[] choice) {
            if (spec.groups() == 1) {
                return choice;
            }
            int size = spec.routed() / spec.groups();
            double[] groupScores = new double[spec.groups()];
            for (int g = 0; g < groupScores.length; g++) {
                double[] sorted = Arrays.copyOfRange(choice, g * size, (g + 1) * size);
                Arrays.sort(sorted);
                groupScores[g] = sorted[size - 1] + sorted[size - 2];
            }
            double[] kept = new double[choice.length];
            for (int g : best(groupScores, spec.activeGroups())) {
                System.arraycopy(choice, g * size, kept, g * size, size);
            }
            return kept;
        }

        private static int[] best(double[] values, int count) {
            Integer[] order = new Integer[values.length];
            Arrays.setAll(order, i -> i);
            Arrays.sort(order, (a, b) -> Double.compare(values[b], values[a]));
            return Arrays.stream(order).limit(count).mapToInt(i -> i).toArray();
        }
    }

    private static double[] times(double[][] matrix, double[] x) {
        double[] y = new double[matrix.length];
        for (int row = 0; row < y.length; row++) {
            double sum = 0;
            for (int i = 0; i < x.length; i++) {
                sum += matrix[row][i] * x[i];
            }
            y[row] = sum;
        }
        return y;
    }

    private static double[] rms(double[] x, double[] weight, double epsilon) {
        double squares = 0;
        for (double value : x) {
            squares += value * value;
        }
        double factor = 1 / Math.sqrt(squares / x.length + epsilon);
        double[] y = new double[x.length];
        for (int i = 0; i < y.length; i++) {
            y[i] = x[i] * factor * weight[i];
        }
        return y;
    }

    private static double[] squaredRelu(double[] x) {
        return Arrays.stream(x).map(value -> value > 0 ? value * value : 0).toArray();
    }

    private static double silu(double value) {
        return value / (1 + Math.exp(-value));
    }

    private static double[] vector(TensorView tensor) {
        float[] values = WeightReader.vector(tensor);
        double[] wide = new double[values.length];
        Arrays.setAll(wide, i -> values[i]);
        return wide;
    }

    private static double[][] matrix(LinearWeight weight) {
        double[][] rows = new double[weight.outputs()][weight.inputs()];
        float[] row = new float[weight.inputs()];
        var reader = new WeightReader();
        for (int r = 0; r < rows.length; r++) {
            reader.readRow(weight, r, row, 0);
            for (int i = 0; i < row.length; i++) {
                rows[r][i] = row[i];
            }
        }
        return rows;
    }
}
