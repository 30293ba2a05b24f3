package dev.sidewinder.it.support;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;

/// A client that sends whatever frames of HTTP/2 a test wants, without an upgrade (RFC 9113).
public final class RawHttp2 implements AutoCloseable {

    public static final int DATA = 0;
    public static final int HEADERS = 1;
    public static final int PRIORITY = 2;
    public static final int RST_STREAM = 3;
    public static final int SETTINGS = 4;
    public static final int PING = 6;
    public static final int GOAWAY = 7;
    public static final int WINDOW_UPDATE = 8;
    public static final int CONTINUATION = 9;

    public static final int ACK = 1;
    public static final int END_STREAM = 1;
    public static final int END_HEADERS = 4;

    /// A frame of the server.
    ///
    /// @param code of GOAWAY and RST_STREAM what went wrong, else 0
    public record Frame(int type, int flags, int stream, int length, int code) {}

    private final Socket socket;
    private final DataOutputStream out;
    private final DataInputStream in;

    /// Opens a connection and says hello.
    ///
    /// @param settings pairs of identifier and value
    public RawHttp2(Socket socket, int... settings) throws IOException {
        this.socket = socket;
        this.out = new DataOutputStream(socket.getOutputStream());
        this.in = new DataInputStream(socket.getInputStream());
        out.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
        var payload = new ByteArrayOutputStream();
        var values = new DataOutputStream(payload);
        for (int i = 0; i < settings.length; i += 2) {
            values.writeShort(settings[i]);
            values.writeInt(settings[i + 1]);
        }
        send(SETTINGS, 0, 0, payload.toByteArray());
    }

    /// Opens a connection by way of an upgrade from HTTP/1.1 (RFC 7540, 3.2); stream 1 is then the request that asked for it.
    public static RawHttp2 upgraded(Socket socket) throws IOException {
        socket.getOutputStream().write(("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                + "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
        var answer = new StringBuilder();
        while (answer.indexOf("\r\n\r\n") < 0) {
            int next = socket.getInputStream().read();
            if (next < 0) {
                throw new IOException("the upgrade was refused: " + answer);
            }
            answer.append((char) next);
        }
        if (!answer.toString().startsWith("HTTP/1.1 101 ")) {
            throw new IOException("the upgrade was refused: " + answer);
        }
        return new RawHttp2(socket);
    }

    /// Sends a frame; its length is that of the payload.
    public void send(int type, int flags, int stream, byte... payload) throws IOException {
        var frame = new ByteArrayOutputStream(payload.length + 9);
        var header = new DataOutputStream(frame);
        header.writeByte(payload.length >>> 16);
        header.writeShort(payload.length);
        header.writeByte(type);
        header.writeByte(flags);
        header.writeInt(stream);
        header.write(payload);
        out.write(frame.toByteArray());
    }

    /// Sends the same frame many times, as fast as the connection takes them.
    ///
    /// @return whether the server let them all through; false when it closed the connection
    public boolean flood(int count, int type, int flags, int stream, byte... payload) throws IOException {
        try {
            for (int i = 0; i < count; i++) {
                send(type, flags, stream, payload);
            }
            return true;
        } catch (SocketException e) {
            return false;
        }
    }

    /// The headers of a request with a JSON body, as they stand in HEADERS.
    public static byte[] post(String path) {
        return headers(":method", "POST", ":scheme", "http", ":path", path, ":authority", "localhost", "content-type",
                "application/json");
    }

    /// Names and values, each a literal that is not indexed (RFC 7541, 6.2.2).
    public static byte[] headers(String... namesAndValues) {
        var block = new ByteArrayOutputStream();
        for (int i = 0; i < namesAndValues.length; i++) {
            if (i % 2 == 0) {
                block.write(0);
            }
            byte[] text = namesAndValues[i].getBytes(StandardCharsets.US_ASCII);
            length(block, text.length);
            block.writeBytes(text);
        }
        return block.toByteArray();
    }

    /// An integer with a prefix of 7 bits (RFC 7541, 5.1).
    private static void length(ByteArrayOutputStream block, int length) {
        if (length < 127) {
            block.write(length);
            return;
        }
        block.write(127);
        int rest = length - 127;
        for (; rest >= 128; rest >>>= 7) {
            block.write(rest & 127 | 128);
        }
        block.write(rest);
    }

    /// The next frame; null when the server closed the connection.
    public Frame next() throws IOException {
        try {
            int length = in.readUnsignedByte() << 16 | in.readUnsignedShort();
            int type = in.readUnsignedByte();
            int flags = in.readUnsignedByte();
            int stream = in.readInt();
            byte[] payload = in.readNBytes(length);
            int code = switch (type) {
                case GOAWAY -> number(payload, 4);
                case RST_STREAM -> number(payload, 0);
                default -> 0;
            };
            return new Frame(type, flags, stream, length, code);
        } catch (EOFException | SocketException e) {
            return null;
        }
    }

    private static int number(byte[] payload, int at) {
        return (payload[at] & 255) << 24 | (payload[at + 1] & 255) << 16 | (payload[at + 2] & 255) << 8 | payload[at + 3] & 255;
    }

    /// Reads until a frame of this type comes; null when the server closed the connection before.
    public Frame await(int type) throws IOException {
        Frame frame = next();
        while (frame != null && frame.type() != type) {
            frame = next();
        }
        return frame;
    }

    /// Whether the server ends the connection: closes it, within the patience of its socket.
    public boolean isClosedByServer() throws IOException {
        try {
            while (next() != null) {
                // what was on its way
            }
            return true;
        } catch (SocketTimeoutException e) {
            return false;
        }
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }
}
