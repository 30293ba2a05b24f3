package dev.sidewinder.bench.gpu;

import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Enumeration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.spi.ToolProvider;
import java.util.stream.Stream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import java.util.zip.ZipOutputStream;

/// A folder that runs the benchmark by itself: a Java runtime with the modules that are needed, the jars, a start script.
/// For Linux on x86-64, like the kernels.
///
/// @param target the folder, or an archive of it
/// @param bytes  of all files, or of the archive
record Pack(Path target, long bytes) {

    /// What goes into a pack.
    ///
    /// @param architecture whose machine code is taken along; empty for all
    /// @param model        a checkpoint folder that is taken along
    record Contents(Optional<String> architecture, Optional<Path> model, String commit) {}

    private static final String ARCHIVE = ".tar.gz";
    private static final String FOLDER = "sidewinder-gpu";
    static final String MODULES =
            "java.base,java.logging,java.management,java.xml,jdk.incubator.vector,jdk.management,jdk.unsupported";
    /// What the benchmark runs from; everything else on its class path belongs to other benchmarks.
    private static final List<String> JARS = List.of("sidewinder-bench", "sidewinder-engine", "sidewinder-model",
            "sidewinder-scheduler", "sidewinder-kv-cache", "sidewinder-cuda-kernels", "jcuda", "jcublas", "picocli", "jackson",
            // the tokenizer, for --recall: the library's binding, and the two that it is written on
            "tokenizers-", "api-", "slf4j-api-");
    /// Parts of jars that no device needs: JCuda's compilers, the emulator, the tokenizer for other systems.
    private static final List<String> LEFT_OUT = List.of("lib/libJNvPTXCompiler", "lib/libJNvrtc",
            "dev/sidewinder/cuda/emulator/native/", "native/lib/win-", "native/lib/osx-", "native/lib/linux-aarch64/");
    private static final String IMAGE_SUFFIX = ".fatbin";
    private static final int BUFFER_LINES = 8;

    /// Makes a folder, or an archive where the name ends in `.tar.gz`.
    ///
    /// @param target   must not be there yet; a folder may be there if it is empty
    /// @param progress is told what is being done
    static Pack make(Path target, Contents contents, PrintStream progress) throws IOException {
        if (Files.exists(target) && !isEmptyFolder(target)) {
            throw new IOException(target + " is there already; name another place, or remove it");
        }
        if (!target.toString().endsWith(ARCHIVE)) {
            fill(target, contents, progress);
            return new Pack(target, size(target));
        }
        Files.createDirectories(target.getParent());
        Path work = Files.createTempDirectory(target.getParent(), ".pack-");
        try {
            fill(work.resolve(FOLDER), contents, progress);
            progress.println("packing " + target + "…");
            archive(work, target);
        } finally {
            delete(work);
        }
        return new Pack(target, Files.size(target));
    }

    String describe() {
        String size = String.format(Locale.ROOT, "%.1f MiB", bytes / (double) (1 << 20));
        if (target.toString().endsWith(ARCHIVE)) {
            return target + ": " + size + "; there: tar -xzf " + target.getFileName() + " && " + FOLDER + "/run --help";
        }
        return target + ": " + size + "; there: " + target.getFileName() + "/run --help";
    }

    private static boolean isEmptyFolder(Path target) throws IOException {
        if (!Files.isDirectory(target)) {
            return false;
        }
        try (Stream<Path> files = Files.list(target)) {
            return files.findAny().isEmpty();
        }
    }

    private static void fill(Path folder, Contents contents, PrintStream progress) throws IOException {
        Files.createDirectories(folder);
        progress.println("copying jars…");
        copyJars(Files.createDirectories(folder.resolve("lib")), contents.architecture());
        if (contents.model().isPresent()) {
            copyModel(contents.model().get(), folder.resolve("models"));
        }
        progress.println("linking a Java runtime…");
        linkRuntime(folder.resolve("runtime"));
        writeScript(folder.resolve("run"), contents.commit());
    }

    private static void copyJars(Path lib, Optional<String> architecture) throws IOException {
        List<Path> jars = jars(System.getProperty("java.class.path"));
        for (String name : JARS) {
            if (jars.stream().noneMatch(jar -> jar.getFileName().toString().startsWith(name))) {
                throw new IOException("there is no " + name + "*.jar on the class path; start this by ./sidewinder bench gpu --pack");
            }
        }
        for (Path jar : jars) {
            copyJar(jar, lib.resolve(jar.getFileName()), architecture);
        }
    }

    /// Those of a class path that the benchmark runs from.
    static List<Path> jars(String classPath) {
        return Arrays.stream(classPath.split(File.pathSeparator)).map(Path::of).filter(jar -> jar.toString().endsWith(".jar"))
                .filter(jar -> JARS.stream().anyMatch(name -> jar.getFileName().toString().startsWith(name))).toList();
    }

    /// The files of a checkpoint folder, without its subfolders.
    static void copyModel(Path from, Path models) throws IOException {
        Path to = Files.createDirectories(models.resolve(from.getFileName()));
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.filter(Files::isRegularFile).toList()) {
                Files.copy(file, to.resolve(file.getFileName()));
            }
        }
    }

    static void copyJar(Path from, Path to, Optional<String> architecture) throws IOException {
        try (ZipFile source = new ZipFile(from.toFile()); OutputStream file = Files.newOutputStream(to);
                ZipOutputStream target = new ZipOutputStream(file)) {
            for (Enumeration<? extends ZipEntry> entries = source.entries(); entries.hasMoreElements(); ) {
                ZipEntry entry = entries.nextElement();
                if (entry.isDirectory() || LEFT_OUT.stream().anyMatch(entry.getName()::startsWith)) {
                    continue;
                }
                target.putNextEntry(new ZipEntry(entry.getName()));
                try (InputStream content = source.getInputStream(entry)) {
                    if (architecture.isPresent() && entry.getName().endsWith(IMAGE_SUFFIX)) {
                        target.write(FatBinary.only(entry.getName(), content.readAllBytes(), architecture.get()));
                    } else {
                        content.transferTo(target);
                    }
                }
                target.closeEntry();
            }
        }
    }

    private static void linkRuntime(Path runtime) throws IOException {
        ToolProvider jlink = ToolProvider.findFirst("jlink").orElseThrow(() -> new IOException("this Java has no jlink; use a JDK"));
        StringWriter said = new StringWriter();
        int code = jlink.run(new PrintWriter(said), new PrintWriter(said), "--add-modules", MODULES, "--strip-debug",
                "--no-header-files", "--no-man-pages", "--compress", "zip-9", "--output", runtime.toString());
        if (code != 0) {
            throw new IOException("jlink failed with " + code + ": "
                    + String.join(" ", said.toString().lines().limit(BUFFER_LINES).toList()));
        }
    }

    private static void writeScript(Path script, String commit) throws IOException {
        Files.writeString(script, """
                #!/bin/sh
                # Checks and measures the CUDA kernels of Sidewinder %1$s on the GPU of this machine: ./run --help explains.
                here=$(CDPATH='' cd "$(dirname "$0")" && pwd -P)
                exec "$here/runtime/bin/java" --add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED \\
                    -XX:MaxRAMPercentage=60 -Dslf4j.internal.verbosity=ERROR -Dstdout.encoding=UTF-8 -Dstderr.encoding=UTF-8 -Dsidewinder.root="$here" \\
                    -Dsidewinder.commit=%1$s -cp "$here/lib/*" dev.sidewinder.bench.gpu.GpuCommand "$@"
                """.formatted(commit));
        Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private static void archive(Path work, Path target) throws IOException {
        Process tar = new ProcessBuilder("tar", "-czf", target.toString(), "-C", work.toString(), FOLDER).inheritIO().start();
        try {
            if (tar.waitFor() != 0) {
                throw new IOException("tar failed with " + tar.exitValue());
            }
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
            tar.destroyForcibly();
            throw new IOException("interrupted while packing " + target, stopped);
        }
    }

    private static long size(Path folder) throws IOException {
        long bytes = 0;
        for (Path file : files(folder)) {
            bytes += Files.isRegularFile(file) ? Files.size(file) : 0;
        }
        return bytes;
    }

    /// What is in a folder before the folder itself.
    private static List<Path> files(Path folder) throws IOException {
        try (Stream<Path> files = Files.walk(folder)) {
            return new ArrayList<>(files.sorted(Comparator.reverseOrder()).toList());
        }
    }

    private static void delete(Path folder) throws IOException {
        for (Path file : files(folder)) {
            Files.delete(file);
        }
    }
}
