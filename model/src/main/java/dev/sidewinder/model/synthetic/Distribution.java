package dev.sidewinder.model.synthetic;

import dev.sidewinder.model.checkpoint.Parameter;

/// How the values of a parameter are spread. The widths keep the activations of a random model in the range of a
/// trained one: residual additions stay small beside the residual, time steps and decays are those of a fresh Mamba-2.
sealed interface Distribution {

    /// The value below which the share `p` of all values lies, `p` in (0, 1).
    double quantile(double p);

    /// A normal distribution.
    record Normal(double mean, double deviation) implements Distribution {
        @Override
        public double quantile(double p) {
            return mean + deviation * NormalQuantile.of(p);
        }
    }

    /// Evenly spread.
    record Uniform(double low, double high) implements Distribution {
        @Override
        public double quantile(double p) {
            return low + (high - low) * p;
        }
    }

    /// Logarithm of a decay rate between 1 and 16. Source: Dao and Gu 2024 (arXiv:2405.21060), reference code.
    record LogDecay() implements Distribution {
        @Override
        public double quantile(double p) {
            return StrictMath.log(1 + 15 * p);
        }
    }

    /// Inverse softplus of a time step, whose logarithm is evenly spread between those of 0.001 and 0.1.
    /// Source: Dao and Gu 2024 (arXiv:2405.21060), reference code.
    record TimeStep() implements Distribution {
        @Override
        public double quantile(double p) {
            double low = StrictMath.log(0.001);
            double step = StrictMath.exp(low + (StrictMath.log(0.1) - low) * p);
            return step + StrictMath.log(-StrictMath.expm1(-step));
        }
    }

    static Distribution of(Parameter parameter) {
        return switch (parameter.kind()) {
            case EMBEDDING -> new Normal(0, 0.5);
            case NORM, SKIP -> new Normal(1, 0.1);
            case CONV_WEIGHT -> new Uniform(-0.5, 0.5);
            case CONV_BIAS -> new Normal(0, 0.1);
            case CORRECTION_BIAS -> new Normal(0, 0.01);
            case A_LOG -> new LogDecay();
            case TIME_STEP_BIAS -> new TimeStep();
            case IN_PROJECTION, QUERY, KEY, VALUE, ROUTER, EXPERT_UP, SHARED_UP, MLP_UP, LATENT_IN, LATENT_OUT,
                    DRAFT_PROJECTION -> scaled(1, parameter);
            case OUT_PROJECTION, ATTENTION_OUTPUT -> scaled(0.5, parameter);
            case EXPERT_DOWN, SHARED_DOWN, MLP_DOWN -> scaled(0.2, parameter);
            case HEAD -> scaled(2, parameter);
        };
    }

    /// Outputs of this deviation when the inputs have deviation 1.
    private static Distribution scaled(double deviation, Parameter parameter) {
        return new Normal(0, deviation / StrictMath.sqrt(parameter.shape().get(1)));
    }
}
