package dev.sidewinder.it.support;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The packaged server in a process of its own, on a free port. Its output is kept and shown when something goes wrong.
public final class ServerProcess implements AutoCloseable {

    private static final Duration START_LIMIT = Duration.ofSeconds(90);
    private static final Pattern LISTENING = Pattern.compile("listening on (http://\\S+?),");

    private final Process process;
    private final List<String> log = new CopyOnWriteArrayList<>();
    private final Thread reader;

    /// @param environment variables to add
    /// @param options     of the JVM, beside those that every test needs
    private ServerProcess(Map<String, String> environment, List<String> options, List<String> flags) {
        List<String> all = new ArrayList<>(StartCache.option());
        all.addAll(options);
        this(environment, command(all, flags));
    }

    private ServerProcess(Map<String, String> environment, List<String> command) {
        try {
            Path folder = Files.createTempDirectory("sidewinder-it");
            var builder = new ProcessBuilder(command).directory(folder.toFile()).redirectErrorStream(true);
            builder.environment().keySet().removeIf(name -> name.startsWith("SIDEWINDER_"));
            builder.environment().putAll(environment);
            process = builder.start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        reader = Thread.ofVirtual().start(this::readLog);
    }

    /// The packaged server.
    static Path runner() {
        Path runner = Path.of(System.getProperty("sidewinder.runner")).toAbsolutePath().normalize();
        if (!Files.exists(runner)) {
            throw new IllegalStateException("there is no packaged server at " + runner + "; run mvn package first");
        }
        return runner;
    }

    /// @param options of the JVM, beside those that every test needs
    static List<String> command(List<String> options, List<String> flags) {
        return command(runner(), options, flags);
    }

    private static List<String> command(Path runner, List<String> options, List<String> flags) {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(List.of(System.getProperty("sidewinder.jvm.flags").split(" ")));
        command.addAll(options);
        command.addAll(List.of("-Xmx1g", "-jar", runner.toString(), "serve"));
        command.addAll(flags);
        return command;
    }

    /// Starts a server on a free port and waits until it is ready.
    public static ServerProcess start(String... flags) {
        return ready(launch(flags));
    }

    /// Starts another copy of the packaged server on a free port, with a small model, and does not wait.
    public static ServerProcess launchCopy(Path runner, String... flags) {
        List<String> all = new ArrayList<>(List.of(flags));
        all.addAll(List.of("--port", "0", "--model", "synthetic:demo"));
        return new ServerProcess(Map.of(), command(runner, List.of(), all));
    }

    /// Starts another copy of the packaged server on a free port, with a small model, and waits until it is ready.
    public static ServerProcess startCopy(Path runner, String... flags) {
        return ready(launchCopy(runner, flags));
    }

    private static ServerProcess ready(ServerProcess server) {
        try {
            server.await("the server to be ready", () -> server.logged("ready    http"));
        } catch (RuntimeException | AssertionError e) {
            server.close();
            throw e;
        }
        return server;
    }

    /// Starts a server on a free port and does not wait.
    public static ServerProcess launch(String... flags) {
        return launch(Map.of(), flags);
    }

    /// Starts a server on a free port, with more in its environment, and waits until it is ready.
    public static ServerProcess start(Map<String, String> environment, String... flags) {
        return ready(launch(environment, flags));
    }

    /// Starts a server on a free port, with more in its environment, and does not wait.
    public static ServerProcess launch(Map<String, String> environment, String... flags) {
        List<String> all = new ArrayList<>(List.of(flags));
        if (!all.contains("--port")) {
            all.addAll(List.of("--port", "0"));
        }
        if (!all.contains("--model")) {
            // most tests need any model, and this one is made in a moment
            all.addAll(List.of("--model", "synthetic:demo"));
        }
        return new ServerProcess(environment, List.of(), all);
    }

    /// Starts a server as `./sidewinder serve` does, without a name for the model, and waits until it is ready.
    public static ServerProcess startDefault() {
        return ready(new ServerProcess(Map.of(), List.of("-Dsidewinder.root=" + Launcher.REPOSITORY), List.of("--port", "0")));
    }

    /// Where it listens. Waits until it does.
    public URI uri() {
        await("the port to be open", () -> logged("listening on"));
        for (String line : log) {
            Matcher matcher = LISTENING.matcher(line);
            if (matcher.find()) {
                return URI.create(matcher.group(1));
            }
        }
        throw new IllegalStateException("the server did not say where it listens");
    }

    public int port() {
        return uri().getPort();
    }

    public Api api() {
        return new Api(uri());
    }

    public RawHttp raw() {
        return new RawHttp(port());
    }

    /// Lines printed so far.
    public List<String> log() {
        return List.copyOf(log);
    }

    public boolean logged(String part) {
        return log.stream().anyMatch(line -> line.contains(part));
    }

    public long pid() {
        return process.pid();
    }

    public boolean isAlive() {
        return process.isAlive();
    }

    /// Sends SIGTERM.
    public void terminate() {
        process.destroy();
    }

    /// Waits for the process to end.
    public int exitCode(Duration limit) {
        try {
            if (!process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS)) {
                throw new AssertionError("the server still runs after " + limit + "; its log:\n" + String.join("\n", log));
            }
            reader.join();
            return process.exitValue();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    private void await(String what, BooleanSupplier condition) {
        long deadline = System.nanoTime() + START_LIMIT.toNanos();
        while (!condition.getAsBoolean()) {
            if (!process.isAlive() || System.nanoTime() > deadline) {
                throw new AssertionError("waited for " + what + "; the server is " + (process.isAlive() ? "alive" : "dead")
                        + ", its log:\n" + String.join("\n", log));
            }
            Waiting.pause();
        }
    }

    private void readLog() {
        try (var lines = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                log.add(line);
            }
        } catch (IOException e) {
            log.add("(the output broke off: " + e.getMessage() + ")");
        }
    }

    @Override
    public void close() {
        process.destroyForcibly();
        exitCode(Duration.ofSeconds(10));
    }
}
