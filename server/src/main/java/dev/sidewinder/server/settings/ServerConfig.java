package dev.sidewinder.server.settings;

import dev.sidewinder.server.api.ApiLimits;
import dev.sidewinder.server.api.ApiOptions;
import dev.sidewinder.server.api.Limit;
import dev.sidewinder.server.api.ThinkingDefaults;
import dev.sidewinder.server.auth.KeyFile;
import dev.sidewinder.server.auth.KeyFileException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/// Everything an operator can set, checked. Made once at start by [#read] and handed on as records.
///
/// @param notes what to tell the operator about the settings: one log line each
public record ServerConfig(Model model, Engine engine, Http http, ApiOptions api, Drain drain, Transport transport,
        Work work, Cache cache, Sessions sessions, LogLevel logLevel, Metrics metrics, List<String> notes) {

    /// What computes.
    public enum BackendKind {
        AUTO, CPU, CUDA, STUB
    }

    public enum ArithmeticKind {
        BF16, F32, FP8
    }

    public enum CacheType {
        AUTO, BF16, FP8
    }

    public enum AuthMode {
        LOOPBACK, NONE
    }

    public enum LogLevel {
        DEBUG, INFO, WARN
    }

    /// @param location where nobody named one, the model of the installation
    public record Model(String location, List<String> servedNames, List<String> aliases) {}

    /// Zero means "as fits" wherever it is allowed.
    ///
    public record Engine(BackendKind backend, ArithmeticKind arithmetic, int threads, long cacheBytes, long hostCacheBytes,
            CacheType cacheType, int maxModelTokens, int maxSequences, int maxBatchTokens, Duration tokenGap, Cuda cuda) {

        /// Tokens in one step at most.
        ///
        /// @param fallback what the backend takes where nothing is set
        public int batchTokens(int fallback) {
            return maxBatchTokens > 0 ? maxBatchTokens : fallback;
        }
    }

    /// @param device     which GPU
    /// @param warpgroups whether prompts run on warpgroup instructions where the GPU has them
    /// @param driver     a library in place of the system's driver
    /// @param kernels    a folder in place of the packaged kernels
    public record Cuda(int device, boolean batchInvariant, boolean warpgroups, Optional<Path> driver, Optional<Path> kernels) {}

    /// @param allowedHosts names for the Host header; empty = the default for the address
    /// @param keys         file of the keys that requests need; empty = they need none
    public record Http(String host, int port, List<String> allowedHosts, Duration heartbeat, Duration streamCommitAfter,
            AuthMode authMode, Optional<Path> keys) {

        /// Whether only this machine can connect.
        public boolean loopback() {
            return isLoopback(host);
        }
    }

    public record Drain(Duration limit, Duration linger) {}

    /// Bounds of connections, headers and bodies.
    public record Transport(int requestLineBytes, int headerBytes, int headersBytes, int headerCount, int smallChunks,
            int connections, int connectionsPerAddress, int http2Streams, int http2Resets, int http2ControlFrames,
            Duration headerTime, Duration bodyTime, Duration idleTime) {}

    /// Bounds of queue, deadlines and streams.
    public record Work(int queuedRequests, long queuedTokens, Duration queueTime, Duration firstTokenTime,
            Duration totalTime, Duration streamStall, int streamBytes, long streamsBytes) {}

    /// @param prefixes  whether requests go on from what others have computed
    /// @param nextTurns whether beginnings of next turns are computed when there is nothing better to do
    public record Cache(boolean prefixes, boolean nextTurns) {}

    /// @param folder    for files of sessions; empty = none is written
    /// @param most      sessions in all
    /// @param perTenant sessions of one tenant
    public record Sessions(Optional<Path> folder, int most, int perTenant) {}

    /// @param experts whether every expert has a series of its own
    public record Metrics(boolean experts) {}

    public ServerConfig {
        notes = List.copyOf(notes);
    }

    /// Reads the settings from where they may stand; earlier ones win: flags, environment, properties file, default.
    ///
    /// @param flags       what stands behind `serve` on the command line
    /// @param environment the variables of the process
    /// @param folder      the working directory, where `sidewinder.properties` may lie
    /// @param installation has the model to serve when none is named
    /// @throws SettingsException for anything unknown, malformed, out of range or contradictory
    public static ServerConfig read(List<String> flags, Map<String, String> environment, Path folder,
            Installation installation) {
        ServerConfig config = from(new SettingsReader().read(flags, environment, folder), installation);
        config.check();
        return config;
    }

    private static ServerConfig from(SettingValues values, Installation installation) {
        return new ServerConfig(
                model(values, installation),
                engine(values),
                new Http(values.get(Settings.HOST), values.get(Settings.PORT), values.get(Settings.ALLOWED_HOSTS),
                        values.get(Settings.HEARTBEAT), values.get(Settings.STREAM_COMMIT_AFTER),
                        values.get(Settings.AUTH_MODE), values.get(Settings.KEYS_FILE)),
                api(values),
                new Drain(values.get(Settings.DRAIN_LIMIT), values.get(Settings.DRAIN_LINGER)),
                transport(values),
                work(values),
                new Cache(values.get(Settings.CACHE_PREFIXES), values.get(Settings.CACHE_NEXT_TURNS)),
                new Sessions(values.get(Settings.SESSION_FOLDER), values.get(Settings.SESSIONS), values.get(Settings.SESSIONS_PER_TENANT)),
                values.get(Settings.LOG_LEVEL),
                new Metrics(values.get(Settings.EXPERT_METRICS)),
                values.notes());
    }

    private static Model model(SettingValues values, Installation installation) {
        // a name that is there and empty, as of a variable that was forgotten, is refused like any other wrong one
        return new Model(values.has(Settings.MODEL) ? values.get(Settings.MODEL) : installation.tinyModel().toString(),
                values.get(Settings.SERVED_NAMES), values.get(Settings.ALIASES));
    }

    private static Engine engine(SettingValues values) {
        return new Engine(values.get(Settings.BACKEND), values.get(Settings.ARITHMETIC), values.get(Settings.THREADS),
                values.get(Settings.CACHE_SIZE), values.get(Settings.HOST_CACHE_SIZE), values.get(Settings.KV_CACHE_DTYPE),
                values.get(Settings.MAX_MODEL_LEN), values.get(Settings.MAX_NUM_SEQS), values.get(Settings.MAX_BATCH_TOKENS),
                values.get(Settings.TOKEN_GAP),
                new Cuda(values.get(Settings.DEVICE), values.get(Settings.BATCH_INVARIANT), values.get(Settings.WARPGROUPS),
                        values.get(Settings.CUDA_DRIVER), values.get(Settings.CUDA_KERNELS)));
    }

    private static Transport transport(SettingValues values) {
        return new Transport(bytes(values, Settings.REQUEST_LINE), bytes(values, Settings.HEADER),
                bytes(values, Settings.HEADERS), values.get(Settings.HEADER_COUNT),
                values.get(Settings.SMALL_CHUNKS), values.get(Settings.CONNECTIONS),
                values.get(Settings.CONNECTIONS_PER_ADDRESS), values.get(Settings.HTTP2_STREAMS),
                values.get(Settings.HTTP2_RESETS), values.get(Settings.HTTP2_CONTROL_FRAMES),
                values.get(Settings.HEADER_TIME), values.get(Settings.BODY_TIME), values.get(Settings.IDLE_TIME));
    }

    private static Work work(SettingValues values) {
        return new Work(values.get(Settings.QUEUED_REQUESTS), values.get(Settings.QUEUED_TOKENS),
                values.get(Settings.QUEUE_TIME), values.get(Settings.FIRST_TOKEN_TIME), values.get(Settings.TOTAL_TIME),
                values.get(Settings.STREAM_STALL), bytes(values, Settings.STREAM_BYTES),
                values.get(Settings.STREAMS_BYTES));
    }

    private static ApiOptions api(SettingValues values) {
        Map<Limit, Integer> limits = new EnumMap<>(Limit.class);
        Settings.REQUEST_LIMITS.forEach((limit, setting) -> limits.put(limit, values.get(setting)));
        return new ApiOptions(new ApiLimits(limits), values.get(Settings.STRICT), values.get(Settings.REASONING_FIELDS),
                new ThinkingDefaults(values.get(Settings.THINKING), values.get(Settings.EFFORT_BUDGETS),
                        values.get(Settings.THINKING_END_TEXT)),
                values.get(Settings.PRIORITY_FLOOR));
    }

    /// For settings whose bounds are below 2 GiB.
    private static int bytes(SettingValues values, Setting<Long> setting) {
        return Math.toIntExact(values.get(setting));
    }

    private void check() {
        checkKeys();
        if (engine.maxBatchTokens() % 128 != 0) {
            throw new SettingsException("sidewinder.engine.max-num-batched-tokens=" + engine.maxBatchTokens()
                    + " is not a multiple of 128, the grid on which prompts are cut");
        }
        if (engine.backend() == BackendKind.CUDA && engine.arithmetic() != ArithmeticKind.BF16) {
            throw new SettingsException("sidewinder.engine.arithmetic=" + engine.arithmetic().name().toLowerCase(Locale.ROOT)
                    + " runs on the CPU only; leave it out, or set sidewinder.engine.backend=cpu");
        }
        if (engine.backend() == BackendKind.CPU && engine.cacheType() == CacheType.FP8) {
            throw new SettingsException("sidewinder.engine.kv-cache-dtype=fp8 runs on a GPU only; leave it out");
        }
        if (engine.cacheType() == CacheType.BF16 && engine.arithmetic() != ArithmeticKind.BF16) {
            throw new SettingsException("sidewinder.engine.kv-cache-dtype=bf16 contradicts sidewinder.engine.arithmetic="
                    + engine.arithmetic().name().toLowerCase(Locale.ROOT) + ", which keeps keys and values in f32");
        }
        if (transport.headerBytes() > transport.headersBytes()) {
            throw new SettingsException("sidewinder.limits.header=" + transport.headerBytes()
                    + " is more than sidewinder.limits.headers=" + transport.headersBytes() + ", all of them together");
        }
        if (transport.connectionsPerAddress() > transport.connections()) {
            throw new SettingsException("sidewinder.limits.connections-per-address=" + transport.connectionsPerAddress()
                    + " is more than sidewinder.limits.connections=" + transport.connections());
        }
        int n = api.limits().get(Limit.CHOICES);
        if (n > api.limits().get(Limit.CHOICES_PER_REQUEST)) {
            throw new SettingsException("sidewinder.limits.choices=" + n + " (the largest n) is more than "
                    + "sidewinder.limits.choices-per-request=" + api.limits().get(Limit.CHOICES_PER_REQUEST)
                    + ", which counts prompts x n");
        }
        if (work.streamBytes() > work.streamsBytes()) {
            throw new SettingsException("sidewinder.limits.stream-bytes=" + work.streamBytes()
                    + " is more than sidewinder.limits.streams-bytes=" + work.streamsBytes());
        }
        if (drain.linger().compareTo(drain.limit()) > 0) {
            throw new SettingsException("sidewinder.drain.linger is longer than sidewinder.drain.limit, of which it is "
                    + "the first part");
        }
        if (work.firstTokenTime().compareTo(work.totalTime()) > 0) {
            throw new SettingsException("sidewinder.limits.first-token-time is longer than sidewinder.limits.total-time");
        }
    }

    private void checkKeys() {
        if (http.keys().isEmpty() && http.authMode() == AuthMode.LOOPBACK && !http.loopback()) {
            throw new SettingsException("sidewinder.http.host=" + http.host() + " can be reached from other machines and "
                    + "there are no keys; name a file of keys with sidewinder.auth.keys-file (./sidewinder key makes them), or set "
                    + "sidewinder.auth.mode=none if everybody who reaches the port may use it");
        }
        if (http.keys().isPresent() && http.authMode() == AuthMode.NONE) {
            throw new SettingsException("sidewinder.auth.mode=none lets everybody in and sidewinder.auth.keys-file only those with a "
                    + "key; leave one of them out");
        }
        http.keys().ifPresent(file -> {
            try {
                KeyFile.read(file);
            } catch (KeyFileException e) {
                throw new SettingsException("sidewinder.auth.keys-file: " + e.getMessage());
            }
        });
    }

    private static boolean isLoopback(String host) {
        try {
            for (InetAddress address : InetAddress.getAllByName(host)) {
                if (!address.isLoopbackAddress()) {
                    return false;
                }
            }
            return true;
        } catch (UnknownHostException e) {
            throw new SettingsException("sidewinder.http.host=" + host + " is no address or name of this machine");
        }
    }
}
