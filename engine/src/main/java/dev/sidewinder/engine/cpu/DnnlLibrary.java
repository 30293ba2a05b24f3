package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.ADDRESS;
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
import java.nio.file.Files;
import java.nio.file.Path;

/// The part of oneDNN's C interface that we use, bound without a shim: `libdnnl.so.3` comes out of the published jar,
/// `libgomp` and `libstdc++` from the system.
///
/// Handles are process-wide; safe for use by many threads. Source of names and constants: oneDNN 3.11, `dnnl.h`,
/// `dnnl_types.h`.
final class DnnlLibrary {

    static final int CPU = 1;
    static final int STREAM_IN_ORDER = 1;
    static final int TYPE_BF16 = 2;
    static final int TYPE_F32 = 3;
    static final int TAG_ANY = 1;
    static final int QUERY_IMPLEMENTATION = 8;
    static final int QUERY_WEIGHTS = 131;
    static final int QUERY_SCRATCHPAD = 136;
    static final int SCRATCHPAD_USER = 1;
    static final int ARGUMENT_SOURCE = 1;
    static final int ARGUMENT_TARGET = 17;
    static final int ARGUMENT_WEIGHTS = 33;
    static final int ARGUMENT_SCRATCHPAD = 80;
    static final int ISA_AMX_BF16 = 0xfef;

    private static final String RESOURCE = "/org/bytedeco/dnnl/linux-x86_64/libdnnl.so.3";
    /// Libraries stay loaded until the process ends: threads of ours may have run their code.
    private static final Arena FOREVER = Arena.global();

    private static final class Holder {
        static final DnnlLibrary LIBRARY = new DnnlLibrary(unpackAndOpen());
    }

    final MethodHandle engineCreate;
    final MethodHandle engineDestroy;
    final MethodHandle streamCreate;
    final MethodHandle streamDestroy;
    final MethodHandle descriptionWithStrides;
    final MethodHandle descriptionWithTag;
    final MethodHandle descriptionDestroy;
    final MethodHandle descriptionBytes;
    final MethodHandle attributesCreate;
    final MethodHandle attributesSetScratchpad;
    final MethodHandle attributesDestroy;
    final MethodHandle matmulCreate;
    final MethodHandle reorderCreate;
    final MethodHandle queryDescription;
    final MethodHandle query;
    final MethodHandle planDestroy;
    final MethodHandle primitiveCreate;
    final MethodHandle primitiveDestroy;
    final MethodHandle primitiveExecute;
    final MethodHandle memoryCreate;
    final MethodHandle memoryDestroy;
    final MethodHandle memorySetHandle;
    private final MethodHandle effectiveIsa;
    private final MethodHandle version;
    private final MethodHandle ompSetThreads;

    private final Linker linker = Linker.nativeLinker();

    /// Loads the library, once per process.
    ///
    /// @throws IllegalStateException saying why it cannot be had here
    static DnnlLibrary open() {
        try {
            return Holder.LIBRARY;
        } catch (ExceptionInInitializerError e) {
            throw new IllegalStateException(String.valueOf(e.getCause().getMessage()), e.getCause());
        } catch (NoClassDefFoundError e) {
            throw new IllegalStateException("it failed to load before", e);
        }
    }

    private DnnlLibrary(SymbolLookup symbols) {
        engineCreate = call(symbols, "dnnl_engine_create", ADDRESS, JAVA_INT, JAVA_LONG);
        engineDestroy = call(symbols, "dnnl_engine_destroy", ADDRESS);
        streamCreate = call(symbols, "dnnl_stream_create", ADDRESS, ADDRESS, JAVA_INT);
        streamDestroy = call(symbols, "dnnl_stream_destroy", ADDRESS);
        descriptionWithStrides =
                call(symbols, "dnnl_memory_desc_create_with_strides", ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS);
        descriptionWithTag =
                call(symbols, "dnnl_memory_desc_create_with_tag", ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT);
        descriptionDestroy = call(symbols, "dnnl_memory_desc_destroy", ADDRESS);
        descriptionBytes = function(symbols, "dnnl_memory_desc_get_size", JAVA_LONG, ADDRESS);
        attributesCreate = call(symbols, "dnnl_primitive_attr_create", ADDRESS);
        attributesSetScratchpad = call(symbols, "dnnl_primitive_attr_set_scratchpad_mode", ADDRESS, JAVA_INT);
        attributesDestroy = call(symbols, "dnnl_primitive_attr_destroy", ADDRESS);
        matmulCreate = call(symbols, "dnnl_matmul_primitive_desc_create", ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS,
                ADDRESS, ADDRESS);
        reorderCreate = call(symbols, "dnnl_reorder_primitive_desc_create", ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS,
                ADDRESS);
        queryDescription = function(symbols, "dnnl_primitive_desc_query_md", ADDRESS, ADDRESS, JAVA_INT, JAVA_INT);
        query = call(symbols, "dnnl_primitive_desc_query", ADDRESS, JAVA_INT, JAVA_INT, ADDRESS);
        planDestroy = call(symbols, "dnnl_primitive_desc_destroy", ADDRESS);
        primitiveCreate = call(symbols, "dnnl_primitive_create", ADDRESS, ADDRESS);
        primitiveDestroy = call(symbols, "dnnl_primitive_destroy", ADDRESS);
        // The two calls of the hot path take plain addresses: no segment, and no liveness check, for each argument.
        primitiveExecute = call(symbols, "dnnl_primitive_execute", JAVA_LONG, JAVA_LONG, JAVA_INT, JAVA_LONG);
        memoryCreate = call(symbols, "dnnl_memory_create", ADDRESS, ADDRESS, ADDRESS, ADDRESS);
        memoryDestroy = call(symbols, "dnnl_memory_destroy", ADDRESS);
        // Sets one field: short enough to skip the thread transition.
        memorySetHandle = linker.downcallHandle(symbols.findOrThrow("dnnl_memory_set_data_handle"),
                FunctionDescriptor.of(JAVA_INT, JAVA_LONG, JAVA_LONG), Linker.Option.critical(false));
        effectiveIsa = function(symbols, "dnnl_get_effective_cpu_isa", JAVA_INT);
        version = function(symbols, "dnnl_version", ADDRESS);
        ompSetThreads = linker.downcallHandle(symbols.findOrThrow("omp_set_num_threads"),
                FunctionDescriptor.ofVoid(JAVA_INT));
    }

    private MethodHandle call(SymbolLookup symbols, String name, MemoryLayout... arguments) {
        return function(symbols, name, JAVA_INT, arguments);
    }

    private MethodHandle function(SymbolLookup symbols, String name, MemoryLayout result, MemoryLayout... arguments) {
        return linker.downcallHandle(symbols.findOrThrow(name), FunctionDescriptor.of(result, arguments));
    }

    /// The mapping outlives the file, so the unpacked copy is deleted as soon as it is loaded.
    private static SymbolLookup unpackAndOpen() {
        try {
            Path folder = Files.createTempDirectory("sidewinder-onednn-");
            Path library = folder.resolve("libdnnl.so.3");
            try (InputStream packed = DnnlLibrary.class.getResourceAsStream(RESOURCE)) {
                if (packed == null) {
                    throw new IllegalStateException("this build carries no oneDNN for this system (Linux on x86-64 only)");
                }
                Files.copy(packed, library);
                SymbolLookup openMp = SymbolLookup.libraryLookup("libgomp.so.1", FOREVER);
                return SymbolLookup.libraryLookup(library, FOREVER).or(openMp);
            } finally {
                Files.deleteIfExists(library);
                Files.deleteIfExists(folder);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("oneDNN could not be unpacked: " + e.getMessage(), e);
        } catch (IllegalArgumentException e) {
            throw new IllegalStateException("oneDNN or libgomp.so.1 does not load: " + e.getMessage(), e);
        }
    }

    /// Whether this CPU (and any cap in the environment) lets oneDNN use AMX for bf16.
    boolean hasAmxBf16() {
        try {
            return ((int) effectiveIsa.invokeExact() & ISA_AMX_BF16) == ISA_AMX_BF16;
        } catch (Throwable e) {
            throw failed("dnnl_get_effective_cpu_isa", e);
        }
    }

    String versionText() {
        try {
            MemorySegment numbers = ((MemorySegment) version.invokeExact()).reinterpret(12);
            return numbers.getAtIndex(JAVA_INT, 0) + "." + numbers.getAtIndex(JAVA_INT, 1) + "."
                    + numbers.getAtIndex(JAVA_INT, 2);
        } catch (Throwable e) {
            throw failed("dnnl_version", e);
        }
    }

    /// Keeps OpenMP from starting (spinning) threads of its own for calls from this thread: we split work ourselves.
    void useOnlyThisThread() {
        try {
            ompSetThreads.invokeExact(1);
        } catch (Throwable e) {
            throw failed("omp_set_num_threads", e);
        }
    }

    static void check(String call, int status) {
        if (status != 0) {
            throw new IllegalStateException("oneDNN: " + call + " failed with status " + status
                    + (status == 3 ? " (not implemented on this CPU)" : ""));
        }
    }

    static RuntimeException failed(String call, Throwable cause) {
        return switch (cause) {
            case RuntimeException e -> e;
            case Error e -> throw e;
            default -> new IllegalStateException(call, cause);
        };
    }
}
