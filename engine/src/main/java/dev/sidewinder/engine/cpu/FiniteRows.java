package dev.sidewinder.engine.cpu;

import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.TokenSource;
import java.util.BitSet;

/// Looks for NaN and infinity in what pieces of prompts leave in the residual stream. Of generated tokens the logits tell.
final class FiniteRows {

    private static final int EXPONENT = 0x7f800000;
    /// Makes a number negative whose exponent is all ones, and no other.
    private static final int LOWEST_EXPONENT_BIT = 0x00800000;

    private FiniteRows() {}

    /// Entries of a step, behind its last layer, of which some row is not finite.
    static BitSet spoiled(Step step, int hidden) {
        var spoiled = new BitSet();
        for (int i = 0; i < step.entries().size(); i++) {
            BatchEntry entry = step.entries().get(i);
            if (entry.source() == TokenSource.PROMPT) {
                int from = Math.multiplyExact(step.firstRow()[i], hidden);
                spoiled.set(i, !areFinite(step.residual(), from, from + entry.count() * hidden));
            }
        }
        return spoiled;
    }

    /// One test for all values: the loop has no branches.
    static boolean areFinite(float[] values, int from, int to) {
        int signs = 0;
        for (int i = from; i < to; i++) {
            signs |= (Float.floatToRawIntBits(values[i]) & EXPONENT) + LOWEST_EXPONENT_BIT;
        }
        return signs >= 0;
    }
}
