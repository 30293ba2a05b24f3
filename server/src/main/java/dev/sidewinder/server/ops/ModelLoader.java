package dev.sidewinder.server.ops;

import com.sun.management.OperatingSystemMXBean;
import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.EngineLimits;
import dev.sidewinder.engine.Timeouts;
import dev.sidewinder.engine.MemoryPlan;
import dev.sidewinder.engine.cuda.DeviceFault;
import dev.sidewinder.engine.session.SessionException;
import dev.sidewinder.engine.session.SessionIdentity;
import dev.sidewinder.engine.session.SessionLimits;
import dev.sidewinder.engine.session.Sessions;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.server.api.Partitions;
import dev.sidewinder.server.api.RequestPlanner;
import dev.sidewinder.server.api.RequestReader;
import dev.sidewinder.server.api.ServedModel;
import dev.sidewinder.server.api.Tenant;
import dev.sidewinder.server.metrics.EngineMetrics;
import dev.sidewinder.server.metrics.ServerMetrics;
import dev.sidewinder.server.settings.ServerConfig;
import dev.sidewinder.server.settings.SettingsException;
import jakarta.inject.Singleton;
import java.lang.management.ManagementFactory;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;

/// From a location to a model that has computed its first tokens.
@Singleton
public final class ModelLoader {

    private static final int QUEUE_FACTOR = 4;

    private final ServerConfig config;
    private final BuildInfo build;
    private final ServerMetrics serverMetrics;

    public ModelLoader(ServerConfig config, BuildInfo build, ServerMetrics serverMetrics) {
        this.config = config;
        this.build = build;
        this.serverMetrics = serverMetrics;
    }

    /// Loads the model of the settings and tests it. Takes the time it takes.
    ///
    /// @throws dev.sidewinder.model.checkpoint.CheckpointException when the files are not what they should be
    /// @throws StartException    when it cannot be served
    RunningModel load() throws InterruptedException {
        try (var progress = new LoadingProgress(config.model().location())) {
            // a GPU makes the weights of a synthetic model itself
            Model model = Model.openUnmade(config.model().location());
            try {
                return serve(model, progress);
            } catch (SettingsException e) {
                model.close();
                throw new StartException(ServeApplication.REFUSED_TO_START, e.getMessage());
            } catch (RuntimeException | InterruptedException e) {
                model.close();
                throw e;
            }
        }
    }

    private RunningModel serve(Model model, LoadingProgress progress) throws InterruptedException {
        PlannedBackend planned = Backends.plan(model, config.engine(), machineBytes());
        MemoryPlan plan = planned.plan();
        var served = ServedModel.of(model, names(model), plan.maxModelTokens(), buildName(planned), config.api().thinking());
        var engine = new AtomicReference<Engine>();
        var metrics = new EngineMetrics(served.names().getFirst(), plan.maxModelTokens(), cacheInfo(planned), serverMetrics,
                () -> engine.get().status());
        planned.device().ifPresent(metrics::runsOn);
        Backend backend = planned.build(progress);
        backend.expertLoad().ifPresent(load -> metrics.experts(load, config.metrics().experts()));
        engine.set(Engine.start(backend, limits(planned), metrics.observer()));
        Optional<Partitions> partitions = config.cache().prefixes() ? Optional.of(partitions()) : Optional.empty();
        try {
            new SelfTest(engine.get(), backend.vocabSize(), plan.maxModelTokens(),
                    partitions.map(all -> all.of(Tenant.SELF_TEST, Optional.empty()))).run();
        } catch (RuntimeException | InterruptedException e) {
            Optional<Throwable> failure = engine.get().failure();
            engine.get().close();
            DeviceFault fault = failure.flatMap(DeviceFault::of).orElse(null);
            if (fault != null) {
                throw EngineFailure.atStart(config.model().location(), fault, failure.get());
            }
            throw e;
        }
        var reader = new RequestReader(config.api(), plan.maxModelTokens(), model.config().vocabSize());
        var planner = new RequestPlanner(served, config.api(), new SecureRandom()::nextLong, InstantSource.system(),
                partitions);
        Optional<Sessions> sessions = sessions(model, engine.get(), backend, plan);
        sessions.ifPresent(metrics::sessions);
        return new RunningModel(model, served, engine.get(), metrics, reader, planner, partitions, sessions, plan,
                System.currentTimeMillis() / 1000, backend.description(), planned);
    }

    private Optional<Sessions> sessions(Model model, Engine engine, Backend backend, MemoryPlan plan) {
        ServerConfig.Sessions wanted = config.sessions();
        HostShape host = plan.memory().host();
        if (host.states() == 0 || host.blocks() == 0) {
            wanted.folder().ifPresent(folder -> {
                throw new SettingsException("sidewinder.sessions.folder is set, and there is no memory of the host for sessions; raise "
                        + "sidewinder.engine.host-cache-size");
            });
            return Optional.empty();
        }
        try {
            return Optional.of(Sessions.open(engine, new SessionIdentity(model.name(), model.fingerprint(), backend.cacheFormat()),
                    new SessionLimits(wanted.most(), wanted.perTenant()), wanted.folder()));
        } catch (SessionException e) {
            throw new StartException(ServeApplication.REFUSED_TO_START, "sidewinder.sessions.folder: " + e.getMessage());
        }
    }

    /// Under a key of this process: what is kept does not outlive it either.
    private static Partitions partitions() {
        byte[] key = new byte[Partitions.KEY_BYTES];
        new SecureRandom().nextBytes(key);
        return new Partitions(key);
    }

    /// What else an answer depends on, besides the weights.
    private String buildName(PlannedBackend planned) {
        return build.version() + "/" + build.commit() + "/" + planned.name() + "/" + config.engine().arithmetic();
    }

    private List<String> names(Model model) {
        Set<String> names = new LinkedHashSet<>(config.model().servedNames());
        if (names.isEmpty()) {
            names.add(model.name());
        }
        names.addAll(config.model().aliases());
        return List.copyOf(names);
    }

    private EngineLimits limits(PlannedBackend planned) {
        ServerConfig.Work work = config.work();
        MemoryPlan plan = planned.plan();
        long queuedTokens = work.queuedTokens() > 0
                ? work.queuedTokens()
                : (long) QUEUE_FACTOR * plan.memory().frames().blocks() * CacheShape.BLOCK_TOKENS;
        return new EngineLimits(plan.maxSequences(), planned.batchTokens(), work.queuedRequests(),
                queuedTokens, plan.maxModelTokens(), new Timeouts(work.queueTime(), work.firstTokenTime(),
                        work.totalTime(), work.streamStall()), config.engine().tokenGap());
    }

    private static EngineMetrics.CacheInfo cacheInfo(PlannedBackend planned) {
        return new EngineMetrics.CacheInfo(CacheShape.BLOCK_TOKENS, planned.plan().memory().frames().blocks(), planned.cacheType(),
                "float32", planned.plan().slotBytes(), planned.plan().blockBytes());
    }

    private static long machineBytes() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getTotalMemorySize();
    }
}
