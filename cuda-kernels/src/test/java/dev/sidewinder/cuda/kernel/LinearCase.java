package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import java.util.Collections;
import java.util.List;

/// A product to check.
///
/// @param columns of each part
/// @param finishes of each part
/// @param ranges whether the parts are column ranges of one matrix; else each has a matrix and a scale of its own
/// @param low whether activations come in two bf16 values
/// @param scattered whether tokens take their rows by an index, with repetitions and padded rows
/// @param weightScale of the matrices, about; may be subnormal
public record LinearCase(Numbers numbers, int tokens, List<Integer> columns, int inputs, List<Finish> finishes, boolean ranges,
        boolean low, boolean scattered, float weightScale, long seed) {

    public LinearCase {
        columns = List.copyOf(columns);
        finishes = List.copyOf(finishes);
    }

    public static LinearCase of(Numbers numbers, int tokens, int outputs, int inputs) {
        return new LinearCase(numbers, tokens, List.of(outputs), inputs, List.of(Finish.STORE_F32), false, false, false,
                numbers == Numbers.BF16 ? 1 : 0.037f, 1);
    }

    public int outputs() {
        return columns.stream().mapToInt(Integer::intValue).sum();
    }

    public LinearCase withTokens(int count) {
        return new LinearCase(numbers, count, columns, inputs, finishes, ranges, low, scattered, weightScale, seed);
    }

    public LinearCase finishing(Finish finish) {
        return new LinearCase(numbers, tokens, columns, inputs, Collections.nCopies(columns.size(), finish), ranges, low, scattered,
                weightScale, seed);
    }

    public LinearCase withParts(List<Integer> partColumns, List<Finish> partFinishes) {
        return new LinearCase(numbers, tokens, partColumns, inputs, partFinishes, ranges, low, scattered, weightScale, seed);
    }

    public LinearCase asRanges() {
        return new LinearCase(numbers, tokens, columns, inputs, finishes, true, low, scattered, weightScale, seed);
    }

    public LinearCase withLow() {
        return new LinearCase(numbers, tokens, columns, inputs, finishes, ranges, true, scattered, weightScale, seed);
    }

    public LinearCase withScatteredRows() {
        return new LinearCase(numbers, tokens, columns, inputs, finishes, ranges, low, true, weightScale, seed);
    }

    public LinearCase scaled(float scale) {
        return new LinearCase(numbers, tokens, columns, inputs, finishes, ranges, low, scattered, scale, seed);
    }

    public LinearCase seeded(long newSeed) {
        return new LinearCase(numbers, tokens, columns, inputs, finishes, ranges, low, scattered, weightScale, newSeed);
    }
}
