package dev.sidewinder.engine;

import dev.sidewinder.cuda.kernel.SampleRows;

/// Says what is wanted of the rows of logits of a step, so that whoever computes them can choose from them too. The engine
/// thread's own, and valid between [LaunchedStep#sample] and the end of [LaunchedStep#await].
public interface RowSampler {

    /// Describes a row to a device, which then comes to what [#sample] would.
    ///
    /// @param row of the step
    /// @param at  its place among those described
    /// @return false when a device cannot do it, or there is no room; nothing is described then
    boolean describe(int row, SampleRows rows, int at);

    /// Chooses on the host.
    ///
    /// @param values the row's logits begin at `offset`
    Sample sample(int row, float[] values, int offset);
}
