package dev.sidewinder.bench.gpu;

import dev.sidewinder.bench.Commit;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// `bench gpu`: checks and measures the CUDA kernels of this build on a device; or packs what another machine needs to do so.
@Command(name = "gpu", mixinStandardHelpOptions = true, description = {"Checks every CUDA kernel against the CPU on a device,"
    + " then measures each, and whole steps of a model, against the device's limits. With --pack: makes a folder or an archive that does so on another"
    + " machine, which needs a GPU and its driver, but no JDK and no network."})
public final class GpuCommand implements Callable<Integer> {

    /// At most one of them: no part is done that was not asked for.
    static final class Which {
        @Option(names = "--checks-only", description = "Only compare with the CPU.")
        boolean checks;

        @Option(names = "--kernels-only", description = "Only measure single kernels, cuBLAS beside them.")
        boolean kernels;

        @Option(names = "--steps-only", description = "Only measure whole steps of synthetic:nano-30b-fp8.")
        boolean steps;

        @Option(names = "--pytorch-only", description = "Only measure PyTorch.")
        boolean pytorch;

        @Option(names = "--recall-only", description = "Only ask the model that --recall names.")
        boolean recall;

        Set<GpuBench.Part> parts() {
            return EnumSet.of(recall ? GpuBench.Part.RECALL : checks ? GpuBench.Part.CHECKS : kernels ? GpuBench.Part.KERNELS
                    : steps ? GpuBench.Part.STEPS : GpuBench.Part.PYTORCH);
        }
    }

    @ArgGroup
    Which which;

    @Option(names = "--recall", paramLabel = "MODEL",
            description = "Also ask a trained model, models/tiny, what stood at the beginning of prompts of up to 1,048,576 tokens. "
                    + "With --pack: take the model along.")
    String recall;

    @Option(names = "--only", paramLabel = "FAMILY", split = ",",
            description = "Only kernel families whose name contains one of these, for example linear,moe.")
    List<String> only = List.of();

    @Option(names = "--minutes", paramLabel = "N", description = "Begin nothing new after so long; what was not reached is said.")
    Double minutes;

    @Option(names = "--seed", paramLabel = "N", description = "Of all random data (default: another one each time, printed).")
    Long seed;

    @Option(names = "--device", paramLabel = "N", defaultValue = "0", description = "Which device (default: ${DEFAULT-VALUE}).")
    int device;

    @Option(names = "--repeats", paramLabel = "N", defaultValue = "50",
            description = "Timings of each kernel (default: ${DEFAULT-VALUE}).")
    int repeats;

    @Option(names = "--replays", paramLabel = "N", defaultValue = "1000",
            description = "Launches of each captured graph in a comparison (default: ${DEFAULT-VALUE}).")
    int replays;

    @Option(names = "--sizes", paramLabel = "real|small", defaultValue = "real",
            description = "Sizes of Nemotron 3 Nano, or small ones for a try (default: ${DEFAULT-VALUE}).")
    GpuBench.Sizes sizes;

    @Option(names = "--out", paramLabel = "FOLDER",
            description = "Where a folder for the device is made (default: bench/results of the repository or of the pack).")
    Path out;

    @Option(names = "--driver", paramLabel = "FILE", description = "Library in place of the system's libcuda.so.1.")
    Path driver;

    @Option(names = "--kernels", paramLabel = "FOLDER", description = "Compiled kernels in place of those of this build.")
    Path kernels;

    @Option(names = "--cublas", paramLabel = "FILE", description = "cuBLAS library in place of the system's.")
    Path cublas;

    @Option(names = "--python", paramLabel = "PROGRAM", defaultValue = "python3",
            description = "Python that may have PyTorch (default: ${DEFAULT-VALUE}).")
    String python;

    @Option(names = "--pack", paramLabel = "FOLDER|FILE.tar.gz",
            description = "Make a folder or an archive to run elsewhere, and measure nothing.")
    Path pack;

    @Option(names = "--arch", paramLabel = "ARCH", description = "With --pack: only machine code for this, for example 90a.")
    String architecture;

    /// The entry of a packed benchmark.
    public static void main(String... arguments) {
        System.exit(commandLine().execute(arguments));
    }

    static CommandLine commandLine() {
        return new CommandLine(new GpuCommand()).setCaseInsensitiveEnumValuesAllowed(true)
                .setExecutionExceptionHandler((failure, command, _) -> {
                    if (System.getenv("SIDEWINDER_DEBUG") != null) {
                        failure.printStackTrace(command.getErr());
                    }
                    command.getErr().println("bench gpu: " + failure.getMessage());
                    return 1;
                });
    }

    @Override
    public Integer call() throws Exception {
        Path root = Path.of(System.getProperty("sidewinder.root", ".")).toAbsolutePath().normalize();
        String commit = Commit.of(root);
        if (pack != null) {
            var contents = new Pack.Contents(Optional.ofNullable(architecture), recalled(root), commit);
            Pack made = Pack.make(pack.toAbsolutePath().normalize(), contents, System.err);
            System.out.println(made.describe());
            return 0;
        }
        Path results = out != null ? out.toAbsolutePath().normalize() : root.resolve("bench").resolve("results");
        Files.createDirectories(results);
        var settings = new GpuBench.Settings(parts(), only, limit(), seed != null ? seed : System.nanoTime() & 0xFFFF_FFFFL, replays,
                sizes, repeats, recalled(root).map(Path::toString), python, results, commit);
        return new GpuBench(target(), settings, System.err, System.out).run();
    }

    /// The folder of the model to ask: as it was named, or below the repository or the pack.
    private Optional<Path> recalled(Path root) {
        if (recall == null) {
            return Optional.empty();
        }
        for (Path folder : List.of(Path.of(recall), root.resolve(recall))) {
            if (Files.isDirectory(folder)) {
                return Optional.of(folder.toAbsolutePath().normalize());
            }
        }
        throw new CommandLine.ParameterException(commandLine(), "--recall " + recall + " is no folder, nor is "
                + root.resolve(recall));
    }

    /// What is to be done. Visible for its test.
    Set<GpuBench.Part> parts() {
        Set<GpuBench.Part> parts = which == null
                ? EnumSet.complementOf(EnumSet.of(GpuBench.Part.RECALL)) : EnumSet.copyOf(which.parts());
        if (recall == null && parts.contains(GpuBench.Part.RECALL)) {
            throw new CommandLine.ParameterException(commandLine(), "--recall-only needs --recall MODEL, for example models/tiny");
        }
        if (recall != null) {
            parts.add(GpuBench.Part.RECALL);
        }
        return parts;
    }

    private Duration limit() {
        return minutes == null ? null : Duration.ofMillis(Math.round(minutes * 60_000));
    }

    private GpuBench.Target target() {
        return new GpuBench.Target(Optional.ofNullable(driver), device, Optional.ofNullable(kernels), Optional.ofNullable(cublas));
    }
}
