package dev.sidewinder.cuda.emulator;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/// The emulated `libcuda.so.1`, found beside this class or unpacked from its jar, and the calls that only it has.
final class EmulatorLibrary {

    private static final String FOLDER = "native/";
    private static final long LONGEST_REPORT_BYTES = 1 << 16;
    private static final long LONGEST_RECORD_BYTES = 1 << 24;

    /// A native library cannot be unloaded: one for the process, made when first asked for.
    private static final class Holder {
        static final EmulatorLibrary LIBRARY = new EmulatorLibrary(locate());
    }

    private final Path path;
    private final MethodHandle reset;
    private final MethodHandle liveAllocations;
    private final MethodHandle lastBlocks;
    private final MethodHandle report;
    private final MethodHandle record;
    private final MethodHandle recorded;

    private EmulatorLibrary(Path path) {
        this.path = path;
        SymbolLookup symbols = SymbolLookup.libraryLookup(path, Arena.global());
        this.reset = find(symbols, "sidewinder_emulator_reset", JAVA_INT, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_LONG, JAVA_INT,
                JAVA_DOUBLE, JAVA_INT);
        this.liveAllocations = find(symbols, "sidewinder_emulator_live_allocations", JAVA_LONG);
        this.lastBlocks = find(symbols, "sidewinder_emulator_last_blocks", JAVA_INT, JAVA_LONG);
        this.report = find(symbols, "sidewinder_emulator_report", ADDRESS);
        this.record = find(symbols, "sidewinder_emulator_record", JAVA_INT);
        this.recorded = find(symbols, "sidewinder_emulator_recorded", ADDRESS);
    }

    static EmulatorLibrary get() {
        return Holder.LIBRARY;
    }

    private static MethodHandle find(SymbolLookup symbols, String name, MemoryLayout result, MemoryLayout... arguments) {
        return Linker.nativeLinker().downcallHandle(symbols.find(name).orElseThrow(),
                FunctionDescriptor.of(result, arguments));
    }

    private static Path locate() {
        URL resource = resource("libcuda.so.1");
        try {
            if (resource.getProtocol().equals("file")) {
                return Path.of(URI.create(resource.toString()));
            }
            // The driver's name must stay: the dynamic linker tells libraries apart by it.
            Path folder = Files.createTempDirectory("sidewinder-emulator-");
            Path file = folder.resolve("libcuda.so.1");
            folder.toFile().deleteOnExit();
            file.toFile().deleteOnExit();
            try (InputStream library = resource.openStream()) {
                Files.copy(library, file, StandardCopyOption.REPLACE_EXISTING);
            }
            return file;
        } catch (IOException e) {
            throw new UncheckedIOException("the emulator cannot be unpacked", e);
        }
    }

    private static URL resource(String name) {
        URL resource = EmulatorLibrary.class.getResource(FOLDER + name);
        if (resource == null) {
            throw new IllegalArgumentException("the emulator has no " + name
                    + ": was it built (build-emulator.sh, by Maven in process-test-classes), and is there such a .cu file?");
        }
        return resource;
    }

    static byte[] image(String family) {
        try (InputStream library = resource(family + ".so").openStream()) {
            return library.readAllBytes();
        } catch (IOException e) {
            throw new UncheckedIOException("kernel family " + family + " cannot be read", e);
        }
    }

    Path path() {
        return path;
    }

    void reset(EmulatorSettings settings) {
        try {
            int code = (int) reset.invokeExact(settings.seed(), settings.lazy() ? 1 : 0, settings.workers(),
                    settings.totalBytes(), settings.multiprocessors(), settings.blockSeconds(), settings.watching() ? 1 : 0);
            if (code != 0) {
                throw new IllegalStateException("the emulator refused " + settings + " with " + code);
            }
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    long liveAllocations() {
        try {
            return (long) liveAllocations.invokeExact();
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    void runOnlyLastBlocks(long count) {
        try {
            int _ = (int) lastBlocks.invokeExact(count);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    /// What the newest failing call had to say, "" when none has failed since the reset.
    String report() {
        try {
            return ((MemorySegment) report.invokeExact()).reinterpret(LONGEST_REPORT_BYTES).getString(0);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    void record() {
        try {
            int _ = (int) record.invokeExact();
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    /// A line for each launch since [#record].
    String recorded() {
        try {
            return ((MemorySegment) recorded.invokeExact()).reinterpret(LONGEST_RECORD_BYTES).getString(0);
        } catch (Throwable e) {
            throw failed(e);
        }
    }

    private static RuntimeException failed(Throwable cause) {
        return switch (cause) {
            case RuntimeException e -> e;
            case Error e -> throw e;
            default -> new IllegalStateException(cause);
        };
    }
}
