package dev.sidewinder.server.ops;

import dev.sidewinder.engine.cuda.DeviceFault;
import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.server.auth.Gatekeeper;
import dev.sidewinder.server.rest.FrontDoor;
import dev.sidewinder.server.rest.Listener;
import dev.sidewinder.server.settings.ServerConfig;
import dev.sidewinder.server.settings.ServerConfig.LogLevel;
import io.quarkus.logging.Log;
import io.quarkus.runtime.QuarkusApplication;
import java.io.IOException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;
import sun.misc.Signal;

/// The server from the open port to the exit code: open, load, serve, drain.
public final class ServeApplication implements QuarkusApplication {

    static final int DRAINED = 0;
    static final int REFUSED_TO_START = 1;
    static final int ENGINE_FAILED = 70;
    static final int HARDWARE_FAULT = 71;
    static final int SELF_TEST_FAILED = 75;
    static final int SECOND_SIGNAL = 143;

    private static final long WATCH_MILLIS = 100;
    private static final long LAST_RESORT_MILLIS = 20_000;

    private final ServerConfig config;
    private final Gatekeeper gatekeeper;
    private final Listener listener;
    private final ModelLoader loader;
    private final Serving serving;
    private final Drain drain;
    private final CountDownLatch signalled = new CountDownLatch(1);

    public ServeApplication(ServerConfig config, Gatekeeper gatekeeper, Listener listener, ModelLoader loader, Serving serving,
            FrontDoor door) {
        this.config = config;
        this.gatekeeper = gatekeeper;
        this.listener = listener;
        this.loader = loader;
        this.serving = serving;
        this.drain = new Drain(config.drain(), serving, door::generationsInFlight);
    }

    @Override
    public int run(String... arguments) throws InterruptedException {
        long started = System.nanoTime();
        Logger.getLogger("dev.sidewinder").setLevel(level(config.logLevel()));
        config.notes().forEach(Log::info);
        gatekeeper.summary().ifPresent(keys -> Log.infof("keys: requests need one of %s in %s", keys, config.http().keys().orElseThrow()));
        watchSignals();
        int port;
        try {
            port = listener.open();
        } catch (IOException e) {
            Log.error(e.getMessage());
            return REFUSED_TO_START;
        }
        String address = "http://" + hostInUrl() + ":" + port;
        Log.infof("listening on %s, loading %s", address, config.model().location());
        try {
            load(address, started);
        } catch (StartException e) {
            Log.error(e.getMessage());
            return e.exitCode();
        }
        return serve();
    }

    private void load(String address, long started) throws InterruptedException {
        if (config.http().authMode() == ServerConfig.AuthMode.NONE && !config.http().loopback()) {
            Log.warnf("there are no keys: everybody who reaches %s may use this server (sidewinder.auth.mode=none)",
                    address);
        }
        try {
            RunningModel served = loader.load();
            serving.ready(served);
            StartBlock.lines(served, config, address, System.nanoTime() - started).forEach(Log::info);
        } catch (CheckpointException e) {
            throw new StartException(REFUSED_TO_START, "cannot load " + config.model().location() + ": " + e.getMessage());
        } catch (OutOfMemoryError e) {
            throw new StartException(REFUSED_TO_START, "cannot load " + config.model().location()
                    + ": the heap is too small (" + e.getMessage() + "); give the JVM more with -Xmx");
        } catch (RuntimeException e) {
            throw DeviceFault.of(e).<RuntimeException>map(fault -> EngineFailure.atStart(config.model().location(), fault, e))
                    .orElse(e);
        }
    }

    /// Waits for a signal or for the engine to fail.
    private int serve() throws InterruptedException {
        while (!signalled.await(WATCH_MILLIS, TimeUnit.MILLISECONDS)) {
            if (serving.hasFailed()) {
                return failed();
            }
        }
        Log.infof("draining: running requests have %d s", config.drain().limit().toSeconds());
        drain.run();
        if (serving.hasFailed()) {
            return failed();
        }
        Log.info("drained");
        return DRAINED;
    }

    private int failed() throws InterruptedException {
        EngineFailure failure = EngineFailure.of(serving.failure());
        Log.error(failure.message());
        serving.fail();
        // a device call that never returns must not keep the process
        Thread.ofPlatform().daemon().start(() -> haltLater(failure.exitCode()));
        try {
            drain.giveUp();
        } catch (RuntimeException e) {
            Log.warn("what the engine held could not be given back", e);
        }
        return failure.exitCode();
    }

    private static void haltLater(int exitCode) {
        try {
            Thread.sleep(LAST_RESORT_MILLIS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        Runtime.getRuntime().halt(exitCode);
    }

    /// The first signal drains, the second ends the process as it stands.
    private void watchSignals() {
        for (String name : new String[] {"TERM", "INT"}) {
            Signal.handle(new Signal(name), signal -> {
                if (signalled.getCount() == 0) {
                    Runtime.getRuntime().halt(SECOND_SIGNAL);
                }
                serving.drain();
                signalled.countDown();
                if (!serving.isStarted()) {
                    // nothing was promised to anybody yet
                    Runtime.getRuntime().halt(DRAINED);
                }
            });
        }
    }

    private String hostInUrl() {
        String host = config.http().host();
        return host.contains(":") ? "[" + host + "]" : host;
    }

    private static Level level(LogLevel level) {
        return switch (level) {
            case DEBUG -> Level.FINE;
            case INFO -> Level.INFO;
            case WARN -> Level.WARNING;
        };
    }
}
