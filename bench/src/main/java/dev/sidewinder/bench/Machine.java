package dev.sidewinder.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/// What a result has to name so that it can be compared later.
///
/// @param processor  the processor as it calls itself
/// @param processors how many of them this process may use
/// @param jdk        version of the JDK
/// @param commit     commit of the sources, with `+` when the working tree differs from it; `unknown` without git
record Machine(String processor, int processors, String jdk, String commit) {

    static Machine detect(Path repository) {
        String commit = git(repository, "rev-parse", "--short=10", "HEAD");
        boolean changed = !git(repository, "status", "--porcelain", "--untracked-files=no").isEmpty();
        return new Machine(processorName(), Runtime.getRuntime().availableProcessors(),
                Runtime.version().toString(), commit.isEmpty() ? "unknown" : commit + (changed ? "+" : ""));
    }

    /// A name for a folder of results: processor and number of processors.
    String slug() {
        String name = processor.toLowerCase(Locale.ROOT).replaceAll("\\((r|tm)\\)", "").replaceAll("[^a-z0-9]+", "-");
        return name.replaceAll("^-|-$", "") + "-" + processors + "-cpus";
    }

    private static String processorName() {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/cpuinfo"))) {
                if (line.startsWith("model name")) {
                    return line.substring(line.indexOf(':') + 1).strip();
                }
            }
        } catch (IOException notLinux) {
            // the architecture has to do
        }
        return System.getProperty("os.arch");
    }

    private static String git(Path repository, String... arguments) {
        try {
            var command = new java.util.ArrayList<>(List.of("git", "-C", repository.toString()));
            command.addAll(List.of(arguments));
            Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            return process.waitFor() == 0 ? output : "";
        } catch (IOException noGit) {
            return "";
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
            return "";
        }
    }
}
