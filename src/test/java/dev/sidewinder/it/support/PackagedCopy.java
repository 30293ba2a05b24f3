package dev.sidewinder.it.support;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Enumeration;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/// Copies of the packaged server that lack something.
public final class PackagedCopy {

    private static final String KERNELS_JAR = "sidewinder-cuda-kernels";
    private static final String IMAGES = "dev/sidewinder/cuda/kernel/images/";

    private PackagedCopy() {}

    /// As a build without nvcc makes it, whatever this one was made with.
    ///
    /// @param folder empty; its files are links to those of the packaged server but for the one jar
    /// @return what to start
    public static Path withoutKernels(Path folder) throws IOException {
        Path from = ServerProcess.runner().getParent();
        try (Stream<Path> files = Files.walk(from)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Path to = folder.resolve(from.relativize(file));
                Files.createDirectories(to.getParent());
                if (file.getFileName().toString().contains(KERNELS_JAR)) {
                    copyWithoutImages(file, to);
                } else {
                    link(file, to);
                }
            }
        }
        return folder.resolve(from.relativize(ServerProcess.runner()));
    }

    private static void link(Path file, Path to) {
        try {
            Files.createLink(to, file);
        } catch (IOException | UnsupportedOperationException otherFileSystem) {
            try {
                Files.copy(file, to);
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private static void copyWithoutImages(Path jar, Path to) throws IOException {
        try (ZipFile source = new ZipFile(jar.toFile()); OutputStream file = Files.newOutputStream(to);
                ZipOutputStream target = new ZipOutputStream(file)) {
            for (Enumeration<? extends ZipEntry> entries = source.entries(); entries.hasMoreElements(); ) {
                ZipEntry entry = entries.nextElement();
                if (!entry.getName().startsWith(IMAGES)) {
                    target.putNextEntry(new ZipEntry(entry.getName()));
                    try (InputStream content = source.getInputStream(entry)) {
                        content.transferTo(target);
                    }
                    target.closeEntry();
                }
            }
        }
    }
}
