package dev.sidewinder.bench;

import java.io.IOException;
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

/// The packaged server in a process of its own, started through the launcher as a user starts it.
final class ServerChild implements AutoCloseable {

    /// A build may come first.
    private static final Duration START_LIMIT = Duration.ofMinutes(10);
    private static final int STOP_SECONDS = 20;

    private final Process process;
    private final int port;
    private final Path log;

    private ServerChild(Process process, int port, Path log) {
        this.process = process;
        this.port = port;
        this.log = log;
    }

    /// Starts it and waits until it is ready.
    static ServerChild start(String... flags) throws IOException, InterruptedException {
        int port;
        try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = socket.getLocalPort();
        }
        Path log = Files.createTempFile("sidewinder-bench-", ".log");
        List<String> command = new ArrayList<>(List.of(CommonOptions.repository().resolve("sidewinder").toString(),
                "serve", "--port", String.valueOf(port)));
        command.addAll(List.of(flags));
        Process process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log.toFile()).start();
        var server = new ServerChild(process, port, log);
        try {
            server.awaitReady();
            return server;
        } catch (IOException | InterruptedException | RuntimeException failed) {
            server.close();
            throw failed;
        }
    }

    int port() {
        return port;
    }

    private void awaitReady() throws IOException, InterruptedException {
        HttpRequest ready = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/health/ready")).build();
        long end = System.nanoTime() + START_LIMIT.toNanos();
        try (HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build()) {
            while (!isOk(http, ready)) {
                if (process.waitFor(50, TimeUnit.MILLISECONDS)) {
                    throw new IOException("the server ended with status " + process.exitValue() + "; see " + log);
                }
                if (System.nanoTime() > end) {
                    throw new IOException("the server is not ready after " + START_LIMIT.toMinutes() + " min; see " + log);
                }
            }
        }
    }

    private static boolean isOk(HttpClient http, HttpRequest request) throws InterruptedException {
        try {
            return http.send(request, BodyHandlers.discarding()).statusCode() == 200;
        } catch (IOException notYet) {
            return false;
        }
    }

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
    }
}
