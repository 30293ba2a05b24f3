package dev.sidewinder.it.support;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// The flags with which a server runs on the emulator of CUDA.
public final class EmulatedDevice {

    /// The folder with the driver's stand-in and the kernels for it.
    public static final Path FOLDER = Path.of(System.getProperty("sidewinder.emulator")).toAbsolutePath().normalize();

    private EmulatedDevice() {}

    /// Few and short sequences: what is allocated on the emulator is really filled. Without warpgroup kernels, whose tiles of at
    /// least 64 rows take it long.
    public static String[] flags(String... more) {
        return flagsWithCache("16MiB", more);
    }

    public static String[] flagsWithCache(String cacheSize, String... more) {
        List<String> flags = new ArrayList<>(driver());
        flags.addAll(List.of("--max-num-batched-tokens", "256", "--max-num-seqs", "3", "--max-model-len", "384", "--cache-size", cacheSize,
                "--host-cache-size", "16MiB"));
        flags.addAll(List.of(more));
        return flags.toArray(String[]::new);
    }

    /// What stands for the GPU, and no bounds.
    public static List<String> driver() {
        return List.of("--engine-warpgroups=false", "--cuda-driver", FOLDER.resolve("libcuda.so.1").toString(), "--cuda-kernels",
                FOLDER.toString());
    }

    /// An environment in which a call into the driver fails, once `file` is there.
    public static Map<String, String> failing(String call, int code, Path file) {
        return Map.of("EMULATED_CUDA_FAULT", call + " " + code + " " + file);
    }
}
