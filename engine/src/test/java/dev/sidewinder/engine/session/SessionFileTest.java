package dev.sidewinder.engine.session;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.engine.SessionBytes;
import dev.sidewinder.engine.session.SessionException.Kind;
import dev.sidewinder.model.checkpoint.SafetensorsFile;
import dev.sidewinder.model.checkpoint.TensorView;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class SessionFileTest {

    private static final SessionKey KEY = new SessionKey("tenant-7", "plans");
    private static final SessionIdentity IDENTITY = new SessionIdentity("tiny", "r1", "cpu, f32 arithmetic");
    private static final SessionFile.Bounds BOUNDS = new SessionFile.Bounds(96, 256, 1000, 2000);
    private static final Instant CREATED = Instant.parse("2026-11-22T10:00:00Z");

    @TempDir
    private Path folder;

    private Path path() {
        return folder.resolve("session.safetensors");
    }

    private static SessionRecord history(int tokens) {
        return new SessionRecord(KEY, IntStream.range(0, tokens).map(i -> (i * 7 + 3) % 1000).toArray(), tokens / 2, CREATED);
    }

    private static MemorySegment bytes(int count, long seed) {
        byte[] bytes = new byte[count];
        new Random(seed).nextBytes(bytes);
        return MemorySegment.ofArray(bytes);
    }

    private static SessionBytes image(int computed) {
        List<MemorySegment> blocks = new ArrayList<>();
        for (int i = 0; i < Math.ceilDiv(computed, 128); i++) {
            blocks.add(bytes(256, 10 + i));
        }
        return new SessionBytes(computed, bytes(96, 1), blocks);
    }

    private void write(int tokens, int computed) throws IOException {
        SessionWriter.write(path(), IDENTITY, history(tokens), computed == 0 ? Optional.empty() : Optional.of(image(computed)));
    }

    private SessionFile open() {
        return SessionFile.open(path(), KEY, IDENTITY, BOUNDS);
    }

    private void assertRefused(Kind kind, String... words) {
        assertThatThrownBy(this::open).isInstanceOfSatisfying(SessionException.class, refusal -> {
            assertThat(refusal.kind()).as(refusal.getMessage()).isEqualTo(kind);
            assertThat(refusal.getMessage()).contains(words);
        });
    }

    @ParameterizedTest
    @CsvSource({"0, 0", "1, 0", "1, 1", "5, 4", "128, 127", "129, 128", "129, 129", "257, 256", "300, 299"})
    void comesBackAsItWasWritten(int tokens, int computed) throws IOException {
        write(tokens, computed);
        try (SessionFile file = open()) {
            assertThat(file.session().key()).isEqualTo(KEY);
            assertThat(file.session().tokens()).isEqualTo(history(tokens).tokens());
            assertThat(file.session().answerStart()).isEqualTo(tokens / 2);
            assertThat(file.session().created()).isEqualTo(CREATED);
            assertThat(file.computed()).isEqualTo(computed);
            assertThat(file.image().isPresent()).isEqualTo(computed > 0);
            file.image().ifPresent(found -> {
                SessionBytes expected = image(computed);
                assertThat(found.state().mismatch(expected.state())).isEqualTo(-1);
                assertThat(found.blocks()).hasSameSizeAs(expected.blocks());
                for (int i = 0; i < found.blocks().size(); i++) {
                    assertThat(found.blocks().get(i).mismatch(expected.blocks().get(i))).isEqualTo(-1);
                }
            });
            assertThat(file.bytes()).isEqualTo(Files.size(path()));
        }
        SessionFile.Label label = SessionFile.label(path());
        assertThat(label).isEqualTo(new SessionFile.Label(KEY, tokens, computed, CREATED, Files.size(path())));
    }

    @Test
    void isAnOrdinarySafetensorsFileThatOnlyItsOwnerReads() throws IOException {
        write(300, 299);
        try (SafetensorsFile file = SafetensorsFile.open(path())) {
            assertThat(file.tensors()).extracting(TensorView::name).containsExactly("tokens", "state", "blocks");
            assertThat(file.tensors().getLast().shape()).containsExactly(3L, 256L);
            assertThat(file.metadata()).containsEntry("format", "sidewinder-session-1").containsEntry("name", "plans")
                    .containsEntry("model", "tiny").containsEntry("revision", "r1").containsEntry("computed", "299");
            assertThat(file.metadata().get("sha256")).hasSize(64);
        }
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path()))).isEqualTo("rw-------");
        assertThat(folder).isDirectoryNotContaining(file -> file.toString().endsWith(".partial"));
    }

    @Test
    void anotherModelRevisionFormatOwnerOrNameIsRefusedWithBoth() throws IOException {
        write(5, 4);
        assertIncompatible(KEY, new SessionIdentity("large", "r1", IDENTITY.cacheFormat()), "model", "\"tiny\"", "\"large\"");
        assertIncompatible(KEY, new SessionIdentity("tiny", "r2", IDENTITY.cacheFormat()), "revision", "\"r1\"", "\"r2\"");
        assertIncompatible(KEY, new SessionIdentity("tiny", "r1", "cuda"), "cache format", "\"cpu, f32 arithmetic\"", "\"cuda\"");
        assertIncompatible(new SessionKey("tenant-8", "plans"), IDENTITY, "another owner");
        assertIncompatible(new SessionKey("tenant-7", "other"), IDENTITY, "\"plans\"", "\"other\"");
    }

    private void assertIncompatible(SessionKey key, SessionIdentity identity, String... words) {
        assertThatThrownBy(() -> SessionFile.open(path(), key, identity, BOUNDS)).isInstanceOfSatisfying(SessionException.class, refusal -> {
            assertThat(refusal.kind()).isEqualTo(Kind.INCOMPATIBLE);
            assertThat(refusal.getMessage()).contains(words);
            assertThat(refusal.getMessage()).doesNotContain("tenant-");
        });
    }

    @Test
    void everyByteThatIsTurnedIsFound() throws IOException {
        // given a file with a partial block
        write(130, 129);
        byte[] whole = Files.readAllBytes(path());
        var random = new Random(3);

        // when any bit of it is turned, wherever it lies
        for (int round = 0; round < 400; round++) {
            byte[] turned = whole.clone();
            int at = round < whole.length / 4 ? round * 4 : random.nextInt(whole.length);
            turned[at] ^= (byte) (1 << random.nextInt(8));
            Files.write(path(), turned);

            // then it is refused, and never read as something else
            assertThatThrownBy(this::open).as("byte %d", at).isInstanceOfSatisfying(SessionException.class, refusal ->
                    assertThat(refusal.kind()).isIn(Kind.DAMAGED, Kind.INCOMPATIBLE, Kind.TOO_LARGE));
        }
    }

    @Test
    void everyLengthThatIsCutIsFound() throws IOException {
        write(130, 129);
        byte[] whole = Files.readAllBytes(path());
        for (int length = 0; length < whole.length; length += length < 1400 ? 1 : 37) {
            Files.write(path(), Arrays.copyOf(whole, length));
            assertRefused(Kind.DAMAGED, "safetensors");
        }
        Files.write(path(), Arrays.copyOf(whole, whole.length + 1));
        assertRefused(Kind.DAMAGED, "belong to no tensor");
    }

    /// Files whose digest is right, by somebody who means harm: the sums are checked all the same.
    @Test
    void statementsThatDoNotFitTogetherAreRefusedThoughTheDigestIsRight() throws IOException {
        SessionWriter.write(path(), IDENTITY, history(5), Optional.of(new SessionBytes(4, bytes(95, 1), image(4).blocks())));
        assertRefused(Kind.DAMAGED, "state [95]", "[96]");

        SessionWriter.write(path(), IDENTITY, history(300), Optional.of(new SessionBytes(299, bytes(96, 1), image(4).blocks())));
        assertRefused(Kind.DAMAGED, "blocks [1, 256] for 299 tokens", "[3, 256]");

        SessionWriter.write(path(), IDENTITY, history(5), Optional.of(image(200)));
        assertRefused(Kind.DAMAGED, "200 computed tokens", "of 5");

        SessionWriter.write(path(), IDENTITY, new SessionRecord(KEY, new int[] {1, 1000}, 0, CREATED), Optional.empty());
        assertRefused(Kind.DAMAGED, "token 1 is 1000", "vocabulary of 1000");

        SessionWriter.write(path(), IDENTITY, new SessionRecord(KEY, new int[] {-1}, 0, CREATED), Optional.empty());
        assertRefused(Kind.DAMAGED, "token 0 is -1");

        write(2001, 0);
        assertRefused(Kind.TOO_LARGE, "2001 tokens", "2000");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "x", "{}", "\0\0\0\0\0\0\0\0", "\u0002\0\0\0\0\0\0\0{}", "\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u00ff\u007f{}"})
    void whatIsNoSessionIsRefused(String content) throws IOException {
        Files.write(path(), content.getBytes(StandardCharsets.ISO_8859_1));
        assertThatThrownBy(this::open).isInstanceOfSatisfying(SessionException.class, refusal ->
                assertThat(refusal.kind()).isIn(Kind.DAMAGED, Kind.INCOMPATIBLE));
        assertThatThrownBy(() -> SessionFile.label(path())).isInstanceOf(SessionException.class);
    }

    @Test
    void theOldFileStaysWhereTheNewOneCannotBeWritten() throws IOException {
        // given a session's file, and a successor whose memory is gone when it is read
        write(130, 129);
        byte[] before = Files.readAllBytes(path());
        MemorySegment gone;
        try (var arena = Arena.ofConfined()) {
            gone = arena.allocate(256);
        }

        // when writing it fails half way
        SessionBytes broken = new SessionBytes(100, bytes(96, 1), List.of(gone));
        assertThatThrownBy(() -> SessionWriter.write(path(), IDENTITY, history(130), Optional.of(broken)))
                .isInstanceOf(IllegalStateException.class);

        // then the old one is there, whole and alone
        assertThat(Files.readAllBytes(path())).isEqualTo(before);
        try (var files = Files.list(folder)) {
            assertThat(files).containsExactly(path());
        }
    }

    @Test
    void aFolderListsItsOwnersFilesAndPassesOverOthers() throws IOException {
        var files = new SessionFolder(folder, IDENTITY, BOUNDS);
        files.write(history(5), Optional.of(image(4)));
        files.write(new SessionRecord(new SessionKey("tenant-8", "plans"), new int[] {1}, 0, CREATED), Optional.empty());
        Files.writeString(folder.resolve("torn.safetensors"), "torn");

        assertThat(files.list("tenant-7")).extracting(label -> label.key().name()).containsExactly("plans");
        assertThat(files.list("tenant-9")).isEmpty();
        assertThat(files.find(KEY)).isPresent();
        assertThat(files.find(new SessionKey("tenant-7", "../../etc/passwd"))).isEmpty();
        try (SessionFile file = files.open(KEY)) {
            assertThat(file.image().orElseThrow().state().get(JAVA_BYTE, 0)).isEqualTo(image(4).state().get(JAVA_BYTE, 0));
        }
        files.delete(KEY);
        assertThat(files.find(KEY)).isEmpty();
    }
}
