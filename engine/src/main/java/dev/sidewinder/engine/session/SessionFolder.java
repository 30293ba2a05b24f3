package dev.sidewinder.engine.session;

import dev.sidewinder.engine.SessionBytes;
import dev.sidewinder.engine.session.SessionException.Kind;
import java.io.IOException;
import java.lang.System.Logger.Level;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/// The files of sessions: one each, named by a digest of owner and name, so that no name of a client reaches the file system.
///
/// Several processes may use one folder, each a session at a time: a file is replaced as a whole.
final class SessionFolder {

    private static final System.Logger LOG = System.getLogger(SessionFolder.class.getName());

    private static final String SUFFIX = ".safetensors";

    private final Path folder;
    private final SessionIdentity identity;
    private final SessionFile.Bounds bounds;

    /// Makes the folder where there is none.
    SessionFolder(Path folder, SessionIdentity identity, SessionFile.Bounds bounds) {
        this.folder = folder;
        this.identity = identity;
        this.bounds = bounds;
        try {
            Files.createDirectories(folder);
        } catch (IOException refused) {
            throw storage("the folder for sessions cannot be made", refused);
        }
    }

    Path path(SessionKey key) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256")
                    .digest((key.tenant().length() + " " + key.tenant() + key.name()).getBytes(StandardCharsets.UTF_8));
            return folder.resolve(HexFormat.of().formatHex(digest, 0, 20) + SUFFIX);
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException("every Java platform has SHA-256", impossible);
        }
    }

    /// What the file of a session says of itself; empty when there is none.
    Optional<SessionFile.Label> find(SessionKey key) {
        Path path = path(key);
        return Files.exists(path) ? Optional.of(SessionFile.label(path)).filter(label -> label.key().equals(key)) : Optional.empty();
    }

    /// The labels of all files of an owner. A file that cannot be read is left out, with a line in the log.
    List<SessionFile.Label> list(String tenant) {
        List<SessionFile.Label> labels = new ArrayList<>();
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, "*" + SUFFIX)) {
            for (Path file : files) {
                readable(file).filter(label -> label.key().tenant().equals(tenant)).ifPresent(labels::add);
            }
        } catch (IOException failed) {
            throw storage("the folder of sessions cannot be read", failed);
        }
        return labels;
    }

    private static Optional<SessionFile.Label> readable(Path file) {
        try {
            return Optional.of(SessionFile.label(file));
        } catch (SessionException damaged) {
            LOG.log(Level.WARNING, () -> file.getFileName() + " is passed over: " + damaged.getMessage());
            return Optional.empty();
        }
    }

    /// Opens the file of a session, checked.
    SessionFile open(SessionKey key) {
        return SessionFile.open(path(key), key, identity, bounds);
    }

    /// @return bytes of the file
    long write(SessionRecord session, Optional<SessionBytes> image) {
        try {
            return SessionWriter.write(path(session.key()), identity, session, image);
        } catch (IOException failed) {
            throw storage("the session's file cannot be written", failed);
        }
    }

    void delete(SessionKey key) {
        try {
            Files.deleteIfExists(path(key));
        } catch (IOException failed) {
            throw storage("the session's file cannot be deleted", failed);
        }
    }

    private static SessionException storage(String what, IOException cause) {
        return new SessionException(Kind.STORAGE, what + ": " + cause, cause);
    }
}
