package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.kernel.AttentionMemory.Content;
import dev.sidewinder.cuda.kernel.AttentionMemory.Room;

/// Compares the whole cache, byte by byte, after `kv_write` with what the definition says: every token of the step at its
/// place, rounded to nearest even and saturated, and nothing anywhere else.
final class KvWriteCheck {

    private final Device device;
    private final KvWrite write;

    KvWriteCheck(Device device, Kernels kernels) {
        this.device = device;
        this.write = new KvWrite(kernels);
    }

    /// Writes the rows of prompt pieces into an empty cache.
    ///
    /// @param rowsBehind rows of the launch that belong to no sequence, and have no memory
    /// @throws AssertionError naming the first byte that differs
    void checkPieces(AttentionCase attention, int rowsBehind) {
        try (AttentionMemory written = memory(attention, Content.NONE)) {
            write(attention, written, written.step(), attention.rows() + rowsBehind);
            compare(attention, written);
        }
    }

    /// Writes one row for each sequence, as a decode step does.
    void checkDecode(AttentionCase attention) {
        try (AttentionMemory written = memory(attention, Content.NONE)) {
            write(attention, written, written.decodeStep(), attention.rows());
            compare(attention, written);
        }
    }

    private AttentionMemory memory(AttentionCase attention, Content content) {
        return new AttentionMemory(device, attention, new AttentionNumbers.Sequences(attention), content, Room.JUST_ENOUGH);
    }

    private void write(AttentionCase attention, AttentionMemory memory, StepSequences step, int rows) {
        int width = attention.shape().kvHeads() * attention.shape().headDim();
        write.write(device.stream(), memory.cache(), memory.activations(width, AttentionNumbers::keys),
                memory.activations(width, AttentionNumbers::values), step, rows);
    }

    private void compare(AttentionCase attention, AttentionMemory written) {
        byte[] found = written.cacheContent();
        try (AttentionMemory expected = memory(attention, Content.OF_THE_STEP)) {
            byte[] wanted = expected.cacheContent();
            long stride = written.cache().blockStride();
            for (int i = 0; i < found.length; i++) {
                if (found[i] != wanted[i]) {
                    throw new AssertionError("%s: byte %d of block %d is 0x%02x instead of 0x%02x; the layer begins at %d"
                            .formatted(attention, i % stride, i / stride, found[i] & 0xff, wanted[i] & 0xff,
                                    Math.floorMod(written.cache().layerOffset(), stride)));
                }
            }
        }
    }
}
