package dev.sidewinder.server.rest;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.util.AttributeKey;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.ScheduledFuture;
import io.vertx.core.http.HttpConnection;
import io.vertx.core.net.impl.ConnectionBase;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;

/// Watches one connection from its first byte: how long the headers of a request take, and how long nothing is asked.
/// Sits in front of the HTTP decoder, since a request that never becomes complete is never seen behind it. Its state
/// belongs to the connection's event loop: [#requestBegan] is called there, and [#requestEnded] goes there by itself.
final class ConnectionGate extends ChannelInboundHandlerAdapter {

    private static final AttributeKey<ConnectionGate> KEY = AttributeKey.valueOf("sidewinder.gate");
    private static final int PREFACE = ('P' << 24) | ('R' << 16) | ('I' << 8) | ' ';
    private static final byte[] TIMEOUT = ("HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\n"
            + "connection: close\r\nx-should-retry: false\r\nserver: sidewinder\r\ncontent-length: 146\r\n\r\n"
            + "{\"error\":{\"message\":\"The request did not arrive in time.\",\"type\":\"invalid_request_error\","
            + "\"param\":null,\"code\":\"request_timeout\",\"request_id\":null}}")
            .getBytes(StandardCharsets.US_ASCII);

    private final ConnectionLimits limits;
    private ChannelHandlerContext channel;
    private ScheduledFuture<?> deadline;
    private int running;
    private boolean inHeaders;
    private boolean http2;

    ConnectionGate(ConnectionLimits limits) {
        this.limits = limits;
    }

    /// Puts a gate in front of a new connection, or closes it when there are too many.
    static void guard(Channel channel, ConnectionLimits limits) {
        String address = ConnectionLimits.address(channel);
        if (!limits.admit(address)) {
            // the channel has no event loop yet, so it cannot be closed here
            channel.pipeline().addFirst("sidewinder-refusal", new Refusal());
            return;
        }
        channel.closeFuture().addListener(closed -> limits.release(address));
        var gate = new ConnectionGate(limits);
        channel.attr(KEY).set(gate);
        channel.pipeline().addFirst("sidewinder-gate", gate);
    }

    /// The gate of a connection; null when it was opened by somebody else's server in this process.
    static ConnectionGate of(HttpConnection connection) {
        return ((ConnectionBase) connection).channel().attr(KEY).get();
    }

    @Override
    public void handlerAdded(ChannelHandlerContext context) {
        channel = context;
        waitForRequest();
    }

    @Override
    public void handlerRemoved(ChannelHandlerContext context) {
        cancel();
    }

    @Override
    public void channelInactive(ChannelHandlerContext context) {
        cancel();
        context.fireChannelInactive();
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
        if (running == 0 && !inHeaders && !http2 && message instanceof ByteBuf bytes) {
            // the preface of HTTP/2 is no request
            http2 = bytes.readableBytes() >= 4 && bytes.getInt(bytes.readerIndex()) == PREFACE;
        }
        if (running == 0 && !inHeaders && !http2) {
            inHeaders = true;
            schedule(limits.headerTime().toMillis(), this::timeOut);
        }
        context.fireChannelRead(message);
    }

    /// The headers of a request are complete.
    void requestBegan(boolean overHttp2) {
        http2 = overHttp2;
        running++;
        inHeaders = false;
        cancel();
    }

    /// The answer to a request is complete. Any thread: it is the one that wrote the answer's last byte, while the next
    /// request may be arriving.
    void requestEnded() {
        try {
            channel.executor().execute(this::ended);
        } catch (RejectedExecutionException stopping) {
            // the server stops, and the connection with it
        }
    }

    private void ended() {
        running--;
        if (running == 0) {
            waitForRequest();
        }
    }

    /// Requests that have begun and not ended. The event loop's.
    int running() {
        return running;
    }

    /// Closes the connection as it stands. Closing it through Vert.x would first wait for a reader that takes nothing. Any
    /// thread.
    void cut() {
        // this is the first handler, so no other one hears of it before the socket is closed
        channel.close();
    }

    private void waitForRequest() {
        inHeaders = false;
        schedule(limits.idleTime().toMillis(), () -> channel.close());
    }

    private void timeOut() {
        channel.writeAndFlush(Unpooled.wrappedBuffer(TIMEOUT)).addListener(ChannelFutureListener.CLOSE);
    }

    private void schedule(long millis, Runnable action) {
        cancel();
        if (channel.channel().isOpen()) {
            deadline = channel.executor().schedule(action, millis, TimeUnit.MILLISECONDS);
        }
    }

    private void cancel() {
        if (deadline != null) {
            deadline.cancel(false);
            deadline = null;
        }
    }

    /// Closes a connection as soon as it is open, and reads nothing of it.
    private static final class Refusal extends ChannelInboundHandlerAdapter {

        @Override
        public void channelActive(ChannelHandlerContext context) {
            context.close();
        }

        @Override
        public void channelRead(ChannelHandlerContext context, Object message) {
            ReferenceCountUtil.release(message);
        }
    }
}
