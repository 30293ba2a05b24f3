package dev.sidewinder.engine.stub;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import java.util.Arrays;
import java.util.concurrent.locks.LockSupport;

/// Computes nothing; measures and tests everything around the model. The most likely next token is a hash of all tokens
/// so far, [#nextToken], by so much that sampling at ordinary temperatures chooses it too.
///
/// The hash of a sequence is kept by its state slot and carried on token by token, as a model's state is, so a step costs
/// the same however long the sequence is.
public final class StubBackend implements Backend {

    private static final float PEAK = 40f;

    private final StubShape shape;
    private final long[] hashes;
    private float[] values = new float[0];
    /// Where the peaks of the latest step are, to take them away again.
    private int[] peaks = new int[0];
    private int peakCount;

    public StubBackend(StubShape shape) {
        this.shape = shape;
        this.hashes = new long[shape.cache().slots()];
    }

    /// The token that follows the first `length` tokens.
    public static int nextToken(int[] tokens, int length, int vocabSize) {
        long hash = 0;
        for (int i = 0; i < length; i++) {
            hash = mix(hash, tokens[i]);
        }
        return tokenOf(hash, vocabSize);
    }

    private static int tokenOf(long hash, int vocabSize) {
        return (int) Long.remainderUnsigned(hash, vocabSize);
    }

    /// Source: the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
    private static long mix(long hash, int token) {
        long z = hash + 0x9E3779B97F4A7C15L * (token + 1L);
        z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }

    @Override
    public CacheShape cacheShape() {
        return shape.cache();
    }

    @Override
    public int vocabSize() {
        return shape.vocabSize();
    }

    @Override
    public Logits forward(Batch batch) {
        makeRoom(batch.logitRows());
        int row = 0;
        for (BatchEntry entry : batch.entries()) {
            row += run(entry, row);
        }
        pause(shape.stepDelay().toNanos() + batch.tokens() * shape.tokenDelay().toNanos());
        return new Logits(values, row, shape.vocabSize());
    }

    private int run(BatchEntry entry, int firstRow) {
        int slot = entry.allocation().slot();
        long hash = entry.from() == 0 ? 0 : hashes[slot];
        int rows = 0;
        int end = entry.from() + entry.count();
        for (int position = entry.from(); position < end; position++) {
            hash = mix(hash, entry.tokens()[position]);
            if (entry.logits() == LogitRows.ALL || entry.logits() == LogitRows.LAST && position == end - 1) {
                int peak = (firstRow + rows++) * shape.vocabSize() + tokenOf(hash, shape.vocabSize());
                values[peak] = PEAK;
                peaks[peakCount++] = peak;
            }
        }
        hashes[slot] = hash;
        return rows;
    }

    private void makeRoom(int rows) {
        for (int i = 0; i < peakCount; i++) {
            values[peaks[i]] = 0;
        }
        peakCount = 0;
        if (rows > peaks.length) {
            peaks = new int[rows];
            values = Arrays.copyOf(values, Math.multiplyExact(rows, shape.vocabSize()));
        }
    }

    private static void pause(long nanos) {
        long end = System.nanoTime() + nanos;
        for (long left = nanos; left > 0; left = end - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
    }

    @Override
    public String description() {
        return "stub: computes nothing, the next token is a hash of those before it";
    }

    @Override
    public void close() {}
}
