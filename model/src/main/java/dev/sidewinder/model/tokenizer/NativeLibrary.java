package dev.sidewinder.model.tokenizer;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import ai.djl.util.Utils;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/// Loads the native library once per class loader.
///
/// The binding unpacks `libtokenizers` into a cache folder: the system property or environment variable
/// `ENGINE_CACHE_DIR`, else `DJL_CACHE_DIR`, else `.djl.ai` in the user's home. Where neither is set and the home cannot
/// be written, a private folder under `java.io.tmpdir` serves and is deleted at exit. (A fixed folder there would let
/// another user plant a library.)
///
/// The binding would also report its use to its makers and, on machines with CUDA, look on the network for another
/// build of the library. Its offline switch turns both off; it is a system property and has to be set before the first
/// use, which is why this class writes one. We call the library's functions directly and never its hub.
final class NativeLibrary {
    private static final String OFFLINE = "ai.djl.offline";
    private static final String ENGINE_CACHE = "ENGINE_CACHE_DIR";
    private static final String GENERAL_CACHE = "DJL_CACHE_DIR";

    private NativeLibrary() {}

    /// @throws IllegalStateException when it cannot be loaded, with the reason
    static TokenizersLibrary get() {
        if (Loaded.FAILURE != null) {
            throw new IllegalStateException("the native tokenizers library cannot be loaded; " + GENERAL_CACHE
                    + " names a folder it may be unpacked in and run from", Loaded.FAILURE);
        }
        return TokenizersLibrary.LIB;
    }

    /// Loading on first use, under the class loader's lock.
    private static final class Loaded {
        static final Throwable FAILURE = load();
    }

    private static Throwable load() {
        try {
            unpackAndLink();
            return null;
        } catch (RuntimeException | LinkageError e) {
            return e;
        }
    }

    private static void unpackAndLink() {
        System.setProperty(OFFLINE, "true");
        boolean chosen = Utils.getEnvOrSystemProperty(ENGINE_CACHE) != null
                || Utils.getEnvOrSystemProperty(GENERAL_CACHE) != null;
        if (!chosen && !writable(Path.of(System.getProperty("user.home"), ".djl.ai", "tokenizers"))) {
            System.setProperty(ENGINE_CACHE, privateFolder().toString());
        }
        LibUtils.checkStatus();
    }

    /// Asks the file system rather than its permission bits: a full or read-only disk says no only when written to.
    static boolean writable(Path folder) {
        try {
            Files.createDirectories(folder);
            Files.delete(Files.createTempFile(folder, "probe", null));
            return true;
        } catch (IOException | SecurityException e) {
            return false;
        }
    }

    private static Path privateFolder() {
        try {
            Path folder = Files.createTempDirectory("sidewinder-tokenizers");
            Runtime.getRuntime().addShutdownHook(new Thread(() -> Utils.deleteQuietly(folder)));
            return folder;
        } catch (IOException e) {
            throw new UncheckedIOException("no folder to unpack the tokenizers library in: neither the user's home nor "
                    + System.getProperty("java.io.tmpdir") + " can be written; set " + GENERAL_CACHE, e);
        }
    }
}
