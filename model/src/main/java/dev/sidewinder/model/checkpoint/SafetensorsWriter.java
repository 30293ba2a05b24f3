package dev.sidewinder.model.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/// Writes a safetensors file: the header first, then the tensors' bytes in order, made piece by piece by a [Source].
///
/// Memory stays at one window whatever the size of the file. The file has its name only when it is complete.
public final class SafetensorsWriter {

    /// Pieces of this size are made in parallel. A multiple of every element and of every NVFP4 block.
    private static final int PIECE_BYTES = 1 << 20;

    /// Pieces are gathered up to this size and written at once.
    private static final int WINDOW_BYTES = 32 << 20;

    /// The header ends on a multiple of 8, so that tensors are aligned in the mapped file.
    private static final int ALIGNMENT = 8;

    /// Makes the bytes of tensors.
    @FunctionalInterface
    public interface Source {
        /// Fills `into` with the bytes of `tensor` from byte `from` on. Called from several threads at once.
        void fill(StoredTensor tensor, long from, MemorySegment into);
    }

    /// Hears how far a long piece of work has come.
    @FunctionalInterface
    public interface Progress {
        void done(long bytes);
    }

    private record Piece(StoredTensor tensor, long from, int bytes) {}

    private SafetensorsWriter() {}

    /// Writes one file.
    ///
    /// @param progress hears the number of bytes after each window
    /// @return bytes of the whole file
    public static long write(Path path, List<StoredTensor> tensors, Source source, Progress progress)
            throws IOException {
        Path partial = path.resolveSibling(path.getFileName() + ".partial");
        long written;
        try (FileChannel channel = FileChannel.open(partial, StandardOpenOption.CREATE, StandardOpenOption.WRITE,
                StandardOpenOption.TRUNCATE_EXISTING);
                Arena arena = Arena.ofShared()) {
            written = writeFully(channel, ByteBuffer.wrap(header(tensors)));
            MemorySegment window = arena.allocate(WINDOW_BYTES);
            List<Piece> pieces = new ArrayList<>();
            int gathered = 0;
            for (StoredTensor tensor : tensors) {
                for (long from = 0; from < tensor.bytes(); from += PIECE_BYTES) {
                    int bytes = (int) Math.min(PIECE_BYTES, tensor.bytes() - from);
                    if (gathered + bytes > WINDOW_BYTES) {
                        written += flush(channel, window, pieces, source, progress);
                        gathered = 0;
                    }
                    pieces.add(new Piece(tensor, from, bytes));
                    gathered += bytes;
                }
            }
            written += flush(channel, window, pieces, source, progress);
        } catch (IOException | RuntimeException failed) {
            Files.deleteIfExists(partial);
            throw failed;
        }
        Files.move(partial, path, StandardCopyOption.ATOMIC_MOVE);
        return written;
    }

    private static long flush(FileChannel channel, MemorySegment window, List<Piece> pieces, Source source,
            Progress progress) throws IOException {
        var targets = new ArrayList<MemorySegment>(pieces.size());
        long end = 0;
        for (Piece piece : pieces) {
            targets.add(window.asSlice(end, piece.bytes()));
            end += piece.bytes();
        }
        IntStream.range(0, pieces.size()).parallel()
                .forEach(i -> source.fill(pieces.get(i).tensor(), pieces.get(i).from(), targets.get(i)));
        writeFully(channel, window.asSlice(0, end).asByteBuffer());
        progress.done(end);
        pieces.clear();
        return end;
    }

    private static long writeFully(FileChannel channel, ByteBuffer bytes) throws IOException {
        long count = bytes.remaining();
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
        return count;
    }

    /// A tensor as the header says it.
    public record Declared(String name, DType type, List<Long> shape) {

        public Declared {
            shape = List.copyOf(shape);
        }

        public long bytes() {
            return shape.stream().reduce((long) type.bytes(), Math::multiplyExact);
        }
    }

    /// Length prefix and JSON header of a checkpoint.
    static byte[] header(List<StoredTensor> tensors) throws IOException {
        return header(Map.of("format", "pt"), tensors.stream()
                .map(tensor -> new Declared(tensor.name(), tensor.type(), tensor.shape())).toList());
    }

    /// Length prefix and JSON header, padded with spaces. The tensors' bytes follow it one after another.
    ///
    /// @param metadata free text
    public static byte[] header(Map<String, String> metadata, List<Declared> tensors) throws IOException {
        var json = new ByteArrayOutputStream();
        try (JsonGenerator out = new JsonFactory().createGenerator(json)) {
            out.writeStartObject();
            out.writeObjectFieldStart("__metadata__");
            for (Map.Entry<String, String> text : metadata.entrySet()) {
                out.writeStringField(text.getKey(), text.getValue());
            }
            out.writeEndObject();
            long at = 0;
            for (Declared tensor : tensors) {
                out.writeObjectFieldStart(tensor.name());
                out.writeStringField("dtype", tensor.type().name());
                out.writeFieldName("shape");
                long[] shape = tensor.shape().stream().mapToLong(Long::longValue).toArray();
                out.writeArray(shape, 0, shape.length);
                out.writeFieldName("data_offsets");
                out.writeArray(new long[] {at, at + tensor.bytes()}, 0, 2);
                out.writeEndObject();
                at += tensor.bytes();
            }
            out.writeEndObject();
        }
        while (json.size() % ALIGNMENT != 0) {
            json.write(' ');
        }
        return ByteBuffer.allocate(Long.BYTES + json.size()).order(ByteOrder.LITTLE_ENDIAN).putLong(json.size())
                .put(json.toByteArray()).array();
    }
}
