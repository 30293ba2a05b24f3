package dev.sidewinder.it.support;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// A client that sends whatever bytes a test wants and shows what comes back.
public final class RawHttp {

    /// Nothing waits for it to pass, but where a server says nothing and should.
    private static final int TIMEOUT_MILLIS = 30_000;
    private static final Pattern LENGTH = Pattern.compile("(?i)\\r\\ncontent-length: *(\\d+)\\r\\n");

    private final int port;

    RawHttp(int port) {
        this.port = port;
    }

    public Socket open() throws IOException {
        var socket = new Socket(InetAddress.getLoopbackAddress(), port);
        socket.setSoTimeout(TIMEOUT_MILLIS);
        return socket;
    }

    /// Sends text (as Latin-1) and reads as [#read] does.
    public String exchange(String request, int silenceMillis) throws IOException {
        try (Socket socket = open()) {
            return exchange(socket, request.getBytes(StandardCharsets.ISO_8859_1), silenceMillis);
        }
    }

    /// Sends text (as Latin-1) after which the server closes the connection, and reads all that it says.
    public String untilClosed(String request) throws IOException {
        return exchange(request, TIMEOUT_MILLIS);
    }

    /// The same on an open connection.
    public static String exchange(Socket socket, byte[] request, int silenceMillis) throws IOException {
        send(socket, request);
        return read(socket, silenceMillis);
    }

    private static void send(Socket socket, byte[] request) throws IOException {
        try {
            socket.getOutputStream().write(request);
            socket.getOutputStream().flush();
        } catch (SocketException e) {
            // the server may refuse before it has read everything; what it said is still to be read
        }
    }

    /// Sends text (as Latin-1) and reads one answer to its end, as its length says; to the end of the connection where it has none.
    public String answer(String request) throws IOException {
        try (Socket socket = open()) {
            return answer(socket, request);
        }
    }

    /// The same on an open connection, which may go on.
    public static String answer(Socket socket, String request) throws IOException {
        send(socket, request.getBytes(StandardCharsets.ISO_8859_1));
        var received = new ByteArrayOutputStream();
        InputStream in = socket.getInputStream();
        try {
            for (int b = in.read(); b >= 0; b = in.read()) {
                received.write(b);
                if (b == '\n' && isComplete(received.toString(StandardCharsets.ISO_8859_1), in, received)) {
                    break;
                }
            }
        } catch (SocketTimeoutException | SocketException e) {
            // silence or a reset: what came so far is the answer
        }
        return received.toString(StandardCharsets.ISO_8859_1);
    }

    /// Reads the body when the head has come.
    private static boolean isComplete(String head, InputStream in, ByteArrayOutputStream received) throws IOException {
        if (!head.endsWith("\r\n\r\n")) {
            return false;
        }
        Matcher length = LENGTH.matcher(head);
        if (length.find()) {
            received.write(in.readNBytes(Integer.parseInt(length.group(1))));
            return true;
        }
        return head.startsWith("HTTP/1.1 100 ");
    }

    /// Reads until the server closes, or has said something and falls silent. The first byte may take long, on a machine
    /// that is busy with other things.
    public static String read(Socket socket, int silenceMillis) throws IOException {
        socket.setSoTimeout(Math.max(silenceMillis, TIMEOUT_MILLIS));
        var received = new ByteArrayOutputStream();
        byte[] buffer = new byte[8192];
        InputStream in = socket.getInputStream();
        try {
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                received.write(buffer, 0, n);
                socket.setSoTimeout(silenceMillis);
            }
        } catch (SocketTimeoutException | SocketException e) {
            // silence or a reset: what came so far is the answer
        }
        return received.toString(StandardCharsets.ISO_8859_1);
    }
}
