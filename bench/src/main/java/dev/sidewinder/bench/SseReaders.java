package dev.sidewinder.bench;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.time.Duration;

/// Many readers of server-sent events in one thread, as cheap as they can be: bytes are counted and not understood, so
/// that what is measured is the server. A process of its own, for the same reason.
///
/// An event ends with an empty line. The frames of chunked transfer end their lines with CR LF, so two LF in a row are
/// the end of an event and nothing else.
public final class SseReaders implements AutoCloseable {

    private static final int BUFFER_BYTES = 1 << 16;
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private static final String GOOD_STATUS = "HTTP/1.1 200";

    /// One connection. Attached to its key.
    private static final class Reader {
        private boolean afterLineFeed;
        private final StringBuilder status = new StringBuilder(GOOD_STATUS.length());
        private long events;
    }

    /// What a window of time brought.
    ///
    /// @param events  events that arrived
    /// @param bytes   bytes that arrived, headers and frames included
    /// @param seconds length of the window
    /// @param slowest events of the reader that got the fewest
    public record Window(long events, long bytes, double seconds, long slowest) {}

    private final Selector selector;
    private final ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER_BYTES);
    private final int readers;
    private long bytes;
    private int ended;

    private SseReaders(int readers) throws IOException {
        this.readers = readers;
        this.selector = Selector.open();
    }

    /// Connects and sends every reader's request.
    static SseReaders connect(InetSocketAddress server, String path, String body, int readers) throws IOException {
        var all = new SseReaders(readers);
        byte[] payload = body.getBytes(StandardCharsets.UTF_8);
        String head = "POST " + path + " HTTP/1.1\r\nhost: " + server.getHostString() + ":" + server.getPort()
                + "\r\ncontent-type: application/json\r\ncontent-length: " + payload.length + "\r\n\r\n";
        for (int i = 0; i < readers; i++) {
            SocketChannel channel = SocketChannel.open(server);
            channel.write(ByteBuffer.wrap(head.getBytes(StandardCharsets.US_ASCII)));
            channel.write(ByteBuffer.wrap(payload));
            channel.configureBlocking(false);
            channel.register(all.selector, SelectionKey.OP_READ, new Reader());
        }
        return all;
    }

    /// Reads until every reader has had an event.
    void awaitFirstEvents() throws IOException {
        long end = System.nanoTime() + PATIENCE.toNanos();
        while (slowest() == 0) {
            if (System.nanoTime() > end) {
                throw new IOException("after " + PATIENCE.toSeconds() + " s some of " + readers
                        + " readers have no event; is the server's limit of sequences below that?");
            }
            readOnce();
        }
    }

    /// Reads for a while.
    Window read(Duration length) throws IOException {
        long eventsBefore = events();
        long bytesBefore = bytes;
        long[] before = perReader();
        long began = System.nanoTime();
        while (System.nanoTime() - began < length.toNanos()) {
            readOnce();
            if (ended > 0) {
                throw new IOException("the server ended a stream before the window was over; ask for more tokens");
            }
        }
        double seconds = (System.nanoTime() - began) * 1e-9;
        long slowest = Long.MAX_VALUE;
        long[] after = perReader();
        for (int i = 0; i < after.length; i++) {
            slowest = Math.min(slowest, after[i] - before[i]);
        }
        return new Window(events() - eventsBefore, bytes - bytesBefore, seconds, slowest);
    }

    private void readOnce() throws IOException {
        selector.select(100);
        for (SelectionKey key : selector.selectedKeys()) {
            buffer.clear();
            int count = ((SocketChannel) key.channel()).read(buffer);
            if (count < 0) {
                ended++;
                key.cancel();
                continue;
            }
            bytes += count;
            buffer.flip();
            take((Reader) key.attachment(), buffer);
        }
        selector.selectedKeys().clear();
    }

    private static void take(Reader reader, ByteBuffer buffer) throws IOException {
        int next = 0;
        while (reader.status.length() < GOOD_STATUS.length() && next < buffer.limit()) {
            reader.status.append((char) buffer.get(next++));
        }
        if (!GOOD_STATUS.startsWith(reader.status.toString())) {
            throw new IOException("the server refused a reader with " + reader.status + ": "
                    + StandardCharsets.US_ASCII.decode(buffer.duplicate()).toString().replaceAll("\\s*\\R\\s*", " | "));
        }
        boolean afterLineFeed = reader.afterLineFeed;
        long events = 0;
        for (int i = next; i < buffer.limit(); i++) {
            boolean lineFeed = buffer.get(i) == '\n';
            if (lineFeed && afterLineFeed) {
                events++;
            }
            afterLineFeed = lineFeed;
        }
        reader.afterLineFeed = afterLineFeed;
        reader.events += events;
    }

    /// Events so far, over all readers.
    long events() {
        long sum = 0;
        for (long events : perReader()) {
            sum += events;
        }
        return sum;
    }

    private long slowest() {
        long slowest = Long.MAX_VALUE;
        for (long events : perReader()) {
            slowest = Math.min(slowest, events);
        }
        return slowest;
    }

    private long[] perReader() {
        return selector.keys().stream().mapToLong(key -> ((Reader) key.attachment()).events).toArray();
    }

    @Override
    public void close() throws IOException {
        for (SelectionKey key : selector.keys()) {
            key.channel().close();
        }
        selector.close();
    }

    /// Arguments: port, path, readers, warm-up seconds, window seconds, windows. The request body comes on standard
    /// input. Prints one line for each window: events, bytes, seconds, events of the slowest reader.
    public static void main(String... arguments) throws IOException {
        var server = new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0]));
        String body = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
        try (SseReaders readers = connect(server, arguments[1], body, Integer.parseInt(arguments[2]))) {
            readers.awaitFirstEvents();
            readers.read(Duration.ofSeconds(Integer.parseInt(arguments[3])));
            for (int i = 0; i < Integer.parseInt(arguments[5]); i++) {
                Window window = readers.read(Duration.ofSeconds(Integer.parseInt(arguments[4])));
                System.out.println(window.events() + " " + window.bytes() + " " + window.seconds() + " "
                        + window.slowest());
            }
        }
    }
}
