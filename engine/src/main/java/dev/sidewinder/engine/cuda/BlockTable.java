package dev.sidewinder.engine.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.kvcache.Allocation;
import java.util.Arrays;

/// Which KV blocks the sequence of each row of a pass has: int32 `[rows, maxBlocks]` on the device, and a copy of it on the
/// host. From one decode step to the next hardly anything changes, so only what does is copied.
///
/// What lies behind a row's blocks is left from earlier rows; nobody reads it. No copy may be under way while rows are set.
final class BlockTable implements AutoCloseable {

    /// What a copy of its own costs, as bytes that could be copied meanwhile: about 3 microseconds of calls at 25 GB/s.
    private static final long COPY_COST_BYTES = 75_000;
    private static final int NOT_SET = -1;

    private final int rows;
    private final int maxBlocks;
    private final long address;
    private final PinnedMemory host;
    /// The part of each row that is to be copied, `[from, to)`; empty when they are equal.
    private final int[] changedFrom;
    private final int[] changedTo;
    private int rowsToCopy;

    /// @param address device memory for [#bytes]
    BlockTable(Device device, long address, int rows, int maxBlocks) {
        this.rows = rows;
        this.maxBlocks = maxBlocks;
        this.address = address;
        host = device.pinned(bytes(rows, maxBlocks));
        changedFrom = new int[rows];
        changedTo = new int[rows];
        for (long i = 0; i < (long) rows * maxBlocks; i++) {
            host.segment().setAtIndex(JAVA_INT, i, NOT_SET);
        }
    }

    static long bytes(int rows, int maxBlocks) {
        return (long) rows * maxBlocks * Integer.BYTES;
    }

    /// Sets the first `blocks` blocks of a row.
    void set(int row, Allocation allocation, int blocks) {
        if (blocks > maxBlocks) {
            throw new IllegalArgumentException("a sequence of " + blocks + " KV blocks; the block table has room for " + maxBlocks);
        }
        long at = (long) row * maxBlocks;
        int from = 0;
        while (from < blocks && host.segment().getAtIndex(JAVA_INT, at + from) == allocation.block(from)) {
            from++;
        }
        changedFrom[row] = from;
        changedTo[row] = blocks;
        for (int i = from; i < blocks; i++) {
            host.segment().setAtIndex(JAVA_INT, at + i, allocation.block(i));
        }
        rowsToCopy = Math.max(rowsToCopy, row + 1);
    }

    /// Copies what has changed: row by row, or all from the first change to the last where that is less work.
    void upload(Stream stream) {
        int changes = 0;
        long first = Long.MAX_VALUE;
        long end = 0;
        for (int row = 0; row < rowsToCopy; row++) {
            if (changedFrom[row] < changedTo[row]) {
                changes++;
                first = Math.min(first, (long) row * maxBlocks + changedFrom[row]);
                end = (long) row * maxBlocks + changedTo[row];
            }
        }
        if (changes > 0 && (end - first) * Integer.BYTES <= changes * COPY_COST_BYTES) {
            copy(stream, first, end);
        } else {
            for (int row = 0; row < rowsToCopy; row++) {
                copy(stream, (long) row * maxBlocks + changedFrom[row], (long) row * maxBlocks + changedTo[row]);
            }
        }
        Arrays.fill(changedFrom, 0, rowsToCopy, 0);
        Arrays.fill(changedTo, 0, rowsToCopy, 0);
        rowsToCopy = 0;
    }

    private void copy(Stream stream, long from, long to) {
        if (from < to) {
            long bytes = (to - from) * Integer.BYTES;
            stream.copyToDevice(address + from * Integer.BYTES, host.segment().asSlice(from * Integer.BYTES, bytes), bytes);
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
        host.close();
    }
}
