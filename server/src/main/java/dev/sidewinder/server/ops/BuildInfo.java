package dev.sidewinder.server.ops;

import jakarta.inject.Singleton;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/// Which build this is. Filled in by Maven.
@Singleton
public final class BuildInfo {

    private static final String RESOURCE = "/sidewinder-build.properties";

    private final Properties properties = new Properties();

    public BuildInfo() {
        try (InputStream in = BuildInfo.class.getResourceAsStream(RESOURCE)) {
            if (in == null) {
                throw new IllegalStateException("the build left out " + RESOURCE);
            }
            properties.load(in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public String version() {
        return properties.getProperty("version");
    }

    /// `unknown` outside of a checkout.
    public String commit() {
        String commit = properties.getProperty("commit", "");
        return commit.isEmpty() || commit.startsWith("$") ? "unknown" : commit;
    }
}
