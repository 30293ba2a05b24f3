package dev.sidewinder.engine.session;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.sidewinder.engine.SessionBytes;
import dev.sidewinder.engine.session.SessionFile.Text;
import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.SafetensorsWriter;
import dev.sidewinder.model.checkpoint.SafetensorsWriter.Declared;
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
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// Writes sessions to files: to a neighbour of the file first, which takes its name when every byte is on the disk. Whatever
/// happens meanwhile, the name means the old content or the new one. Only the owner of the process can read it.
final class SessionWriter {

    /// Ends the names of files that are being written.
    static final String PARTIAL = ".partial";

    private static final long PIECE_BYTES = 64 << 20;

    private SessionWriter() {}

    /// @param image what is computed of it; empty = nothing
    /// @return bytes of the file
    static long write(Path path, SessionIdentity identity, SessionRecord session, Optional<SessionBytes> image) throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment tokens = arena.allocate((long) session.tokens().length * Integer.BYTES);
            MemorySegment.copy(session.tokens(), 0, tokens, JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN), 0, session.tokens().length);
            List<Declared> tensors = new ArrayList<>();
            List<MemorySegment> content = new ArrayList<>();
            tensors.add(new Declared(SessionFile.TOKENS, DType.I32, List.of((long) session.tokens().length)));
            content.add(tokens);
            image.ifPresent(bytes -> {
                tensors.add(new Declared(SessionFile.STATE, DType.U8, List.of(bytes.state().byteSize())));
                content.add(bytes.state());
                tensors.add(new Declared(SessionFile.BLOCKS, DType.U8,
                        List.of((long) bytes.blocks().size(), bytes.blocks().getFirst().byteSize())));
                content.addAll(bytes.blocks());
            });
            Map<String, String> texts = texts(identity, session, image.map(SessionBytes::computed).orElse(0));
            var digest = new SessionDigest(texts, tensors);
            content.forEach(digest::add);
            texts.put(Text.SHA256.key(), HexFormat.of().formatHex(digest.finish()));
            return write(path, SafetensorsWriter.header(texts, tensors), content);
        }
    }

    private static Map<String, String> texts(SessionIdentity identity, SessionRecord session, int computed) {
        Map<String, String> texts = new LinkedHashMap<>();
        texts.put(Text.FORMAT.key(), SessionFile.FORMAT);
        texts.put(Text.MODEL.key(), identity.model());
        texts.put(Text.REVISION.key(), identity.revision());
        texts.put(Text.CACHE_FORMAT.key(), identity.cacheFormat());
        texts.put(Text.TENANT.key(), session.key().tenant());
        texts.put(Text.NAME.key(), session.key().name());
        texts.put(Text.CREATED.key(), session.created().toString());
        texts.put(Text.COMPUTED.key(), String.valueOf(computed));
        texts.put(Text.ANSWER_START.key(), String.valueOf(session.answerStart()));
        return texts;
    }

    private static long write(Path path, byte[] header, List<MemorySegment> content) throws IOException {
        Path partial = Files.createTempFile(path.getParent(), path.getFileName().toString(), PARTIAL, ownerOnly(path));
        long written = header.length;
        try {
            try (FileChannel channel = FileChannel.open(partial, StandardOpenOption.WRITE)) {
                write(channel, ByteBuffer.wrap(header));
                for (MemorySegment segment : content) {
                    for (long from = 0; from < segment.byteSize(); from += PIECE_BYTES) {
                        write(channel, segment.asSlice(from, Math.min(PIECE_BYTES, segment.byteSize() - from)).asByteBuffer());
                    }
                    written += segment.byteSize();
                }
                channel.force(true);
            }
            Files.move(partial, path, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException | RuntimeException failed) {
            Files.deleteIfExists(partial);
            throw failed;
        }
        forceFolder(path.getParent());
        return written;
    }

    private static FileAttribute<?>[] ownerOnly(Path path) {
        boolean posix = path.getFileSystem().supportedFileAttributeViews().contains("posix");
        return posix
                ? new FileAttribute<?>[] {PosixFilePermissions.asFileAttribute(Set.copyOf(PosixFilePermissions.fromString("rw-------")))}
                : new FileAttribute<?>[0];
    }

    private static void write(FileChannel channel, ByteBuffer bytes) throws IOException {
        while (bytes.hasRemaining()) {
            channel.write(bytes);
        }
    }

    /// The name itself is on the disk when its folder is. Systems that open no folders write it at once.
    private static void forceFolder(Path folder) throws IOException {
        if ("Linux".equals(System.getProperty("os.name"))) {
            try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
                channel.force(true);
            }
        }
    }
}
