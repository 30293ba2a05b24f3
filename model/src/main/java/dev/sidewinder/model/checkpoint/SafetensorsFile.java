package dev.sidewinder.model.checkpoint;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// One safetensors file, mapped into memory. Nothing is read until a tensor's data is touched.
///
/// Owns the mapping: closing the file makes the data of its tensors inaccessible. Reading is safe from many threads.
public final class SafetensorsFile implements AutoCloseable {

    /// Headers of the largest published checkpoints stay below 25 MB.
    public static final int DEFAULT_HEADER_BYTES = 25_000_000;

    /// The limit of the safetensors library itself.
    public static final int MAX_HEADER_BYTES = 100_000_000;

    private static final int PREFIX_BYTES = 8;

    private final Path path;
    private final Arena arena;
    private final List<TensorView> tensors;
    private final Map<String, String> metadata;
    private final long bytes;
    private final FileTime modified;

    private SafetensorsFile(Path path, Arena arena, List<TensorView> tensors, Map<String, String> metadata, long bytes,
            FileTime modified) {
        this.path = path;
        this.arena = arena;
        this.tensors = tensors;
        this.metadata = metadata;
        this.bytes = bytes;
        this.modified = modified;
    }

    /// Maps a file whose header is at most [#DEFAULT_HEADER_BYTES] long.
    ///
    /// @throws CheckpointException when it is not a regular file or its header is wrong in any way
    public static SafetensorsFile open(Path path) {
        return open(path, DEFAULT_HEADER_BYTES);
    }

    /// Maps a file.
    ///
    /// @param headerBytes longest header to accept, at most [#MAX_HEADER_BYTES]
    public static SafetensorsFile open(Path path, int headerBytes) {
        if (headerBytes < 1 || headerBytes > MAX_HEADER_BYTES) {
            throw new IllegalArgumentException("header limit " + headerBytes + " is not in [1, " + MAX_HEADER_BYTES + "]");
        }
        String name = path.getFileName().toString();
        Arena arena = null;
        try {
            BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
            if (!attributes.isRegularFile()) {
                throw new CheckpointException(name + ": is " + (attributes.isDirectory() ? "a directory"
                        : "a pipe, socket or device") + "; expected a safetensors file");
            }
            try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
                long size = channel.size();
                byte[] json = readHeader(name, channel, size, headerBytes);
                long dataStart = PREFIX_BYTES + (long) json.length;
                SafetensorsHeader header = SafetensorsHeader.parse(name, json, size - dataStart);
                arena = Arena.ofShared();
                MemorySegment map = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena);
                var file = new SafetensorsFile(path, arena, views(header, map, dataStart), Map.copyOf(header.metadata()),
                        size, attributes.lastModifiedTime());
                file.checkUnchanged();
                arena = null;
                return file;
            }
        } catch (IOException failed) {
            throw new CheckpointException(name + ": cannot be read: " + failed, failed);
        } finally {
            if (arena != null) {
                arena.close();
            }
        }
    }

    /// Every number is compared with the real size of the file before anything is allocated, and `8 + length` is never
    /// formed: the length may be anything up to 2^64 - 1.
    private static byte[] readHeader(String name, FileChannel channel, long size, int limit) throws IOException {
        if (size < PREFIX_BYTES) {
            throw new CheckpointException(name + ": has " + size + " bytes; a safetensors file begins with the length "
                    + "of its header in " + PREFIX_BYTES + " bytes");
        }
        long length = read(name, channel, 0, PREFIX_BYTES).getLong(0);
        if (length < 0 || length > size - PREFIX_BYTES) {
            throw new CheckpointException(name + ": states a header of " + Long.toUnsignedString(length)
                    + " bytes, but only " + (size - PREFIX_BYTES) + " bytes follow: truncated, or no safetensors file");
        }
        if (length > limit) {
            throw new CheckpointException(name + ": states a header of " + length + " bytes; at most " + limit
                    + " are accepted");
        }
        return read(name, channel, PREFIX_BYTES, (int) length).array();
    }

    private static ByteBuffer read(String name, FileChannel channel, long from, int count) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(count).order(ByteOrder.LITTLE_ENDIAN);
        while (buffer.hasRemaining()) {
            if (channel.read(buffer, from + buffer.position()) < 0) {
                throw new CheckpointException(name + ": became shorter while it was read");
            }
        }
        return buffer;
    }

    private static List<TensorView> views(SafetensorsHeader header, MemorySegment map, long dataStart) {
        var views = new ArrayList<TensorView>(header.entries().size());
        for (HeaderEntry entry : header.entries()) {
            var shape = new ArrayList<Long>(entry.shape().length);
            for (long dim : entry.shape()) {
                shape.add(dim);
            }
            views.add(new TensorView(entry.name(), entry.type(), shape,
                    map.asSlice(dataStart + entry.begin(), entry.bytes())));
        }
        return List.copyOf(views);
    }

    /// The file's name, for messages.
    public String name() {
        return path.getFileName().toString();
    }

    /// In the order of the header.
    public List<TensorView> tensors() {
        return tensors;
    }

    /// The free text of the header's `__metadata__`.
    public Map<String, String> metadata() {
        return metadata;
    }

    /// Size of the whole file.
    public long bytes() {
        return bytes;
    }

    /// Checks that the file is still the one that was mapped: a file that is cut short while mapped faults the process
    /// when it is touched.
    ///
    /// @throws CheckpointException when its size or time of modification changed
    public void checkUnchanged() {
        try {
            BasicFileAttributes now = Files.readAttributes(path, BasicFileAttributes.class);
            if (now.size() != bytes || !now.lastModifiedTime().equals(modified)) {
                throw new CheckpointException(name() + ": changed while it was opened (size " + bytes + " then "
                        + now.size() + ", modified " + modified + " then " + now.lastModifiedTime()
                        + "); open it again when it is complete");
            }
        } catch (IOException gone) {
            throw new CheckpointException(name() + ": vanished while it was opened", gone);
        }
    }

    @Override
    public void close() {
        arena.close();
    }
}
