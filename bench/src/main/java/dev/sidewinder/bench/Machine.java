package dev.sidewinder.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

/// What a result has to name so that it can be compared later.
///
/// @param processor  the processor as it calls itself
/// @param processors how many of them this process may use
/// @param jdk        version of the JDK
/// @param commit     as [Commit] says it
record Machine(String processor, int processors, String jdk, String commit) {

    static Machine detect(Path repository) {
        return new Machine(processorName(), Runtime.getRuntime().availableProcessors(),
                Runtime.version().toString(), Commit.of(repository));
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
}
