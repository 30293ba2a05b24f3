package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.CudaUnavailableException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/// The compiled form of each kernel family: fat binaries out of the jar, or what an emulator takes in their place.
@FunctionalInterface
public interface KernelImages {

    /// The image of a family, named like its source file without `.cu`.
    ///
    /// @throws IllegalArgumentException when there is no such family
    byte[] of(String family);

    /// Images in a folder, for a build that has none or to try others: `FAMILY.fatbin`, or `FAMILY.so` for an emulator.
    ///
    /// @throws CudaUnavailableException when there is no such folder
    static KernelImages in(Path folder) {
        if (!Files.isDirectory(folder)) {
            throw new CudaUnavailableException("there is no folder " + folder + " to read CUDA kernels from");
        }
        return family -> {
            Path image = folder.resolve(family + ".fatbin");
            if (!Files.exists(image)) {
                image = folder.resolve(family + ".so");
            }
            try {
                return Files.readAllBytes(image);
            } catch (NoSuchFileException e) {
                throw new IllegalArgumentException("the folder " + folder + " has no kernel family " + family, e);
            } catch (IOException e) {
                throw new UncheckedIOException("kernel family " + family + " cannot be read", e);
            }
        };
    }

    /// The fat binaries that this build carries.
    ///
    /// @throws CudaUnavailableException when it carries none
    static KernelImages packaged() {
        if (KernelImages.class.getResource("images/" + KernelReport.FILE) == null) {
            throw new CudaUnavailableException(
                    "this build has no CUDA kernels: nvcc was not found when it was made; build it where nvcc is on PATH or in CUDA_HOME");
        }
        return family -> {
            try (InputStream image = KernelImages.class.getResourceAsStream("images/" + family + ".fatbin")) {
                if (image == null) {
                    throw new IllegalArgumentException("this build has no kernel family " + family);
                }
                return image.readAllBytes();
            } catch (IOException e) {
                throw new UncheckedIOException("kernel family " + family + " cannot be read", e);
            }
        };
    }
}
