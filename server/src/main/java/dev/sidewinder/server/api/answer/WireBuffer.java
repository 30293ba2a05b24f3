package dev.sidewinder.server.api.answer;

import java.io.OutputStream;
import java.util.Arrays;

/// Bytes on their way to a socket, in one array that is used again and again. For one thread.
public final class WireBuffer extends OutputStream {

    private static final int START_BYTES = 1_024;

    private byte[] bytes = new byte[START_BYTES];
    private int length;

    @Override
    public void write(int b) {
        reserve(1);
        bytes[length++] = (byte) b;
    }

    @Override
    public void write(byte[] source, int offset, int count) {
        reserve(count);
        System.arraycopy(source, offset, bytes, length, count);
        length += count;
    }

    private void reserve(int count) {
        int needed = Math.addExact(length, count);
        if (needed > bytes.length) {
            bytes = Arrays.copyOf(bytes, Math.max(needed, 2 * bytes.length));
        }
    }

    /// The bytes are the first [#length] of this array, until the next write or reset.
    public byte[] array() {
        return bytes;
    }

    public int length() {
        return length;
    }

    /// A copy of what is there.
    public byte[] toByteArray() {
        return Arrays.copyOf(bytes, length);
    }

    public void reset() {
        length = 0;
    }
}
