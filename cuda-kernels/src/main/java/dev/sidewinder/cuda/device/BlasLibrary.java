package dev.sidewinder.cuda.device;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import jcuda.jcublas.JCublas2;

/// Loads cuBLAS, and JCublas behind it, once per process and only when asked.
///
/// JCublas needs a `libcublas.so.12`. CUDA 13's library offers the same functions under another name, so there a
/// [ForwardingLibrary] of that name, with the functions that [Blas] calls, stands between the two.
final class BlasLibrary {

    /// What [Blas] calls, and no more: JCublas binds a function when it is first called.
    private static final List<String> CALLED = List.of("cublasCreate_v2", "cublasDestroy_v2", "cublasGetVersion_v2",
            "cublasSetStream_v2", "cublasSetWorkspace_v2", "cublasGemmEx");
    private static final String OLD_NAME = "libcublas.so.12";
    private static final String NEW_NAME = "libcublas.so.13";

    /// Changes once, like the process: libraries stay loaded.
    private static Optional<Path> loaded;

    private BlasLibrary() {}

    /// @param library the file to load; where it is absent the system's cuBLAS of CUDA 12, or else of CUDA 13
    /// @throws CudaUnavailableException saying why there is no cuBLAS here
    static synchronized void load(Optional<Path> library) {
        if (loaded == null) {
            if (library.isPresent()) {
                loadFile(library.get());
            } else {
                loadSystem();
            }
            JcudaNatives.load("JCublas", () -> JCublas2.setExceptionsEnabled(false));
            loaded = library;
        } else if (!loaded.equals(library)) {
            throw new CudaUnavailableException("this process has loaded the cuBLAS of "
                    + loaded.map(Path::toString).orElse("the system") + " and cannot load another; start another process");
        }
    }

    private static void loadFile(Path library) {
        SymbolLookup symbols = find(library.toAbsolutePath().toString()).orElseThrow(() -> new CudaUnavailableException(
                "the cuBLAS library " + library + " does not load; check that the file is there and is for this system"));
        // Whatever its own name is: the system may have another library of the old name, which JCublas must not find.
        forward(symbols, library.toString());
    }

    private static void loadSystem() {
        if (find(OLD_NAME).isEmpty()) {
            SymbolLookup symbols = find(NEW_NAME).orElseThrow(() -> new CudaUnavailableException(
                    "there is no " + OLD_NAME + " and no " + NEW_NAME + " here; our own kernels are used for every product"));
            forward(symbols, NEW_NAME);
        }
    }

    private static Optional<SymbolLookup> find(String nameOrPath) {
        try {
            return Optional.of(SymbolLookup.libraryLookup(nameOrPath, Arena.global()));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    private static void forward(SymbolLookup symbols, String library) {
        Map<String, Long> targets = new LinkedHashMap<>();
        for (String name : CALLED) {
            targets.put(name, symbols.find(name).orElseThrow(() -> new CudaUnavailableException(
                    "the cuBLAS library " + library + " has no " + name + "; our own kernels are used for every product"))
                    .address());
        }
        try {
            Path folder = Files.createTempDirectory("sidewinder-cublas-");
            Path file = folder.resolve(OLD_NAME);
            try {
                Files.write(file, ForwardingLibrary.of(OLD_NAME, targets));
                find(file.toString()).orElseThrow(() -> new CudaUnavailableException(
                        "the library that stands before " + library + " does not load; only Linux on x86-64 is known"));
            } finally {
                Files.deleteIfExists(file);
                Files.delete(folder);
            }
        } catch (IOException e) {
            throw new CudaUnavailableException("the library that stands before " + library + " cannot be written: "
                    + e.getMessage(), e);
        }
    }
}
