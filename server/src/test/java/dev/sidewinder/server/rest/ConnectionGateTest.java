package dev.sidewinder.server.rest;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.server.settings.Installation;
import dev.sidewinder.server.settings.ServerConfig;
import io.netty.channel.DefaultEventLoopGroup;
import io.netty.channel.EventLoop;
import io.netty.channel.local.LocalChannel;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class ConnectionGateTest {

    /// An answer ends on the thread that wrote it, just when a quick client's next request comes in on the event loop. A
    /// count that two threads change loses one of them, and then the gate takes a body for the beginning of a request and
    /// answers 408 in the middle of it.
    @Test
    void countsTheEndOfAnAnswerOnItsOwnEventLoop() throws Exception {
        // given a connection with a running request, whose event loop is busy
        var group = new DefaultEventLoopGroup(1);
        try {
            var channel = new LocalChannel();
            group.register(channel).sync();
            EventLoop loop = channel.eventLoop();
            var gate = new ConnectionGate(new ConnectionLimits(ServerConfig.read(List.of(), Map.of(), Path.of("/nowhere"),
                    Installation.here())));
            loop.submit(() -> channel.pipeline().addFirst(gate)).sync();
            loop.submit(() -> gate.requestBegan(false)).sync();
            var busy = new CountDownLatch(1);
            var ended = new CountDownLatch(1);
            Future<Integer> seenByTheLoop = loop.submit(() -> {
                busy.countDown();
                ended.await();
                return gate.running();
            });

            // when another thread ends the answer
            busy.await();
            gate.requestEnded();
            ended.countDown();

            // then nothing changes under the loop's hands, and afterwards the request is over
            assertThat(seenByTheLoop.get(1, TimeUnit.MINUTES)).isEqualTo(1);
            assertThat(loop.submit(gate::running).get(1, TimeUnit.MINUTES)).isZero();
        } finally {
            group.shutdownGracefully(0, 1, TimeUnit.SECONDS).await(10, TimeUnit.SECONDS);
        }
    }
}
