package dev.sidewinder.engine.session;

import dev.sidewinder.model.checkpoint.SafetensorsWriter.Declared;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// SHA-256 over all that a session's file says: its texts by rising name, its tensors as declared, and their bytes.
final class SessionDigest {

    /// Byte buffers are of `int` size.
    private static final long PIECE_BYTES = 64 << 20;

    private final MessageDigest digest;

    /// @param texts of the metadata, the digest itself left out
    SessionDigest(Map<String, String> texts, List<Declared> tensors) {
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException("every Java platform has SHA-256", impossible);
        }
        new TreeMap<>(texts).forEach((name, text) -> add(name.length() + " " + name + " " + text.length() + " " + text + "\n"));
        tensors.forEach(tensor -> add(tensor.name() + " " + tensor.type() + " " + tensor.shape() + "\n"));
    }

    private void add(String text) {
        digest.update(text.getBytes(StandardCharsets.UTF_8));
    }

    /// The next bytes of the tensors, in the order of the file.
    void add(MemorySegment bytes) {
        for (long from = 0; from < bytes.byteSize(); from += PIECE_BYTES) {
            digest.update(bytes.asSlice(from, Math.min(PIECE_BYTES, bytes.byteSize() - from)).asByteBuffer());
        }
    }

    byte[] finish() {
        return digest.digest();
    }
}
