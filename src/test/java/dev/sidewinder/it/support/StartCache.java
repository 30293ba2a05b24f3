package dev.sidewinder.it.support;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/// The start-up cache of the JVM that `./sidewinder` makes for whoever starts the server more than once, for the many starts of
/// these tests: made once for a build and a JDK, and shared by the processes that run the tests. Where it cannot be made, starts just
/// take longer.
final class StartCache {

    private static final int LIMIT_SECONDS = 120;
    private static final Optional<Path> CACHE = find();

    private StartCache() {}

    /// The option that makes a JVM use the cache, or none.
    static List<String> option() {
        return CACHE.map(file -> List.of("-XX:AOTCache=" + file)).orElse(List.of());
    }

    private static Optional<Path> find() {
        Path file = Path.of("target", "start-" + Runtime.version() + ".aot").toAbsolutePath();
        try (FileChannel lock = FileChannel.open(file.resolveSibling("start.lock"), StandardOpenOption.CREATE,
                StandardOpenOption.WRITE); var _ = lock.lock()) {
            if (isOfThisBuild(file) || make(file)) {
                return Optional.of(file);
            }
            System.out.println("StartCache: none could be made; see " + log(file));
            return Optional.empty();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    private static boolean isOfThisBuild(Path file) throws IOException {
        return Files.exists(file)
                && Files.getLastModifiedTime(file).compareTo(Files.getLastModifiedTime(ServerProcess.runner())) > 0;
    }

    /// Starts a server to the point where it is ready, and ends it: what was loaded and linked until then is in the cache.
    private static boolean make(Path file) throws IOException, InterruptedException {
        Path made = file.resolveSibling(file.getFileName() + ".new");
        Files.deleteIfExists(made);
        List<String> command = new ArrayList<>(ServerProcess.command(List.of("-XX:AOTCacheOutput=" + made),
                List.of("--port", "0", "--model", "synthetic:demo")));
        var builder = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log(file).toFile());
        builder.environment().keySet().removeIf(name -> name.startsWith("SIDEWINDER_"));
        Process server = builder.start();
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
        while (server.isAlive() && System.nanoTime() < deadline && !Files.readString(log(file)).contains("ready    http")) {
            Waiting.pause();
        }
        server.destroy();
        if (!server.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
            server.destroyForcibly().waitFor();
        }
        if (!Files.exists(made)) {
            return false;
        }
        Files.move(made, file, StandardCopyOption.REPLACE_EXISTING);
        return true;
    }

    private static Path log(Path file) {
        return file.resolveSibling("start.log");
    }
}
