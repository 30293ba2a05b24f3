package dev.sidewinder.server.rest;

import io.netty.bootstrap.ChannelInitializerExtension;
import io.netty.channel.Channel;
import io.quarkus.arc.Arc;
import io.quarkus.arc.ArcContainer;

/// Puts a [ConnectionGate] in front of every connection. Vert.x tells of a connection only when it has understood its
/// first request; Netty tells at once, through this extension (`META-INF/services`, switched on by
/// `io.netty.bootstrap.extensions`, which `Main` sets).
public final class ConnectionHook extends ChannelInitializerExtension {

    @Override
    public void postInitializeServerChildChannel(Channel channel) {
        ArcContainer container = Arc.container();
        if (container != null && container.isRunning()) {
            ConnectionGate.guard(channel, container.instance(ConnectionLimits.class).get());
        }
    }
}
