package dev.sidewinder.model.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Where the bytes of a tensor come from.
public sealed interface TensorContent {

    long bytes();

    /// All of them, in memory. For [Made] content this makes them, if nobody has asked before.
    MemorySegment data();

    /// The first `count` bytes, or as many as there are; nothing else is read or made.
    byte[] head(int count);

    /// Bytes that are there: in a mapped file, or in memory.
    record Stored(MemorySegment data) implements TensorContent {

        @Override
        public long bytes() {
            return data.byteSize();
        }

        @Override
        public byte[] head(int count) {
            return data.asSlice(0, Math.min(count, data.byteSize())).toArray(ValueLayout.JAVA_BYTE);
        }
    }

    /// Bytes that follow from a rule. Whoever can follow the rule needs no memory for them here.
    non-sealed interface Made extends TensorContent {

        /// Makes a part.
        ///
        /// @param from a multiple of 64
        void write(long from, MemorySegment into);

        @Override
        default byte[] head(int count) {
            byte[] head = new byte[(int) Math.min(count, bytes())];
            write(0, MemorySegment.ofArray(head));
            return head;
        }
    }
}
