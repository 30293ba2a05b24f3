package dev.sidewinder.server.settings;

import static dev.sidewinder.server.settings.ValueKind.bool;
import static dev.sidewinder.server.settings.ValueKind.closingText;
import static dev.sidewinder.server.settings.ValueKind.duration;
import static dev.sidewinder.server.settings.ValueKind.effortBudgets;
import static dev.sidewinder.server.settings.ValueKind.integer;
import static dev.sidewinder.server.settings.ValueKind.list;
import static dev.sidewinder.server.settings.ValueKind.longInteger;
import static dev.sidewinder.server.settings.ValueKind.oneOf;
import static dev.sidewinder.server.settings.ValueKind.path;
import static dev.sidewinder.server.settings.ValueKind.size;
import static dev.sidewinder.server.settings.ValueKind.text;

import dev.sidewinder.server.api.Limit;
import dev.sidewinder.server.api.ReasoningFields;
import dev.sidewinder.server.api.ThinkingDefaults;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// The table of settings: the only place where one is named, bounded, defaulted and explained. `--help`,
/// docs/settings.md and [ServerConfig] come from it.
final class Settings {

    private static final List<Setting<?>> TABLE = new ArrayList<>();

    // ---- model ----
    static final Setting<String> MODEL = add("sidewinder.model.location", List.of("--model"), text(),
            "", "checkpoint folder, or `synthetic:<shape>` for random weights made on the spot. Default: `models/tiny` of "
                    + "the installation, the model that was trained for this project");
    static final Setting<List<String>> SERVED_NAMES = add("sidewinder.model.served-name",
            List.of("--served-model-name"), list(), "", "names to serve the model under; the first is the one answers "
                    + "carry when a request names none. Default: the name of the folder");
    static final Setting<List<String>> ALIASES = add("sidewinder.model.aliases", List.of(), list(), "",
            "further names that requests may use");

    // ---- engine ----
    static final Setting<ServerConfig.BackendKind> BACKEND = add("sidewinder.engine.backend", List.of("--backend"),
            oneOf(ServerConfig.BackendKind.class), "auto",
            "`cuda` computes on a GPU, `cpu` on the processors; `auto` takes a GPU when there is a usable one with room for "
                    + "the model, and says why when not; `stub` computes nothing and emits pseudo-random tokens, for "
                    + "measuring the server itself");
    static final Setting<Integer> DEVICE = add("sidewinder.engine.device", List.of("--device"), integer(0, 63), "0",
            "which GPU, in the driver's order");
    static final Setting<Boolean> BATCH_INVARIANT = add("sidewinder.engine.batch-invariant", List.of("--batch-invariant"),
            bool(), "false", "`cuda`: an answer has the same bits whatever else runs, for a little speed; on the CPU it always has");
    static final Setting<Boolean> WARPGROUPS = add("sidewinder.engine.warpgroups", List.of(), bool(), "true",
            "`cuda`: the products of prompts run on warpgroup instructions where the GPU has them (H100, H200), which add in "
                    + "another order; `false` computes them like those of generated tokens, much slower");
    static final Setting<ServerConfig.ArithmeticKind> ARITHMETIC = add("sidewinder.engine.arithmetic",
            List.of("--arithmetic"), oneOf(ServerConfig.ArithmeticKind.class), "bf16",
            "`f32` is the reference and runs on the CPU only, `bf16` is faster; `fp8`, on the CPU only and slow, is `f32` "
                    + "with the activations of FP8 matrices in FP8, as a GPU has them anyway: for judging the format");
    static final Setting<Integer> THREADS = add("sidewinder.engine.threads", List.of("--threads"), integer(0, 1024),
            "0", "threads of the CPU backend; 0 = one per processor");
    static final Setting<Long> CACHE_SIZE = add("sidewinder.engine.cache-size", List.of("--cache-size"),
            size("0", "4096GiB"), "0", "memory for states, keys and values, cut into frames; 0 = a quarter of the machine's, or what a GPU has free");
    static final Setting<Long> HOST_CACHE_SIZE = add("sidewinder.engine.host-cache-size", List.of("--host-cache-size"),
            size("0", "4096GiB"), "0", "memory of the host for sequences and sessions that are suspended; 0 = half of what the caches "
                    + "take and an eighth of the machine's at most; less than one sequence takes, and none is suspended");
    static final Setting<ServerConfig.CacheType> KV_CACHE_DTYPE = add("sidewinder.engine.kv-cache-dtype",
            List.of("--kv-cache-dtype"), oneOf(ServerConfig.CacheType.class), "auto",
            "number format of keys and values; `auto` follows the arithmetic on the CPU and is `bf16` on a GPU, the only "
                    + "one that takes `fp8`");
    static final Setting<Integer> MAX_MODEL_LEN = add("sidewinder.engine.max-model-len", List.of("--max-model-len"),
            integer(0, 1_048_576), "0", "prompt and answer of one sequence at most, in tokens; 0 = what the model "
                    + "states, cut to what fits into the cache");
    static final Setting<Integer> MAX_NUM_SEQS = add("sidewinder.engine.max-num-seqs", List.of("--max-num-seqs"),
            integer(0, 4096), "0", "sequences running at once; 0 = what fits, 256 at most");
    static final Setting<Integer> MAX_BATCH_TOKENS = add("sidewinder.engine.max-num-batched-tokens",
            List.of("--max-num-batched-tokens"), integer(0, 131_072), "0",
            "tokens in one step at most, a multiple of 128; 0 = 512 on the CPU, 8192 on a GPU");
    static final Setting<Duration> TOKEN_GAP = add("sidewinder.engine.token-gap", List.of("--token-gap"),
            duration("0s", "1h"), "50ms", "aim for the time between two tokens of an answer: beside answers under way, a step takes as "
                    + "much of other prompts as fits into it by what steps of late have cost, but 128 tokens at least; 0 = as "
                    + "much as fits into the step");
    static final Setting<Optional<Path>> CUDA_DRIVER = add("sidewinder.cuda.driver", List.of(), path(), "",
            "library to load in place of the system's `libcuda.so.1`");
    static final Setting<Optional<Path>> CUDA_KERNELS = add("sidewinder.cuda.kernels", List.of(), path(), "",
            "folder of compiled kernels to load in place of those that come with the server");

    // ---- cache ----
    static final Setting<Boolean> CACHE_PREFIXES = add("sidewinder.cache.prefixes", List.of("--enable-prefix-caching"), bool(),
            "true", "whether a prompt goes on from what was computed of the same tokens before, for the same tenant and "
                    + "`cache_salt`; false: every prompt is computed in full");

    static final Setting<Boolean> CACHE_NEXT_TURNS = add("sidewinder.cache.next-turns", List.of("--prepare-next-turns"), bool(), "true",
            "whether the beginning of a conversation's next turn is computed when there is nothing better to do, where the template drops "
                    + "reasoning from it and that saves 2,048 tokens or more");

    // ---- sessions ----
    static final Setting<Optional<Path>> SESSION_FOLDER = add("sidewinder.sessions.folder", List.of("--session-folder"), path(), "",
            "folder for the files of suspended sessions; without it sessions live as long as the server");
    static final Setting<Integer> SESSIONS = add("sidewinder.sessions.most", List.of(), integer(1, 1_000_000), "10000",
            "sessions in all; more: 409");
    static final Setting<Integer> SESSIONS_PER_TENANT = add("sidewinder.sessions.most-per-tenant", List.of(), integer(1, 1_000_000),
            "1000", "sessions of one tenant; more: 409");

    // ---- http ----
    static final Setting<String> HOST = add("sidewinder.http.host", List.of("--host"), text(), "127.0.0.1",
            "address to listen on; anything but loopback needs keys (`sidewinder.auth.keys-file`), or `sidewinder.auth.mode=none`");
    static final Setting<Integer> PORT = add("sidewinder.http.port", List.of("--port"), integer(0, 65_535), "8000",
            "port to listen on; 0 = a free one, printed at start");
    static final Setting<List<String>> ALLOWED_HOSTS = add("sidewinder.http.allowed-hosts", List.of(), list(), "",
            "names a Host header may carry; `*` = any. Default: localhost forms on loopback, any elsewhere");
    static final Setting<Duration> HEARTBEAT = add("sidewinder.http.heartbeat", List.of(), duration("0s", "10m"),
            "15s", "a comment is sent on a stream that was silent this long; 0 = never");
    static final Setting<Duration> STREAM_COMMIT_AFTER = add("sidewinder.http.stream-commit-after", List.of(),
            duration("0s", "60s"), "5s", "status and headers of a stream are sent this long after admission when there "
                    + "is no token yet; until then a failure has a proper status");
    static final Setting<ServerConfig.AuthMode> AUTH_MODE = add("sidewinder.auth.mode", List.of(),
            oneOf(ServerConfig.AuthMode.class), "loopback", "what holds without keys: `loopback`, only loopback addresses; `none`, "
                    + "any address, and everybody who reaches the port may use it");
    static final Setting<Optional<Path>> KEYS_FILE = add("sidewinder.auth.keys-file", List.of("--api-key-file"), path(), "",
            "file of the keys that requests need, a line `id:roles:sha256` each (`./sidewinder key` makes one); read again when it "
                    + "changes. Without it requests need no key");

    // ---- api ----
    static final Setting<Boolean> STRICT = add("sidewinder.api.strict", List.of(), bool(), "false",
            "unknown fields of a request are an error instead of being ignored");
    static final Setting<ReasoningFields> REASONING_FIELDS = add("sidewinder.api.reasoning-fields", List.of(),
            oneOf(ReasoningFields.class), "both",
            "under which names reasoning is sent; `inline` = as think tags in the content");
    static final Setting<Boolean> THINKING = add("sidewinder.chat.thinking", List.of(), bool(), "true",
            "whether a chat thinks when the request does not say");
    static final Setting<ThinkingDefaults.EffortBudgets> EFFORT_BUDGETS = add("sidewinder.chat.effort-budgets", List.of(),
            effortBudgets(), "512,2048,8192", "reasoning tokens that the efforts minimal, low and medium stand for; medium "
                    + "only where the template reads no `medium_effort`");
    static final Setting<String> THINKING_END_TEXT = add("sidewinder.chat.thinking-end-text", List.of(), closingText(),
            "\\n\\n</think>", "what closes reasoning whose budget is spent");

    // ---- drain ----
    static final Setting<Duration> DRAIN_LIMIT = add("sidewinder.drain.limit", List.of("--shutdown-timeout"),
            duration("0s", "24h"), "45s", "after SIGTERM, accepted requests may go on this long");
    static final Setting<Duration> DRAIN_LINGER = add("sidewinder.drain.linger", List.of(), duration("0s", "10m"), "0s",
            "after SIGTERM, new requests are still taken this long, for balancers that learn late");

    // ---- log ----
    static final Setting<ServerConfig.LogLevel> LOG_LEVEL = add("sidewinder.log.level", List.of("--log-level"),
            oneOf(ServerConfig.LogLevel.class), "info", "`debug` adds a line per request, never its text");

    // ---- metrics ----
    static final Setting<Boolean> EXPERT_METRICS = add("sidewinder.metrics.experts", List.of(), bool(), "false",
            "count the tokens of every expert of every layer in `/metrics`: a series each, thousands in a large model");

    // ---- limits of the transport ----
    static final Setting<Long> REQUEST_LINE = add("sidewinder.limits.request-line", List.of(), size("256", "64KiB"),
            "8KiB", "request line; longer: 414");
    static final Setting<Long> HEADER = add("sidewinder.limits.header", List.of(), size("256", "64KiB"), "8KiB",
            "one header; longer: 431");
    static final Setting<Long> HEADERS = add("sidewinder.limits.headers", List.of(), size("1KiB", "128KiB"), "16KiB",
            "all headers together; longer: 431");
    static final Setting<Integer> HEADER_COUNT = add("sidewinder.limits.header-count", List.of(), integer(10, 500),
            "100", "headers of one request; more: 431");
    static final Setting<Integer> SMALL_CHUNKS = add("sidewinder.limits.small-chunks", List.of(), integer(1, 65_536),
            "4096", "pieces of a body that are smaller than 64 bytes; more: 400");
    static final Setting<Integer> CONNECTIONS = add("sidewinder.limits.connections", List.of(), integer(1, 1_000_000),
            "8192", "open connections; more are closed at once");
    static final Setting<Integer> CONNECTIONS_PER_ADDRESS = add("sidewinder.limits.connections-per-address", List.of(),
            integer(1, 1_000_000), "1024", "open connections of one address; more are closed at once");
    static final Setting<Integer> HTTP2_STREAMS = add("sidewinder.limits.http2-streams", List.of(), integer(1, 1024),
            "256", "concurrent streams of one HTTP/2 connection");
    static final Setting<Integer> HTTP2_RESETS = add("sidewinder.limits.http2-resets", List.of(), integer(1, 100_000),
            "200", "reset streams of one HTTP/2 connection in 30 s; more: GOAWAY");
    static final Setting<Integer> HTTP2_CONTROL_FRAMES = add("sidewinder.limits.http2-control-frames", List.of(),
            integer(1, 100_000), "100", "SETTINGS and PING frames of one HTTP/2 connection in 30 s; more: GOAWAY");
    static final Setting<Duration> HEADER_TIME = add("sidewinder.limits.header-time", List.of(), duration("100ms", "10m"),
            "10s", "from the first byte of a request to the end of its headers; longer: 408, close");
    static final Setting<Duration> BODY_TIME = add("sidewinder.limits.body-time", List.of(), duration("100ms", "1h"),
            "30s", "from the headers to the end of the body; longer: 408, close");
    static final Setting<Duration> IDLE_TIME = add("sidewinder.limits.idle-time", List.of(), duration("1s", "1h"),
            "75s", "a connection without a request is closed after this time");

    // ---- limits of the work ----
    static final Setting<Integer> QUEUED_REQUESTS = add("sidewinder.limits.queued-requests",
            List.of("--max-num-queued-reqs"), integer(1, 65_536), "1024", "requests waiting at most; more: 503");
    static final Setting<Long> QUEUED_TOKENS = add("sidewinder.limits.queued-tokens", List.of(),
            longInteger(0, 1L << 40), "0", "prompt tokens waiting at most; more: 503; 0 = four times the KV blocks");
    static final Setting<Integer> PRIORITY_FLOOR = add("sidewinder.limits.priority-floor", List.of(), integer(-1000, 1000),
            "-1000", "the most urgent `priority` that a request gets; lower ones are raised to it");
    static final Setting<Duration> QUEUE_TIME = add("sidewinder.limits.queue-time", List.of(), duration("1s", "24h"),
            "60s", "waiting for a place in the batch; longer: 503");
    static final Setting<Duration> FIRST_TOKEN_TIME = add("sidewinder.limits.first-token-time", List.of(),
            duration("1s", "24h"), "300s", "from arrival to the first token; longer: 504");
    static final Setting<Duration> TOTAL_TIME = add("sidewinder.limits.total-time", List.of(), duration("1s", "24h"),
            "3600s", "from arrival to the last token; longer: 504");
    static final Setting<Duration> STREAM_STALL = add("sidewinder.limits.stream-stall", List.of(), duration("1s", "1h"),
            "30s", "a reader that takes nothing this long loses its request");
    static final Setting<Long> STREAM_BYTES = add("sidewinder.limits.stream-bytes", List.of(), size("4KiB", "64MiB"),
            "256KiB", "bytes written to one stream and not yet taken by its socket");
    static final Setting<Long> STREAMS_BYTES = add("sidewinder.limits.streams-bytes", List.of(), size("1MiB", "64GiB"),
            "256MiB", "the same over all streams");

    // ---- limits of a request ----
    static final Map<Limit, Setting<Integer>> REQUEST_LIMITS = requestLimits();

    static final List<Setting<?>> ALL = Collections.unmodifiableList(TABLE);

    /// Flags of other servers that say what is always so here; accepted with a line in the log. The value tells whether
    /// the flag takes an argument.
    static final Map<String, Boolean> BUILT_IN = Map.of("--reasoning-parser", true, "--tool-call-parser", true,
            "--enable-auto-tool-choice", false, "--trust-remote-code", false, "--async-scheduling", false);

    /// Variables that the launcher and other commands read; they are no settings of the server.
    static final Set<String> LAUNCHER_VARIABLES = Set.of("SIDEWINDER_JAVA_HOME", "SIDEWINDER_JAVA_OPTS",
            "SIDEWINDER_JVM_FOLDERS", "SIDEWINDER_MVN", "SIDEWINDER_NO_BUILD", "SIDEWINDER_NO_FLOCK", "SIDEWINDER_NO_AOT",
            "SIDEWINDER_DEBUG", "SIDEWINDER_API_KEY");

    private Settings() {}

    /// One setting for each bound that the request parser knows.
    private static Map<Limit, Setting<Integer>> requestLimits() {
        Map<Limit, Setting<Integer>> settings = new EnumMap<>(Limit.class);
        for (Limit limit : Limit.values()) {
            settings.put(limit, add("sidewinder.limits." + limit.settingName(), List.of(), integer(1, limit.hard()),
                    Integer.toString(limit.standard()), "bound of a request; more: 400" + (limit == Limit.BODY_BYTES
                            ? ", for the body 413" : "")));
        }
        return Collections.unmodifiableMap(settings);
    }

    private static <T> Setting<T> add(String name, List<String> aliases, ValueKind<T> kind, String fallback,
            String meaning) {
        Setting<T> setting = new Setting<>(name, aliases, kind, fallback, meaning);
        TABLE.add(setting);
        return setting;
    }
}
