package dev.sidewinder.model.config;

/// What one layer of the model is. Every layer holds exactly one mixer: `x += mixer(rmsnorm(x))`.
public sealed interface LayerSpec {

    /// The letter of this kind in `hybrid_override_pattern`.
    char letter();

    /// Mamba-2: gate, causal convolution and selective recurrence.
    ///
    /// @param heads     recurrence heads
    /// @param headDim   channels of one head
    /// @param groups    groups that share B and C, and groups of the gated norm
    /// @param stateDim  state size N
    /// @param convWidth taps of the causal convolution, the current token included
    /// @param convBias  whether the convolution has a bias
    record Mamba(int heads, int headDim, int groups, int stateDim, int convWidth, boolean convBias)
            implements LayerSpec {
        /// A layer whose convolution has a bias, as in every released model.
        public Mamba(int heads, int headDim, int groups, int stateDim, int convWidth) {
            this(heads, headDim, groups, stateDim, convWidth, true);
        }

        /// Width of the gate and of the recurrence: `heads x headDim`. (`expand` in config.json is not used.)
        public int innerDim() {
            return heads * headDim;
        }

        /// Channels that pass through the convolution: x, B and C.
        public int convDim() {
            return innerDim() + 2 * groups * stateDim;
        }

        /// Rows of the input projection: gate, convolution channels, raw time steps.
        public int projectionDim() {
            return innerDim() + convDim() + heads;
        }

        @Override
        public char letter() {
            return 'M';
        }
    }

    /// Causal attention without positions, grouped queries.
    record Attention(int queryHeads, int kvHeads, int headDim) implements LayerSpec {
        @Override
        public char letter() {
            return '*';
        }
    }

    /// Mixture of experts: sigmoid router, routed experts and one shared expert, squared ReLU.
    ///
    /// @param routed             number of routed experts
    /// @param active             experts that run for a token
    /// @param intermediate       width inside a routed expert
    /// @param sharedIntermediate width inside the shared expert; 0 when there is none
    /// @param latent             width the routed experts work on (LatentMoE); 0 when they see the full width
    /// @param groups             routing groups (1 = off)
    /// @param activeGroups       groups kept when there are several
    /// @param normalise          whether the chosen weights are divided by their sum
    /// @param scale              factor on the routed sum
    record Experts(int routed, int active, int intermediate, int sharedIntermediate, int latent, int groups,
            int activeGroups, boolean normalise, float scale) implements LayerSpec {
        @Override
        public char letter() {
            return 'E';
        }
    }

    /// Dense feed-forward layer with squared ReLU.
    record Mlp(int intermediate) implements LayerSpec {
        @Override
        public char letter() {
            return '-';
        }
    }
}
