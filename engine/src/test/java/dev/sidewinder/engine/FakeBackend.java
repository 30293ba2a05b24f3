package dev.sidewinder.engine;

import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.BlockCopy;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.kvcache.StateCopy;
import dev.sidewinder.kvcache.StateWrite;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.TokenSource;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.BitSet;
import java.util.concurrent.CountDownLatch;
import java.util.function.LongConsumer;

/// A backend whose logits are a hash of everything a real model's would depend on: the tokens, the content of the blocks
/// that the block table points to, and the content of the state slot. States and blocks lie in the same frames, as on a
/// device, and really store what was written and by whom, so a wrong block, a stale slot, a state from another boundary or
/// memory given away too early shows as a wrong token within a step or two.
///
/// Contents depend on the tokens so far only, so the same request has the same logits whatever ran before or beside it, and
/// whatever of its prompt came from the cache. A whole block may have been written by another sequence with the same beginning;
/// one that is not whole must be the sequence's own, or a copy.
///
/// It fails, hangs or produces NaN on demand. Not final, so that tests can plant faults.
public class FakeBackend implements Backend {

    private static final long NOBODY = -1;
    private static final long COPY = -2;
    private static final long GARBAGE = 0xDEAD;

    private final BackendMemory memory;
    private final int vocabSize;
    /// Whether a frame was last written as a state.
    private final boolean[] holdsState;
    /// What stands in a block for each of its tokens, and the sequence that wrote it.
    private final long[][] blockContents;
    private final long[][] blockWriters;
    private final long[] slotContents;
    private final long[] slotWriters;
    private final MemorySegment hostStates;
    private final MemorySegment hostBlocks;
    private boolean closed;
    private long steps;
    private long computedTokens;

    private boolean clearsSlots = true;
    private boolean decodeEqualsScan = true;
    private int poisonToken = -1;
    private int spoilingToken = -1;
    private LongConsumer beforeStep = step -> {};

    public FakeBackend(int vocabSize, FrameShape frames) {
        this(vocabSize, new BackendMemory(frames, HostShape.NONE));
    }

    public FakeBackend(int vocabSize, BackendMemory memory) {
        this.memory = memory;
        this.vocabSize = vocabSize;
        int blocks = memory.frames().blocks();
        this.holdsState = new boolean[memory.frames().frames()];
        this.blockContents = new long[blocks][CacheShape.BLOCK_TOKENS];
        this.blockWriters = new long[blocks][CacheShape.BLOCK_TOKENS];
        for (int block = 0; block < blocks; block++) {
            Arrays.fill(blockContents[block], GARBAGE);
            Arrays.fill(blockWriters[block], NOBODY);
        }
        this.slotContents = new long[memory.frames().frames()];
        this.slotWriters = new long[memory.frames().frames()];
        Arrays.fill(slotContents, GARBAGE);
        this.hostStates = Arena.ofAuto().allocate((long) memory.host().states() * Long.BYTES, Long.BYTES);
        this.hostBlocks = Arena.ofAuto().allocate((long) memory.host().blocks() * CacheShape.BLOCK_TOKENS * Long.BYTES, Long.BYTES);
    }

    /// Says that decode steps leave other bits than scans do.
    public FakeBackend withDecodeUnlikeScan() {
        decodeEqualsScan = false;
        return this;
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

    /// Makes the hidden state of this token NaN where it is part of a prompt; rows of logits are as they would be otherwise.
    public FakeBackend spoiledBy(int token) {
        spoilingToken = token;
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

    /// Tokens that were computed, over all steps.
    public long computedTokens() {
        return computedTokens;
    }

    @Override
    public BackendMemory memory() {
        return memory;
    }

    @Override
    public boolean decodeEqualsScan() {
        return decodeEqualsScan;
    }

    @Override
    public String cacheFormat() {
        return "fake 1: 8 bytes a state, 8 a token";
    }

    @Override
    public MemorySegment hostState(int place) {
        return hostStates.asSlice((long) place * Long.BYTES, Long.BYTES);
    }

    @Override
    public MemorySegment hostBlock(int place) {
        return hostBlocks.asSlice((long) place * Long.BYTES * CacheShape.BLOCK_TOKENS, Long.BYTES * CacheShape.BLOCK_TOKENS);
    }

    @Override
    public void clearBehind(MemorySegment block, int tokens) {
        block.asSlice((long) tokens * Long.BYTES).fill((byte) 0);
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
        copyBefore(batch.memory());
        float[] values = new float[batch.logitRows() * vocabSize];
        int row = 0;
        var spoiled = new BitSet();
        for (int i = 0; i < batch.entries().size(); i++) {
            row = run(batch.entries().get(i), values, row);
            spoiled.set(i, isSpoiled(batch.entries().get(i)));
        }
        copyAfter(batch.memory());
        return new Logits(values, row, vocabSize, spoiled);
    }

    private boolean isSpoiled(BatchEntry entry) {
        boolean spoiled = false;
        for (int i = entry.from(); i < entry.from() + entry.count(); i++) {
            spoiled |= entry.tokens()[i] == spoilingToken;
        }
        return spoiled && entry.source() == TokenSource.PROMPT;
    }

    /// What a step needs in place.
    protected void copyBefore(MemoryWork work) {
        work.blocks().forEach(this::copyBlock);
        work.restores().forEach(this::copyState);
        work.ins().forEach(this::copyIn);
        work.outs().forEach(this::copyOut);
    }

    /// What is kept of a step.
    protected void copyAfter(MemoryWork work) {
        work.stores().forEach(this::copyState);
    }

    /// What a state begins with whose sequence begins.
    protected void clearState(int slot) {
        writeState(slot, 0, NOBODY);
    }

    protected final void copyState(StateCopy copy) {
        writeState(copy.to(), slotContents[copy.from()], COPY);
    }

    protected void copyBlock(BlockCopy copy) {
        for (int place = 0; place < CacheShape.BLOCK_TOKENS; place++) {
            write(copy.to(), place, blockContents[copy.from()][place], COPY);
        }
    }

    /// From the host area.
    protected void copyIn(HostCopy copy) {
        switch (copy.kind()) {
            case STATE -> writeState(copy.device(), hostState(copy.host()).get(JAVA_LONG_UNALIGNED, 0), COPY);
            case BLOCK -> {
                for (int place = 0; place < CacheShape.BLOCK_TOKENS; place++) {
                    write(copy.device(), place, hostBlock(copy.host()).get(JAVA_LONG_UNALIGNED, (long) place * Long.BYTES), COPY);
                }
            }
        }
    }

    /// To the host area.
    protected void copyOut(HostCopy copy) {
        switch (copy.kind()) {
            case STATE -> hostState(copy.host()).set(JAVA_LONG_UNALIGNED, 0, slotContents[copy.device()]);
            case BLOCK -> hostBlock(copy.host()).copyFrom(MemorySegment.ofArray(blockContents[copy.device()]));
        }
    }

    @Override
    public void erase(Allocation places) {
        for (int i = 0; i < places.blockCount(); i++) {
            Arrays.fill(blockContents[places.block(i)], 0);
            Arrays.fill(blockWriters[places.block(i)], NOBODY);
        }
        slotContents[places.slot()] = 0;
        slotWriters[places.slot()] = NOBODY;
    }

    private void writeState(int slot, long content, long writer) {
        if (!holdsState[slot]) {
            holdsState[slot] = true;
            int first = slot * memory.frames().blocksPerFrame();
            for (int block = first; block < first + memory.frames().blocksPerFrame(); block++) {
                Arrays.fill(blockContents[block], GARBAGE);
                Arrays.fill(blockWriters[block], NOBODY);
            }
        }
        slotContents[slot] = content;
        slotWriters[slot] = writer;
    }

    private void write(int block, int place, long content, long writer) {
        int frame = block / memory.frames().blocksPerFrame();
        if (holdsState[frame]) {
            holdsState[frame] = false;
            slotContents[frame] = GARBAGE;
            slotWriters[frame] = NOBODY;
        }
        blockContents[block][place] = content;
        blockWriters[block][place] = writer;
    }

    /// Tokens of the sequence after which a state is written that it asks for.
    protected int writtenAt(StateWrite write) {
        return write.position();
    }

    private int run(BatchEntry entry, float[] values, int row) {
        int slot = entry.allocation().slot();
        int end = entry.from() + entry.count();
        if (entry.from() == 0 && clearsSlots) {
            clearState(slot);
        }
        // Two ways of computing a token that differ in the last bits.
        long way = decodeEqualsScan || entry.source() == TokenSource.PROMPT ? 0 : 1;
        boolean ownState = entry.from() == 0 || slotWriters[slot] == entry.sequence() || slotWriters[slot] == COPY;
        long writer = entry.isForAnybody() ? COPY : entry.sequence();
        for (int position = entry.from(); position < end; position++) {
            int token = entry.tokens()[position];
            if (token < 0 || token >= vocabSize) {
                throw new IllegalStateException("token " + token + " at " + position + " of sequence " + entry.sequence());
            }
            long state = mix(slotContents[slot], token) + way;
            writeState(slot, ownState ? state : mix(state, GARBAGE), writer);
            write(entry.allocation().block(position / CacheShape.BLOCK_TOKENS), position % CacheShape.BLOCK_TOKENS, mix(state, position),
                    writer);
            for (StateWrite write : entry.writes()) {
                if (position + 1 == writtenAt(write)) {
                    writeState(write.slot(), slotContents[slot], COPY);
                }
            }
            computedTokens++;
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
        Allocation held = entry.allocation();
        long hash = slotContents[held.slot()];
        int unfinished = position - position % CacheShape.BLOCK_TOKENS;
        for (int i = 0; i <= position; i++) {
            int block = held.block(i / CacheShape.BLOCK_TOKENS);
            int place = i % CacheShape.BLOCK_TOKENS;
            long writer = blockWriters[block][place];
            boolean may = i < unfinished ? writer != NOBODY : writer == entry.sequence() || writer == COPY;
            hash = mix(hash, entry.tokens()[i]);
            hash = mix(hash, blockContents[block][place]);
            hash = mix(hash, may ? 0 : 1);
        }
        return hash;
    }

    private static long mix(long hash, long value) {
        long z = hash + 0x9E3779B97F4A7C15L * (value + 1);
        z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }

    /// As Java; what else it does on demand is not in it.
    @Override
    public String toString() {
        return getClass() != FakeBackend.class ? "a " + getClass().getName() + " with " + TraceCode.of(memory)
                : "new FakeBackend(" + vocabSize + ", " + TraceCode.of(memory) + ")" + (decodeEqualsScan ? "" : ".withDecodeUnlikeScan()")
                        + (clearsSlots ? "" : ".keepingStaleSlots()") + (poisonToken < 0 ? "" : ".poisonedBy(" + poisonToken + ")");
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
