package dev.sidewinder.it.support;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// Runs `./sidewinder` with the build under test, as a shell would.
public final class Launcher {

    private static final int LIMIT_SECONDS = 240;

    /// The folder that this build belongs to.
    public static final Path REPOSITORY = Path.of(System.getProperty("sidewinder.runner"))
            .resolve("../../../..").toAbsolutePath().normalize();

    /// @param status what the process ended with
    public record Result(int status, String output, String errors) {}

    private Launcher() {}

    /// Runs a command to its end.
    public static Result run(String... arguments) throws IOException, InterruptedException {
        Path folder = Files.createTempDirectory("sidewinder-it");
        List<String> command = new ArrayList<>(List.of(REPOSITORY.resolve("sidewinder").toString()));
        command.addAll(List.of(arguments));
        Path output = folder.resolve("output");
        Path errors = folder.resolve("errors");
        var builder = new ProcessBuilder(command).directory(folder.toFile()).redirectOutput(output.toFile())
                .redirectError(errors.toFile());
        builder.environment().keySet().removeIf(name -> name.startsWith("SIDEWINDER_"));
        builder.environment().put("SIDEWINDER_NO_BUILD", "1");
        builder.environment().put("SIDEWINDER_JAVA_HOME", System.getProperty("java.home"));
        Process process = builder.start();
        boolean ended = process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS);
        process.destroyForcibly();
        Result result = new Result(process.waitFor(), Files.readString(output), Files.readString(errors));
        if (!ended) {
            throw new AssertionError(command + " still ran after " + LIMIT_SECONDS + " s: " + result);
        }
        return result;
    }
}
