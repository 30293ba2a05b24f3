package dev.sidewinder.cuda.kernel;

import java.util.Arrays;

/// One sequence through a Mamba-2 layer between its projections, token by token in double precision.
/// Source: model-spec §3.3.
final class MambaReference {

    private final MambaWeights weights;
    private final MambaShape shape;
    /// `[taps - 1, channels]`, raw inputs, oldest first.
    private final double[] history;
    /// `[heads, headDim, stateDim]`
    private final double[] recurrent;

    MambaReference(MambaWeights weights) {
        this.weights = weights;
        shape = weights.shape();
        history = new double[(shape.taps() - 1) * shape.channels()];
        recurrent = new double[shape.innerDim() * shape.stateDim()];
    }

    /// Begins where a slot's contents say.
    MambaReference(MambaWeights weights, float[] history, float[] recurrent) {
        this(weights);
        Arrays.setAll(this.history, i -> history[i]);
        Arrays.setAll(this.recurrent, i -> recurrent[i]);
    }

    double[] history() {
        return history.clone();
    }

    double[] recurrent() {
        return recurrent.clone();
    }

    /// x | B | C of the row at `at` of `projected`; the row enters the history.
    double[] convolve(float[] projected, int at) {
        int channels = shape.channels();
        int past = shape.taps() - 1;
        double[] out = new double[channels];
        for (int channel = 0; channel < channels; channel++) {
            double sum = weights.convBias() == null ? 0 : weights.convBias()[channel];
            for (int tap = 0; tap < past; tap++) {
                sum += (double) weights.convWeight()[channel * shape.taps() + tap] * history[tap * channels + channel];
            }
            sum += (double) weights.convWeight()[channel * shape.taps() + past] * projected[at + shape.innerDim() + channel];
            out[channel] = silu(sum);
        }
        System.arraycopy(history, channels, history, 0, (past - 1) * channels);
        for (int channel = 0; channel < channels; channel++) {
            history[(past - 1) * channels + channel] = projected[at + shape.innerDim() + channel];
        }
        return out;
    }

    double[] timeSteps(float[] projected, int at) {
        double[] out = new double[shape.heads()];
        for (int head = 0; head < out.length; head++) {
            double raw = (double) projected[at + shape.innerDim() + shape.channels() + head] + weights.timeStepBias()[head];
            out[head] = raw > 20 ? raw : Math.log1p(Math.exp(raw));
        }
        return out;
    }

    /// y of one token; the state advances.
    double[] recur(double[] convolved, double[] timeSteps) {
        int headDim = shape.headDim();
        int stateDim = shape.stateDim();
        double[] y = new double[shape.innerDim()];
        for (int head = 0; head < shape.heads(); head++) {
            double decay = Math.exp(timeSteps[head] * weights.decayRate()[head]);
            int group = head / (shape.heads() / shape.groups());
            int b = shape.innerDim() + group * stateDim;
            int c = b + shape.groups() * stateDim;
            for (int p = 0; p < headDim; p++) {
                double x = convolved[head * headDim + p];
                double input = timeSteps[head] * x;
                double sum = 0;
                int row = (head * headDim + p) * stateDim;
                for (int n = 0; n < stateDim; n++) {
                    recurrent[row + n] = decay * recurrent[row + n] + input * convolved[b + n];
                    sum += recurrent[row + n] * convolved[c + n];
                }
                y[head * headDim + p] = sum + weights.skip()[head] * x;
            }
        }
        return y;
    }

    /// What the output projection takes.
    double[] gateAndNormalise(double[] y, float[] projected, int at) {
        int width = shape.groupWidth();
        double[] out = new double[y.length];
        for (int group = 0; group < shape.groups(); group++) {
            double squares = 0;
            for (int i = group * width; i < (group + 1) * width; i++) {
                out[i] = y[i] * silu(projected[at + i]);
                squares += out[i] * out[i];
            }
            double factor = 1 / Math.sqrt(squares / width + weights.epsilon());
            for (int i = group * width; i < (group + 1) * width; i++) {
                out[i] *= factor * weights.norm()[i];
            }
        }
        return out;
    }

    /// The whole way of one token.
    double[] step(float[] projected, int at) {
        double[] timeSteps = timeSteps(projected, at);
        return gateAndNormalise(recur(convolve(projected, at), timeSteps), projected, at);
    }

    static double silu(double value) {
        return value / (1 + Math.exp(-value));
    }
}
