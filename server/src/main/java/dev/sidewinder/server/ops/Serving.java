package dev.sidewinder.server.ops;

import dev.sidewinder.engine.EngineStatus;
import dev.sidewinder.engine.session.Sessions;
import dev.sidewinder.server.api.ApiErrors;
import dev.sidewinder.server.metrics.EngineMetrics;
import dev.sidewinder.server.metrics.ServerMetrics;
import jakarta.inject.Singleton;
import java.util.Optional;

/// What the server is doing, for everybody who asks: probes, resources, metrics. Answers from memory at once; any thread.
@Singleton
public final class Serving {

    private volatile RunningModel model;
    private volatile boolean ready;
    private volatile boolean draining;
    private volatile boolean failed;

    public Serving(ServerMetrics metrics, BuildInfo build) {
        metrics.describe(build.version(), build.commit(), this::isReady, this::state);
    }

    /// The model is loaded and has computed a token.
    void ready(RunningModel loaded) {
        model = loaded;
        ready = true;
    }

    /// No longer ready; new requests are still taken until [#refuse].
    void drain() {
        draining = true;
    }

    /// Takes no new requests.
    void refuse() {
        if (model != null) {
            model.engine().drain();
        }
    }

    /// Ends the engine: requests that still run fail.
    void stop() {
        if (model != null) {
            // their files are written while the engine still runs
            model.sessions().ifPresent(Sessions::close);
            model.engine().close();
        }
    }

    /// Nothing that this process computes can be trusted: it ends, to be restarted. Any thread.
    public void fail() {
        failed = true;
    }

    public ServerMetrics.State state() {
        if (hasFailed()) {
            return ServerMetrics.State.FAILED;
        } else if (draining) {
            return ServerMetrics.State.DRAINING;
        }
        return ready ? ServerMetrics.State.SERVING : ServerMetrics.State.STARTING;
    }

    /// Whether the engine has failed; the process will end soon.
    public boolean hasFailed() {
        RunningModel served = model;
        return failed || served != null && served.engine().status().state() == EngineStatus.State.FAILED;
    }

    /// What the engine failed with; empty as long as it has not, or where it computed nonsense without noticing.
    Optional<Throwable> failure() {
        RunningModel served = model;
        return served == null ? Optional.empty() : served.engine().failure();
    }

    public boolean isStarted() {
        return ready;
    }

    /// Whether requests are admitted. A full queue does not change it.
    public boolean isReady() {
        return state() == ServerMetrics.State.SERVING;
    }

    /// The model, for a request. While draining too: its engine refuses what is new.
    ///
    /// @throws dev.sidewinder.server.api.ApiException 503 while there is none, or when the engine has failed
    public RunningModel model() {
        if (hasFailed()) {
            throw ApiErrors.engineFailed();
        }
        if (!ready) {
            throw draining ? ApiErrors.draining() : ApiErrors.modelLoading();
        }
        return model;
    }

    public Optional<EngineMetrics> engineMetrics() {
        return Optional.ofNullable(model).map(RunningModel::metrics);
    }
}
