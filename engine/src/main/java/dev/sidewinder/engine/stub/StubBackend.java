package dev.sidewinder.engine.stub;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
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
    private final MemorySegment hostHashes;
    private float[] values = new float[0];
    /// Where the peaks of the latest step are, to take them away again.
    private int[] peaks = new int[0];
    private int peakCount;

    public StubBackend(StubShape shape) {
        this.shape = shape;
        this.hashes = new long[shape.memory().frames().frames()];
        // Off the heap, as bytes that go to files are on any backend.
        this.hostHashes = Arena.ofAuto().allocate((long) shape.memory().host().states() * Long.BYTES, Long.BYTES);
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
    public BackendMemory memory() {
        return shape.memory();
    }

    @Override
    public boolean decodeEqualsScan() {
        return true;
    }

    @Override
    public String cacheFormat() {
        return "stub 1: 8 bytes of hash";
    }

    @Override
    public int vocabSize() {
        return shape.vocabSize();
    }

    @Override
    public Logits forward(Batch batch) {
        makeRoom(batch.logitRows());
        copyBefore(batch.memory());
        int row = 0;
        for (BatchEntry entry : batch.entries()) {
            row += run(entry, row);
        }
        batch.memory().stores().forEach(copy -> hashes[copy.to()] = hashes[copy.from()]);
        pause(shape.stepDelay().toNanos() + batch.tokens() * shape.tokenDelay().toNanos());
        return new Logits(values, row, shape.vocabSize());
    }

    /// There is nothing in blocks.
    private void copyBefore(MemoryWork work) {
        for (HostCopy copy : work.ins()) {
            if (copy.kind() == HostCopy.Kind.STATE) {
                hashes[copy.device()] = hostHashes.getAtIndex(JAVA_LONG, copy.host());
            }
        }
        work.restores().forEach(copy -> hashes[copy.to()] = hashes[copy.from()]);
        for (HostCopy copy : work.outs()) {
            if (copy.kind() == HostCopy.Kind.STATE) {
                hostHashes.setAtIndex(JAVA_LONG, copy.host(), hashes[copy.device()]);
            }
        }
    }

    @Override
    public MemorySegment hostState(int place) {
        return hostHashes.asSlice((long) place * Long.BYTES, Long.BYTES);
    }

    /// Nothing.
    @Override
    public MemorySegment hostBlock(int place) {
        return hostHashes.asSlice(0, 0);
    }

    @Override
    public void clearBehind(MemorySegment block, int tokens) {}

    private int run(BatchEntry entry, int firstRow) {
        int slot = entry.allocation().slot();
        long hash = entry.from() == 0 ? 0 : hashes[slot];
        int rows = 0;
        int written = 0;
        int end = entry.from() + entry.count();
        for (int position = entry.from(); position < end; position++) {
            hash = mix(hash, entry.tokens()[position]);
            if (written < entry.writes().size() && entry.writes().get(written).position() == position + 1) {
                hashes[entry.writes().get(written++).slot()] = hash;
            }
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
