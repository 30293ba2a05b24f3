package dev.sidewinder.model.checkpoint;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Optional;

/// The folder of a checkpoint: finds its files by plain name and refuses what is not a regular file inside it.
///
/// A symbolic link may lead to another file of the folder, or into the `blobs` folder beside `snapshots`, which is how the
/// hub's download cache lays checkpoints out (`blobs/<hash>`, `snapshots/<revision>/<name>`).
public final class ModelFolder {

    private final Path given;
    private final Path folder;

    /// @throws CheckpointException when there is no such folder
    public ModelFolder(Path given) {
        this.given = given;
        if (!Files.isDirectory(given)) {
            throw new CheckpointException(given + ": " + (Files.exists(given) ? "is not a folder" : "there is no such "
                    + "folder") + "; expected the folder of a checkpoint with config.json and *.safetensors");
        }
        try {
            this.folder = given.toRealPath();
        } catch (IOException failed) {
            throw new CheckpointException(given + ": cannot be opened: " + failed, failed);
        }
    }

    /// The folder's own name.
    public String name() {
        Path name = given.toAbsolutePath().normalize().getFileName();
        return name == null ? "model" : name.toString();
    }

    /// The file of this name, or empty when there is none.
    ///
    /// @param name a plain name; anything with a separator is refused
    public Optional<Path> find(String name) {
        checkPlain(name);
        Path file = folder.resolve(name);
        if (!Files.isSymbolicLink(file) && !Files.exists(file)) {
            return Optional.empty();
        }
        try {
            Path real = file.toRealPath();
            if (!real.startsWith(folder) && !inBlobStore(real)) {
                throw new CheckpointException(name + ": is a link that leads out of the model folder, to " + real
                        + "; copy the file into " + given);
            }
            BasicFileAttributes attributes = Files.readAttributes(real, BasicFileAttributes.class);
            if (!attributes.isRegularFile()) {
                throw new CheckpointException(name + ": is " + (attributes.isDirectory() ? "a directory"
                        : "a pipe, socket or device") + "; expected a file");
            }
            return Optional.of(file);
        } catch (IOException failed) {
            throw new CheckpointException(name + ": cannot be opened in " + given + ": " + failed, failed);
        }
    }

    /// The file of this name.
    ///
    /// @throws CheckpointException when there is none
    public Path require(String name) {
        return find(name).orElseThrow(() -> new CheckpointException(name + ": is missing in " + given));
    }

    /// The content of a small file.
    ///
    /// @param mostBytes larger files are refused
    public Optional<byte[]> read(String name, int mostBytes) {
        Optional<Path> file = find(name);
        if (file.isEmpty()) {
            return Optional.empty();
        }
        try (InputStream in = Files.newInputStream(file.get())) {
            byte[] content = in.readNBytes(mostBytes);
            if (in.read() >= 0) {
                throw new CheckpointException(name + ": is larger than " + mostBytes + " bytes");
            }
            return Optional.of(content);
        } catch (IOException failed) {
            throw new CheckpointException(name + ": cannot be read: " + failed, failed);
        }
    }

    private boolean inBlobStore(Path real) {
        Path snapshots = folder.getParent();
        if (snapshots == null || snapshots.getFileName() == null
                || !snapshots.getFileName().toString().equals("snapshots")) {
            return false;
        }
        return real.startsWith(snapshots.resolveSibling("blobs"));
    }

    private static void checkPlain(String name) {
        boolean plain = !name.isEmpty() && name.length() <= 255 && !name.equals(".") && !name.equals("..")
                && name.chars().noneMatch(c -> c == '/' || c == '\\' || c < ' ');
        if (!plain) {
            throw new CheckpointException("file name \"" + (name.length() > 100 ? name.substring(0, 100) + "…" : name)
                    + "\" is not a plain name; files of a checkpoint lie in its folder");
        }
    }
}
