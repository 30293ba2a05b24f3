package dev.sidewinder.cuda.device;

import java.nio.file.Path;
import java.util.Optional;

/// Which driver library a process talks to. One process loads one driver, at its first [Device#open].
///
/// @param library the file to load in place of the system's `libcuda.so.1`
public record Driver(Optional<Path> library) {

    public Driver {
        library = library.map(Path::toAbsolutePath);
    }

    /// The `libcuda.so.1` that the NVIDIA driver installed.
    public static Driver system() {
        return new Driver(Optional.empty());
    }

    /// The library at `path`. Its soname must be `libcuda.so.1`: JCuda finds it by that.
    public static Driver at(Path path) {
        return new Driver(Optional.of(path));
    }

    @Override
    public String toString() {
        return library.map(Path::toString).orElse("libcuda.so.1");
    }
}
