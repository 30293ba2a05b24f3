package dev.sidewinder.engine.cpu;

/// One layer: norm, mixer and sum, `x += mixer(rmsnorm(x))` over the rows of a step.
sealed interface Layer permits MambaLayer, ExpertsLayer, AttentionLayer, MlpLayer {

    void forward(Step step);
}
