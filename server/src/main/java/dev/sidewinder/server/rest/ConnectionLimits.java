package dev.sidewinder.server.rest;

import dev.sidewinder.server.settings.ServerConfig;
import io.netty.channel.Channel;
import io.quarkus.arc.Unremovable;
import jakarta.inject.Singleton;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/// Counts open connections, in all and by address. Safe for use by many threads. [ConnectionHook] asks for it by name,
/// which Quarkus does not see.
@Singleton
@Unremovable
public final class ConnectionLimits {

    private final ServerConfig.Transport transport;
    private final AtomicInteger open = new AtomicInteger();
    private final ConcurrentHashMap<String, Integer> byAddress = new ConcurrentHashMap<>();

    public ConnectionLimits(ServerConfig config) {
        this.transport = config.transport();
    }

    /// Takes a place for a connection, to be given back by [#release].
    boolean admit(String address) {
        if (open.incrementAndGet() > transport.connections()) {
            open.decrementAndGet();
            return false;
        }
        boolean[] admitted = new boolean[1];
        byAddress.compute(address, (key, count) -> {
            int present = count == null ? 0 : count;
            admitted[0] = present < transport.connectionsPerAddress();
            return admitted[0] ? Integer.valueOf(present + 1) : count;
        });
        if (!admitted[0]) {
            open.decrementAndGet();
        }
        return admitted[0];
    }

    void release(String address) {
        open.decrementAndGet();
        byAddress.compute(address, (key, count) -> count == null || count <= 1 ? null : count - 1);
    }

    public int open() {
        return open.get();
    }

    Duration headerTime() {
        return transport.headerTime();
    }

    Duration idleTime() {
        return transport.idleTime();
    }

    static String address(Channel channel) {
        return channel.remoteAddress() instanceof InetSocketAddress address
                ? address.getAddress().getHostAddress() : "local";
    }
}
