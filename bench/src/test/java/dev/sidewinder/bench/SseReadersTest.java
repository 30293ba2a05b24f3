package dev.sidewinder.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class SseReadersTest {

    private static final String EVENT = "1c\r\ndata: {\"text\":\"\\n\\n\"}\n\n\r\n";

    private final ExecutorService threads = Executors.newVirtualThreadPerTaskExecutor();
    private ServerSocket listener;

    @BeforeEach
    void listen() throws IOException {
        listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    }

    @AfterEach
    void stop() throws IOException {
        listener.close();
        threads.shutdownNow();
    }

    @Test
    void countsEventsHoweverTheyAreCutIntoPackets() throws Exception {
        serve("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", EVENT, 1000, 3);

        try (SseReaders readers = SseReaders.connect(address(), "/x", "{}", 4)) {
            readers.awaitFirstEvents();
            long before = readers.events();
            long counted = before;
            while (counted < 4 * 1000) {
                SseReaders.Window window = readers.read(Duration.ofMillis(20));
                counted += window.events();
                assertThat(window.slowest()).isLessThan(1000);
            }
            SseReaders.Window after = readers.read(Duration.ofMillis(20));

            assertThat(before).isGreaterThanOrEqualTo(4);
            assertThat(counted).isEqualTo(4 * 1000);
            assertThat(after.events()).isZero();
        }
    }

    @Test
    void aRefusalIsAnErrorWithTheServersWords() throws Exception {
        serve("HTTP/1.1 503 Service Unavailable\r\n\r\n", "the queue is full", 1, 1000);

        try (SseReaders readers = SseReaders.connect(address(), "/x", "{}", 2)) {
            assertThatThrownBy(readers::awaitFirstEvents).isInstanceOf(IOException.class)
                    .hasMessageContaining("503 Service Unavailable");
        }
    }

    /// Sends `count` events to everyone, `packet` bytes at a time, and keeps the connection open.
    private void serve(String head, String event, int count, int packet) {
        threads.submit(() -> {
            while (true) {
                Socket socket = listener.accept();
                threads.submit(() -> {
                    byte[] all = (head + event.repeat(count)).getBytes(StandardCharsets.US_ASCII);
                    socket.setTcpNoDelay(true);
                    OutputStream output = socket.getOutputStream();
                    for (int at = 0; at < all.length; at += packet) {
                        output.write(all, at, Math.min(packet, all.length - at));
                    }
                    return null;
                });
            }
        });
    }

    private InetSocketAddress address() {
        return new InetSocketAddress(InetAddress.getLoopbackAddress(), listener.getLocalPort());
    }
}
