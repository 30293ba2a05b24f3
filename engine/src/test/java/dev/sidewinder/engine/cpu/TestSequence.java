package dev.sidewinder.engine.cpu;

import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.TokenSource;
import java.util.Arrays;

/// A sequence that a test drives by hand: its tokens, how many of them have run, and where its memory is.
public final class TestSequence implements Allocation {

    private static long nextId = 1;

    private final long id = nextId++;
    private final int slot;
    private final int[] blocks;
    private final int promptTokens;
    private int[] tokens;
    private int done;

    /// @param blocks KV blocks in the order of positions
    public TestSequence(int slot, int[] blocks, int[] prompt) {
        this.slot = slot;
        this.blocks = blocks;
        this.promptTokens = prompt.length;
        this.tokens = prompt.clone();
    }

    /// A sequence in slot `i` with its own run of blocks, in descending order so that block tables matter.
    public static TestSequence at(int slot, int blocksPerSequence, int[] prompt) {
        int[] blocks = new int[blocksPerSequence];
        Arrays.setAll(blocks, i -> (slot + 1) * blocksPerSequence - 1 - i);
        return new TestSequence(slot, blocks, prompt);
    }

    @Override
    public int slot() {
        return slot;
    }

    @Override
    public int blockCount() {
        return blocks.length;
    }

    @Override
    public int block(int i) {
        return blocks[i];
    }

    public int remaining() {
        return tokens.length - done;
    }

    public int length() {
        return tokens.length;
    }

    public void append(int token) {
        tokens = Arrays.copyOf(tokens, tokens.length + 1);
        tokens[tokens.length - 1] = token;
    }

    public int[] lastTokens(int count) {
        return Arrays.copyOfRange(tokens, tokens.length - count, tokens.length);
    }

    /// The next `count` tokens as a batch entry; counts them as run.
    public BatchEntry next(int count, LogitRows logits) {
        TokenSource source = done < promptTokens ? TokenSource.PROMPT : TokenSource.GENERATED;
        var entry = new BatchEntry(id, tokens, done, count, source, logits, this);
        done += count;
        return entry;
    }
}
