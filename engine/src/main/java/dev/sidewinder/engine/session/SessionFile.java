package dev.sidewinder.engine.session;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;

import dev.sidewinder.engine.SessionBytes;
import dev.sidewinder.engine.session.SessionException.Kind;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.SafetensorsFile;
import dev.sidewinder.model.checkpoint.SafetensorsWriter.Declared;
import dev.sidewinder.model.checkpoint.TensorView;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/// A session in its file, checked and mapped. Written by [SessionWriter].
///
/// | tensor   | shape                  | type | what                                                                       |
/// |----------|------------------------|------|----------------------------------------------------------------------------|
/// | `tokens` | `[tokens]`             | I32  | the history                                                                |
/// | `state`  | `[slot bytes]`         | U8   | SSM and convolution states after the first `computed` tokens               |
/// | `blocks` | `[blocks, block bytes]`| U8   | keys and values of the first `computed` tokens, as many blocks as they need |
///
/// `state` and `blocks` are as the backend lays them out, which `cache_format` names; a session of which nothing is computed
/// has neither. The metadata say whose the session is, of what model, and a SHA-256 over metadata and tensors. It is against
/// accidents: who can write to the folder can also write a digest. Therefore nothing in a file is believed that could reach
/// beyond the session: sizes, counts and tokens are compared with what this engine has before anything is allocated.
///
/// Owns the mapping: close it when the bytes have been read.
final class SessionFile implements AutoCloseable {

    static final String FORMAT = "sidewinder-session-1";
    static final String TOKENS = "tokens";
    static final String STATE = "state";
    static final String BLOCKS = "blocks";

    /// A header has three tensors and a dozen short texts.
    private static final int HEADER_BYTES = 1 << 16;

    /// What a file must fit into.
    ///
    /// @param slotBytes  of a state
    /// @param blockBytes of a block
    /// @param vocabSize  tokens are below it
    /// @param mostTokens of a history
    record Bounds(long slotBytes, long blockBytes, int vocabSize, int mostTokens) {}

    /// The names of metadata.
    enum Text {
        FORMAT, MODEL, REVISION, CACHE_FORMAT, TENANT, NAME, CREATED, COMPUTED, ANSWER_START, SHA256;

        String key() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    private final SafetensorsFile file;
    private final SessionRecord session;
    private final int computed;
    private final Optional<SessionBytes> image;

    private SessionFile(SafetensorsFile file, SessionRecord session, int computed, Optional<SessionBytes> image) {
        this.file = file;
        this.session = session;
        this.computed = computed;
        this.image = image;
    }

    SessionRecord session() {
        return session;
    }

    /// Tokens whose state, keys and values are there.
    int computed() {
        return computed;
    }

    /// Views of the mapped file; empty when nothing is computed.
    Optional<SessionBytes> image() {
        return image;
    }

    /// Size of the file.
    long bytes() {
        return file.bytes();
    }

    @Override
    public void close() {
        file.close();
    }

    /// What a file says of itself, unproven: for lists of sessions.
    ///
    /// @param computed tokens whose state is in it
    record Label(SessionKey key, int tokens, int computed, Instant created, long bytes) {}

    /// Reads a file's header only.
    ///
    /// @throws SessionException `DAMAGED` when it is no session of this format
    static Label label(Path path) {
        try (SafetensorsFile file = map(path)) {
            Reader reader = new Reader(file);
            reader.requireFormat();
            long tokens = reader.tensor(TOKENS, DType.I32, 1).shape().getFirst();
            return new Label(reader.key(), reader.count(tokens, Integer.MAX_VALUE, "tokens"), reader.number(Text.COMPUTED),
                    reader.created(), file.bytes());
        }
    }

    /// Maps a file and checks all of it, the digest included.
    ///
    /// @param key whose session it must be, and which
    /// @throws SessionException `INCOMPATIBLE` or `DAMAGED`, with what was found and what was expected
    static SessionFile open(Path path, SessionKey key, SessionIdentity identity, Bounds bounds) {
        SafetensorsFile file = map(path);
        boolean complete = false;
        try {
            SessionFile session = read(file, key, identity, bounds);
            complete = true;
            return session;
        } finally {
            if (!complete) {
                file.close();
            }
        }
    }

    private static SafetensorsFile map(Path path) {
        try {
            return SafetensorsFile.open(path, HEADER_BYTES);
        } catch (CheckpointException damaged) {
            throw new SessionException(Kind.DAMAGED, "the session's file is no safetensors file: " + damaged.getMessage(), damaged);
        }
    }

    private static SessionFile read(SafetensorsFile file, SessionKey key, SessionIdentity identity, Bounds bounds) {
        Reader reader = new Reader(file);
        reader.requireFormat();
        reader.requireSame(Text.MODEL, "model", identity.model());
        reader.requireSame(Text.REVISION, "revision", identity.revision());
        reader.requireSame(Text.CACHE_FORMAT, "cache format", identity.cacheFormat());
        SessionKey found = reader.key();
        if (!found.tenant().equals(key.tenant())) {
            throw new SessionException(Kind.INCOMPATIBLE, "the session's file belongs to another owner");
        }
        if (!found.name().equals(key.name())) {
            throw new SessionException(Kind.INCOMPATIBLE, "the session's file is of session \"" + found.name() + "\", not of \""
                    + key.name() + "\"");
        }
        TensorView tokens = reader.tensor(TOKENS, DType.I32, 1);
        int length = reader.count(tokens.shape().getFirst(), bounds.mostTokens(), "tokens");
        int computed = reader.number(Text.COMPUTED);
        int answerStart = reader.number(Text.ANSWER_START);
        if (computed > length || answerStart > length) {
            throw damaged("it states " + computed + " computed tokens and an answer from token " + answerStart + " on, of " + length);
        }
        Optional<SessionBytes> image = reader.image(computed, bounds);
        reader.requireDigest();
        var session = new SessionRecord(found, ids(tokens, length, bounds.vocabSize()), answerStart, reader.created());
        file.checkUnchanged();
        return new SessionFile(file, session, computed, image);
    }

    private static int[] ids(TensorView tokens, int length, int vocabSize) {
        int[] ids = new int[length];
        MemorySegment data = tokens.data();
        for (int i = 0; i < length; i++) {
            ids[i] = data.get(JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), (long) i * Integer.BYTES);
            if (ids[i] < 0 || ids[i] >= vocabSize) {
                throw damaged("token " + i + " is " + ids[i] + ", outside the vocabulary of " + vocabSize);
            }
        }
        return ids;
    }

    private static SessionException damaged(String what) {
        return new SessionException(Kind.DAMAGED, "the session's file is damaged: " + what);
    }

    /// The texts and tensors of one file.
    private record Reader(SafetensorsFile file) {

        void requireFormat() {
            String format = file.metadata().getOrDefault(Text.FORMAT.key(), "none");
            if (!format.equals(FORMAT)) {
                throw new SessionException(Kind.INCOMPATIBLE, "the session's file has format \"" + shorten(format) + "\"; this is \"" + FORMAT
                        + "\"");
            }
        }

        void requireSame(Text text, String what, String expected) {
            String found = text(text);
            if (!found.equals(expected)) {
                throw new SessionException(Kind.INCOMPATIBLE, "the session's file is of " + what + " \"" + shorten(found) + "\"; this is \""
                        + expected + "\"");
            }
        }

        String text(Text text) {
            String found = file.metadata().get(text.key());
            if (found == null) {
                throw damaged("it has no " + text.key());
            }
            return found;
        }

        SessionKey key() {
            try {
                return new SessionKey(text(Text.TENANT), text(Text.NAME));
            } catch (IllegalArgumentException impossible) {
                throw damaged(impossible.getMessage());
            }
        }

        Instant created() {
            try {
                return Instant.parse(text(Text.CREATED));
            } catch (DateTimeException wrong) {
                throw damaged("it was made at \"" + shorten(text(Text.CREATED)) + "\"");
            }
        }

        int number(Text text) {
            try {
                int number = Integer.parseInt(text(text));
                if (number >= 0) {
                    return number;
                }
            } catch (NumberFormatException wrong) {
                // said below
            }
            throw damaged(text.key() + " is \"" + shorten(text(text)) + "\"");
        }

        int count(long found, int most, String what) {
            if (found > most) {
                throw new SessionException(Kind.TOO_LARGE, "the session's file has " + found + " " + what + "; this engine holds " + most);
            }
            return (int) found;
        }

        TensorView tensor(String name, DType type, int rank) {
            for (TensorView tensor : file.tensors()) {
                if (tensor.name().equals(name)) {
                    if (tensor.type() != type || tensor.shape().size() != rank) {
                        throw damaged("tensor " + name + " is " + tensor.type() + " " + tensor.shape());
                    }
                    return tensor;
                }
            }
            throw damaged("it has no tensor " + name);
        }

        Optional<SessionBytes> image(int computed, Bounds bounds) {
            int expected = computed == 0 ? 1 : 3;
            if (file.tensors().size() != expected) {
                throw damaged("it has " + file.tensors().size() + " tensors where " + computed + " tokens are computed; expected " + expected);
            }
            if (computed == 0) {
                return Optional.empty();
            }
            TensorView state = tensor(STATE, DType.U8, 1);
            TensorView blocks = tensor(BLOCKS, DType.U8, 2);
            int count = CacheShape.blocksFor(computed);
            if (!state.shape().equals(List.of(bounds.slotBytes())) || !blocks.shape().equals(List.of((long) count, bounds.blockBytes()))) {
                throw damaged("state " + state.shape() + " and blocks " + blocks.shape() + " for " + computed + " tokens; expected ["
                        + bounds.slotBytes() + "] and [" + count + ", " + bounds.blockBytes() + "]");
            }
            List<MemorySegment> parts = new ArrayList<>(count);
            for (int i = 0; i < count; i++) {
                parts.add(blocks.data().asSlice(i * bounds.blockBytes(), bounds.blockBytes()));
            }
            return Optional.of(new SessionBytes(computed, state.data(), parts));
        }

        void requireDigest() {
            Map<String, String> texts = new LinkedHashMap<>(file.metadata());
            String stated = text(Text.SHA256);
            texts.remove(Text.SHA256.key());
            var digest = new SessionDigest(texts, file.tensors().stream()
                    .map(tensor -> new Declared(tensor.name(), tensor.type(), tensor.shape())).toList());
            file.tensors().forEach(tensor -> digest.add(tensor.data()));
            String found = HexFormat.of().formatHex(digest.finish());
            if (!found.equals(stated)) {
                throw damaged("its content has SHA-256 " + found + ", it states \"" + shorten(stated) + "\"");
            }
        }

        private static String shorten(String text) {
            return text.length() <= 160 ? text : text.substring(0, 160) + "…";
        }
    }
}
