package dev.sidewinder.server.auth;

import io.quarkus.logging.Log;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;

/// The keys of a file, read again when it changes. A file that has become unusable leaves the keys as they were and a line in
/// the log, so that a half-written file locks nobody out; who takes a key away should see the line that says so.
///
/// One thread looks; any may ask for the keys. Requests that run keep what they were admitted with.
public final class LiveKeys implements AutoCloseable {

    /// The whole file is read each time: times of change are too coarse on some file systems, and none is reported on others.
    private static final Duration INTERVAL = Duration.ofSeconds(1);

    private final Path file;
    private volatile KeyRing ring;
    private byte[] bytes;
    /// Why the file could not be used when it was last looked at; null when it could.
    private String problem;
    private Thread watch;

    private LiveKeys(Path file) {
        this.file = file;
        this.bytes = KeyFile.bytes(file);
        this.ring = KeyFile.parse(file.toString(), bytes);
    }

    /// Reads the file and does not watch it yet.
    ///
    /// @throws KeyFileException when it cannot be used
    public static LiveKeys open(Path file) {
        return new LiveKeys(file);
    }

    /// Looks at the file from now on.
    public synchronized LiveKeys watched() {
        watch = Thread.ofVirtual().name("sidewinder-keys").start(this::lookForEver);
        return this;
    }

    public KeyRing ring() {
        return ring;
    }

    private void lookForEver() {
        try {
            while (true) {
                Thread.sleep(INTERVAL);
                look();
            }
        } catch (InterruptedException closed) {
            Thread.currentThread().interrupt();
        }
    }

    /// Takes over what has changed.
    synchronized void look() {
        try {
            byte[] now = KeyFile.bytes(file);
            if (Arrays.equals(now, bytes)) {
                problem = null;
                return;
            }
            ring = KeyFile.parse(file.toString(), now);
            bytes = now;
            problem = null;
            Log.infof("keys: %s has changed: %s from now on", file, ring.summary());
        } catch (KeyFileException unusable) {
            if (!unusable.getMessage().equals(problem)) {
                problem = unusable.getMessage();
                Log.errorf("keys: %s; the keys that were read before (%s) stay valid", problem, ring.summary());
            }
        }
    }

    @Override
    public synchronized void close() {
        if (watch != null) {
            watch.interrupt();
        }
    }
}
