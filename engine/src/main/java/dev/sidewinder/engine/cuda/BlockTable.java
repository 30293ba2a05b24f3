package dev.sidewinder.engine.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.kvcache.Allocation;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// Which KV blocks the sequence of each row of a pass has: int32 `[rows, maxBlocks]` on the device, and a copy of it on the
/// host. From one decode step to the next hardly anything changes, so only what does is copied.
///
/// What lies behind a row's blocks is left from earlier rows; nobody reads it. What is copied waits in one of two pinned buffers,
/// which take turns: one step may be set while the copy of the step before is under way.
final class BlockTable implements AutoCloseable {

    /// What a copy of its own costs, as bytes that could be copied meanwhile: about 3 microseconds of calls at 25 GB/s.
    private static final long COPY_COST_BYTES = 75_000;
    private static final int NOT_SET = -1;

    private final int rows;
    private final int maxBlocks;
    private final long address;
    /// What the device has, or will have when the copies given to the stream are made.
    private final int[] known;
    private final PinnedMemory[] staging;
    private int turn;
    /// The part of each row that is to be copied, `[from, to)`; empty when they are equal.
    private final int[] changedFrom;
    private final int[] changedTo;
    private int rowsToCopy;

    /// @param address device memory for [#bytes]
    BlockTable(Device device, long address, int rows, int maxBlocks) {
        this.rows = rows;
        this.maxBlocks = maxBlocks;
        this.address = address;
        known = new int[Math.multiplyExact(rows, maxBlocks)];
        Arrays.fill(known, NOT_SET);
        staging = new PinnedMemory[] {device.pinned(bytes(rows, maxBlocks)), device.pinned(bytes(rows, maxBlocks))};
        changedFrom = new int[rows];
        changedTo = new int[rows];
    }

    static long bytes(int rows, int maxBlocks) {
        return (long) rows * maxBlocks * Integer.BYTES;
    }

    /// Sets the first `blocks` blocks of a row.
    void set(int row, Allocation allocation, int blocks) {
        if (blocks > maxBlocks) {
            throw new IllegalArgumentException("a sequence of " + blocks + " KV blocks; the block table has room for " + maxBlocks);
        }
        int at = row * maxBlocks;
        int from = 0;
        while (from < blocks && known[at + from] == allocation.block(from)) {
            from++;
        }
        changedFrom[row] = from;
        changedTo[row] = blocks;
        for (int i = from; i < blocks; i++) {
            known[at + i] = allocation.block(i);
        }
        rowsToCopy = Math.max(rowsToCopy, row + 1);
    }

    /// Copies what has changed: row by row, or all from the first change to the last where that is less work.
    void upload(Stream stream) {
        turn ^= 1;
        int changes = 0;
        int first = Integer.MAX_VALUE;
        int end = 0;
        for (int row = 0; row < rowsToCopy; row++) {
            if (changedFrom[row] < changedTo[row]) {
                changes++;
                first = Math.min(first, row * maxBlocks + changedFrom[row]);
                end = row * maxBlocks + changedTo[row];
            }
        }
        if (changes > 0 && (long) (end - first) * Integer.BYTES <= changes * COPY_COST_BYTES) {
            copy(stream, first, end);
        } else {
            for (int row = 0; row < rowsToCopy; row++) {
                copy(stream, row * maxBlocks + changedFrom[row], row * maxBlocks + changedTo[row]);
            }
        }
        Arrays.fill(changedFrom, 0, rowsToCopy, 0);
        Arrays.fill(changedTo, 0, rowsToCopy, 0);
        rowsToCopy = 0;
    }

    private void copy(Stream stream, int from, int to) {
        if (from < to) {
            long bytes = (to - from) * (long) Integer.BYTES;
            long at = from * (long) Integer.BYTES;
            MemorySegment source = staging[turn].segment().asSlice(at, bytes);
            MemorySegment.copy(known, from, source, JAVA_INT, 0, to - from);
            stream.copyToDevice(address + at, source, bytes);
        }
    }

    int rows() {
        return rows;
    }

    int maxBlocks() {
        return maxBlocks;
    }

    long address() {
        return address;
    }

    @Override
    public void close() {
        for (PinnedMemory memory : staging) {
            memory.close();
        }
    }
}
