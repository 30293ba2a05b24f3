package dev.sidewinder.it.support;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;

/// A file of API keys for a server under test. The key of an id is `key-of-` and the id.
public final class KeyFile {

    private final Path path;
    private final Map<String, String> lines = new LinkedHashMap<>();

    public KeyFile(Path folder) {
        this.path = folder.resolve("keys");
    }

    public static String keyOf(String id) {
        return "key-of-" + id;
    }

    /// @param options as the file has them, "" for none
    public KeyFile with(String id, String roles, String options) {
        lines.put(id, id + ":" + roles + ":" + digest(keyOf(id)) + (options.isEmpty() ? "" : ":" + options));
        return this;
    }

    public KeyFile with(String id, String roles) {
        return with(id, roles, "");
    }

    public KeyFile without(String id) {
        lines.remove(id);
        return this;
    }

    /// Puts the file in its place, as a whole.
    public Path write() throws IOException {
        return write(String.join("\n", lines.values()) + "\n");
    }

    public Path write(String text) throws IOException {
        Path beside = Files.writeString(path.resolveSibling("keys.new"), text);
        return Files.move(beside, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }

    private static String digest(String key) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(key.getBytes(StandardCharsets.UTF_8)));
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
