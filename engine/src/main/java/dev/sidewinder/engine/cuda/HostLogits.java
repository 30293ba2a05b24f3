package dev.sidewinder.engine.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import java.lang.foreign.MemorySegment;

/// Rows of logits that the host wants to see: they come over into pinned memory and, when the stream has passed, from there
/// into an array.
final class HostLogits implements AutoCloseable {

    private final Stream stream;
    private final PinnedMemory decodeRows;
    private final PinnedMemory promptRows;
    private final int vocabSize;
    private float[] values = new float[0];

    HostLogits(Device device, int decodeRows, int vocabSize) {
        this.stream = device.stream();
        this.vocabSize = vocabSize;
        this.decodeRows = device.pinned(decodeRows * rowBytes());
        this.promptRows = device.pinned(CudaMemory.LOGIT_ROWS * rowBytes());
    }

    /// Begins a step with room for `rows` rows in the array.
    void begin(int rows) {
        int needed = Math.multiplyExact(rows, vocabSize);
        if (values.length < needed) {
            values = new float[needed];
        }
    }

    /// Has rows of the decode pass copied.
    ///
    /// @param logits fp32 `[decode rows, vocabulary]` on the device
    void copyDecodeRows(long logits, int first, int rows) {
        long from = first * rowBytes();
        stream.copyToHost(decodeRows.segment().asSlice(from, rows * rowBytes()), logits + from, rows * rowBytes());
    }

    /// Has rows of a part of the prompt pass copied, and waits for them.
    ///
    /// @param logits fp32 `[LOGIT_ROWS, vocabulary]` on the device
    void fetchPromptRows(long logits, int rows) {
        stream.copyToHost(promptRows.segment(), logits, rows * rowBytes());
        stream.synchronize();
    }

    /// Takes a row that has been copied.
    ///
    /// @param target row in the array
    void takeDecodeRow(int row, int target) {
        take(decodeRows.segment(), row, target);
    }

    /// The same for a row of the latest part of the prompt pass.
    void takePromptRow(int row, int target) {
        take(promptRows.segment(), row, target);
    }

    private void take(MemorySegment rows, int row, int target) {
        MemorySegment.copy(rows, JAVA_FLOAT, row * rowBytes(), values, offset(target), vocabSize);
    }

    float[] values() {
        return values;
    }

    int offset(int row) {
        return row * vocabSize;
    }

    private long rowBytes() {
        return (long) vocabSize * Float.BYTES;
    }

    @Override
    public void close() {
        decodeRows.close();
        promptRows.close();
    }
}
