package dev.sidewinder.engine;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.function.LongConsumer;

/// A backend whose logits are a hash of everything a real model's would depend on: the tokens, the content of the blocks
/// that the block table points to, and the content of the state slot. Blocks and slots really store what was written and
/// by whom, so a wrong block, a stale slot or memory given away too early shows as a wrong token within a step or two.
///
/// Contents depend on tokens and positions only, so the same request has the same logits whatever ran before or beside it.
/// It fails, hangs or produces NaN on demand.
public final class FakeBackend implements Backend {

    private static final long NOBODY = -1;

    private final CacheShape shape;
    private final int vocabSize;
    /// What stands in a block for each of its tokens, and the sequence that wrote it.
    private final long[][] blockContents;
    private final long[][] blockWriters;
    private final long[] slotContents;
    private final long[] slotWriters;
    private boolean closed;
    private long steps;

    private boolean clearsSlots = true;
    private int poisonToken = -1;
    private LongConsumer beforeStep = step -> {};

    public FakeBackend(int vocabSize, CacheShape shape) {
        this.shape = shape;
        this.vocabSize = vocabSize;
        this.blockContents = new long[shape.blocks()][CacheShape.BLOCK_TOKENS];
        this.blockWriters = new long[shape.blocks()][CacheShape.BLOCK_TOKENS];
        for (long[] writers : blockWriters) {
            Arrays.fill(writers, NOBODY);
        }
        this.slotContents = new long[shape.slots()];
        this.slotWriters = new long[shape.slots()];
    }

    /// Leaves in the slot of a new sequence what the last one left there: a planted fault.
    public FakeBackend keepingStaleSlots() {
        clearsSlots = false;
        return this;
    }

    /// Makes every row NaN that follows this token.
    public FakeBackend poisonedBy(int token) {
        poisonToken = token;
        return this;
    }

    /// Throws in a step.
    ///
    /// @param step number of the step, from 1
    public FakeBackend failingAt(long step) {
        return before(now -> {
            if (now == step) {
                throw new IllegalStateException("planted failure in step " + step);
            }
        });
    }

    /// Hangs in a step until released.
    public FakeBackend hangingAt(long step, CountDownLatch reached, CountDownLatch release) {
        return before(now -> {
            if (now == step) {
                reached.countDown();
                try {
                    release.await();
                } catch (InterruptedException interrupt) {
                    throw new IllegalStateException(interrupt);
                }
            }
        });
    }

    /// Does something at the beginning of every step, on the engine thread.
    public FakeBackend before(LongConsumer deed) {
        LongConsumer earlier = beforeStep;
        beforeStep = step -> {
            earlier.accept(step);
            deed.accept(step);
        };
        return this;
    }

    public boolean isClosed() {
        return closed;
    }

    @Override
    public CacheShape cacheShape() {
        return shape;
    }

    @Override
    public int vocabSize() {
        return vocabSize;
    }

    @Override
    public Logits forward(Batch batch) {
        if (closed) {
            throw new IllegalStateException("forward after close");
        }
        beforeStep.accept(++steps);
        float[] values = new float[batch.logitRows() * vocabSize];
        int row = 0;
        for (BatchEntry entry : batch.entries()) {
            row = run(entry, values, row);
        }
        return new Logits(values, row, vocabSize);
    }

    private int run(BatchEntry entry, float[] values, int row) {
        Allocation memory = entry.allocation();
        int slot = memory.slot();
        int end = entry.from() + entry.count();
        if (entry.from() == 0) {
            slotContents[slot] = clearsSlots ? 0 : slotContents[slot];
            slotWriters[slot] = entry.sequence();
        }
        for (int position = entry.from(); position < end; position++) {
            int token = entry.tokens()[position];
            if (token < 0 || token >= vocabSize) {
                throw new IllegalStateException("token " + token + " at " + position + " of sequence " + entry.sequence());
            }
            slotContents[slot] = mix(slotContents[slot], token);
            int block = memory.block(position / CacheShape.BLOCK_TOKENS);
            int place = position % CacheShape.BLOCK_TOKENS;
            blockContents[block][place] = mix(mix(1, token), position);
            blockWriters[block][place] = entry.sequence();
            boolean wanted = entry.logits() == LogitRows.ALL || entry.logits() == LogitRows.LAST && position == end - 1;
            if (wanted) {
                fillRow(values, row++, entry, position, token);
            }
        }
        return row;
    }

    private void fillRow(float[] values, int row, BatchEntry entry, int position, int token) {
        long hash = everything(entry, position);
        for (int i = 0; i < vocabSize; i++) {
            // 24 random bits make a logit in [-4, 4).
            values[row * vocabSize + i] = token == poisonToken ? Float.NaN : (mix(hash, i) >>> 40) * 0x1p-21f - 4;
        }
    }

    /// A hash of all that the logits of a position depend on.
    private long everything(BatchEntry entry, int position) {
        Allocation memory = entry.allocation();
        long hash = slotContents[memory.slot()];
        hash = mix(hash, slotWriters[memory.slot()] == entry.sequence() ? 0 : 1);
        for (int i = 0; i <= position; i++) {
            int block = memory.block(i / CacheShape.BLOCK_TOKENS);
            int place = i % CacheShape.BLOCK_TOKENS;
            hash = mix(hash, entry.tokens()[i]);
            hash = mix(hash, blockContents[block][place]);
            hash = mix(hash, blockWriters[block][place] == entry.sequence() ? 0 : 1);
        }
        return hash;
    }

    private static long mix(long hash, long value) {
        long z = hash + 0x9E3779B97F4A7C15L * (value + 1);
        z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }

    @Override
    public String description() {
        return "fake: hashes tokens, blocks and slots";
    }

    @Override
    public void close() {
        closed = true;
    }
}
