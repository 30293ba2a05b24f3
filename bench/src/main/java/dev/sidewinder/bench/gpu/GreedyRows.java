package dev.sidewinder.bench.gpu;

import dev.sidewinder.cuda.kernel.SampleRows;
import dev.sidewinder.engine.RowSampler;
import dev.sidewinder.engine.Sample;

/// Chooses the most likely token of every row, on the device where the backend can.
final class GreedyRows implements RowSampler {

    private final int vocabSize;

    GreedyRows(int vocabSize) {
        this.vocabSize = vocabSize;
    }

    @Override
    public boolean describe(int row, SampleRows rows, int at) {
        rows.begin(at);
        return true;
    }

    @Override
    public Sample sample(int row, float[] values, int offset) {
        int best = 0;
        boolean finite = true;
        for (int token = 0; token < vocabSize; token++) {
            finite &= Float.isFinite(values[offset + token]);
            best = values[offset + token] > values[offset + best] ? token : best;
        }
        return finite ? new Sample.Chosen(best, null) : Sample.NOT_FINITE;
    }
}
