package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.CudaUnavailableException;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;

/// The compiled form of each kernel family: fat binaries out of the jar, or what an emulator takes in their place.
@FunctionalInterface
public interface KernelImages {

    /// The image of a family, named like its source file without `.cu`.
    ///
    /// @throws IllegalArgumentException when there is no such family
    byte[] of(String family);

    /// The fat binaries that this build carries.
    ///
    /// @throws CudaUnavailableException when it carries none
    static KernelImages packaged() {
        if (KernelImages.class.getResource("images/" + KernelReport.FILE) == null) {
            throw new CudaUnavailableException("this build has no CUDA kernels: nvcc was not found when it was made");
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
