package dev.sidewinder.server.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// A server of our own in a child process, for as long as a command needs it.
final class LocalServer implements AutoCloseable {

    private static final Duration POLL_INTERVAL = Duration.ofMillis(50);
    private static final int STOP_SECONDS = 10;
    private static final int LOG_LINES_SHOWN = 20;
    /// Before the text of an error in the log.
    private static final String ERROR = " ERROR ";

    private final Process process;
    private final URI address;
    private final Path log;
    private final Thread stopAtExit;

    private LocalServer(Process process, URI address, Path log) {
        this.process = process;
        this.address = address;
        this.log = log;
        this.stopAtExit = new Thread(process::destroy, "stop-server");
        Runtime.getRuntime().addShutdownHook(stopAtExit);
    }

    /// Starts a server on a free port of this machine and waits until it is ready. Says so, and where its log is.
    ///
    /// @param flags of `serve`, without the port
    /// @param what  what is started, for people
    /// @throws CommandException when it does not come up; the message has the error in its log
    static LocalServer start(List<String> flags, String what, PrintStream errors)
            throws IOException, InterruptedException {
        int port = freePort();
        List<String> command = new ArrayList<>(List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString()));
        if (Files.isExecutable(Path.of("/usr/bin/setsid"))) {
            // away from our terminal: Ctrl-C is for the answer, not for the server
            command.addFirst("/usr/bin/setsid");
        }
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(List.of("-jar", System.getProperty("java.class.path"), "serve", "--port", String.valueOf(port)));
        command.addAll(flags);
        Path log = Files.createTempFile("sidewinder-server-", ".log");
        Process process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile())
                .redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile())).start();
        var server = new LocalServer(process, URI.create("http://127.0.0.1:" + port), log);
        try {
            errors.println("starting " + what + " (log: " + log + ")");
            server.awaitReady();
            return server;
        } catch (RuntimeException | IOException | InterruptedException failed) {
            server.close();
            throw failed;
        }
    }

    URI address() {
        return address;
    }

    private void awaitReady() throws IOException, InterruptedException {
        try (HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build()) {
            HttpRequest ready = HttpRequest.newBuilder(address.resolve("/health/ready")).build();
            while (!answersOk(http, ready)) {
                if (process.waitFor(POLL_INTERVAL.toMillis(), TimeUnit.MILLISECONDS)) {
                    throw new CommandException("the server ended with status " + process.exitValue() + ": "
                            + problem(Files.readAllLines(log)));
                }
            }
        }
    }

    private static boolean answersOk(HttpClient http, HttpRequest request) throws InterruptedException {
        try {
            return http.send(request, BodyHandlers.discarding()).statusCode() == 200;
        } catch (IOException notYet) {
            return false;
        }
    }

    /// What a log says about a failed start: its error, or else its last lines.
    static String problem(List<String> log) {
        List<String> errors = log.stream().filter(line -> line.contains(ERROR)).toList();
        if (!errors.isEmpty()) {
            return errors.getFirst().substring(errors.getFirst().indexOf(ERROR) + ERROR.length());
        }
        return String.join(" | ", log.subList(Math.max(0, log.size() - LOG_LINES_SHOWN), log.size()));
    }

    private static int freePort() throws IOException {
        try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            return socket.getLocalPort();
        }
    }

    /// Stops the server and waits for its end.
    @Override
    public void close() {
        process.destroy();
        try {
            if (!process.waitFor(STOP_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
            }
        } catch (InterruptedException stopped) {
            process.destroyForcibly();
            Thread.currentThread().interrupt();
        }
        try {
            Runtime.getRuntime().removeShutdownHook(stopAtExit);
        } catch (IllegalStateException exiting) {
            // the hook is what calls for the stop just now
        }
    }
}
