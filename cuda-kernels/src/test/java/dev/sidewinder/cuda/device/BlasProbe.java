package dev.sidewinder.cuda.device;

import dev.sidewinder.cuda.emulator.Emulator;
import java.io.File;
import java.nio.file.Path;
import java.util.Optional;

/// Opens cuBLAS on the emulator in a process of its own: the file named behind the temporary folder, or the system's.
/// Prints what came of it, and how many files of ours are left in the temporary folder.
final class BlasProbe {

    private BlasProbe() {}

    public static void main(String[] arguments) {
        try (Emulator emulator = Emulator.open(1)) {
            Optional<Path> file = arguments.length > 1 ? Optional.of(Path.of(arguments[1])) : Optional.empty();
            try (Blas blas = Blas.open(emulator.device(), file)) {
                System.out.println("cublas " + blas.version());
                BlasCheck check = new BlasCheck(emulator.device(), blas);
                for (Blas.Result result : Blas.Result.values()) {
                    check.check(result, 3, 5, 17, 1);
                }
                System.out.println("products are right");
            } catch (CudaUnavailableException e) {
                System.out.println("unavailable: " + e.getMessage());
            }
        }
        File[] left = Path.of(arguments[0]).toFile().listFiles((folder, name) -> name.startsWith("sidewinder-")
                || name.startsWith("libJC"));
        System.out.println("left in the temporary folder: " + left.length);
    }
}
