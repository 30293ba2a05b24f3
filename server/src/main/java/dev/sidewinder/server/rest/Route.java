package dev.sidewinder.server.rest;

import dev.sidewinder.server.auth.Role;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Every path this server knows. Whatever is not here never reaches a resource.
public enum Route {
    CHAT("POST", "/v1/chat/completions", Kind.GENERATION, "/chat/completions"),
    COMPLETIONS("POST", "/v1/completions", Kind.GENERATION, "/completions"),
    CHAT_RENDER("POST", "/v1/chat/completions/render", Kind.SMALL, "/chat/completions/render", "/apply-template"),
    COMPLETIONS_RENDER("POST", "/v1/completions/render", Kind.SMALL, "/completions/render"),
    GENERATE("POST", "/generate", Kind.GENERATION, "/v1/generate"),
    TOKENIZE("POST", "/tokenize", Kind.SMALL, "/v1/tokenize"),
    DETOKENIZE("POST", "/detokenize", Kind.SMALL, "/v1/detokenize"),
    CACHE_RESET("POST", "/v1/cache/reset", Kind.SMALL, "/reset_prefix_cache"),
    SESSION_CREATE("POST", "/v1/sessions", Kind.SMALL),
    SESSION_LIST("GET", "/v1/sessions", Kind.SMALL),
    SESSION("GET", "/v1/sessions/{name}", Kind.SMALL),
    SESSION_DELETE("DELETE", "/v1/sessions/{name}", Kind.SMALL),
    SESSION_FORK("POST", "/v1/sessions/{name}/fork", Kind.SMALL),
    SESSION_SUSPEND("POST", "/v1/sessions/{name}/suspend", Kind.SMALL),
    SESSION_RESUME("POST", "/v1/sessions/{name}/resume", Kind.SMALL),
    MODELS("GET", "/v1/models", Kind.SMALL, "/models"),
    MODEL("GET", "/v1/models/{id}", Kind.SMALL),
    VERSION("GET", "/version", Kind.SMALL, "/v1/version"),
    OPENAPI_JSON("GET", "/openapi.json", Kind.SMALL),
    OPENAPI_YAML("GET", "/openapi.yaml", Kind.SMALL),
    HEALTH("GET", "/health", Kind.PROBE, "/ping"),
    LIVE("GET", "/health/live", Kind.PROBE, "/v1/health/live"),
    READY("GET", "/health/ready", Kind.PROBE, "/v1/health/ready"),
    STARTED("GET", "/health/started", Kind.PROBE, "/v1/health/started"),
    METRICS("GET", "/metrics", Kind.PROBE, "/v1/metrics");

    /// What a route asks of the server.
    public enum Kind {
        /// runs the model
        GENERATION,
        /// answers from what is known
        SMALL,
        /// watches the server: never refused, never waits
        PROBE
    }

    /// Of no key in particular: what any key may learn, such as that there is nothing at a path.
    private static final Set<Role> ANY = EnumSet.allOf(Role.class);

    private static final String MODEL_PREFIX = "/v1/models/";
    private static final String SESSION_PREFIX = "/v1/sessions/";
    /// What a session may be called in a path: nothing that would have to be decoded.
    private static final Pattern SESSION_NAME = Pattern.compile("[A-Za-z0-9._-]{1,128}");
    private static final String DOUBLE_PREFIX = "/v1/v1/";

    /// Routes of the OpenAI API and its relatives that this server does not offer.
    private static final List<String> UNSUPPORTED = List.of("/v1/assistants", "/v1/audio", "/v1/batches",
            "/v1/chat/completions/", "/v1/containers", "/v1/conversations", "/v1/edits", "/v1/embeddings", "/v1/engines",
            "/v1/evals", "/v1/files", "/v1/fine-tunes", "/v1/fine_tuning", "/v1/images", "/v1/messages",
            "/v1/moderations", "/v1/organization", "/v1/realtime", "/v1/rerank", "/v1/responses", "/v1/score",
            "/v1/threads", "/v1/uploads", "/v1/vector_stores", "/v1/videos");

    private static final Map<String, Route> BY_PATH = byPath();

    private final String method;
    private final String path;
    private final Kind kind;
    private final List<String> aliases;

    Route(String method, String path, Kind kind, String... aliases) {
        this.method = method;
        this.path = path;
        this.kind = kind;
        this.aliases = List.of(aliases);
    }

    /// Where a request goes.
    ///
    /// @param path the path under which the resource knows it
    public record Match(Route route, String path) {

        /// The route of the same path that takes a method, where several share it; otherwise the first of them.
        Route forMethod(String method) {
            return siblings(route).filter(each -> each.allows(method)).findFirst().orElse(route);
        }
    }

    private static Stream<Route> siblings(Route route) {
        return Arrays.stream(values()).filter(each -> each.path.equals(route.path));
    }

    public String method() {
        return method;
    }

    /// The path, with `{id}` where a part varies; also the name of the route in metrics.
    public String template() {
        return path;
    }

    public Kind kind() {
        return kind;
    }

    /// What a key must have one of to come in here; empty = nobody needs a key.
    public Set<Role> roles() {
        return switch (this) {
            case HEALTH, LIVE, READY, STARTED -> Set.of();
            case METRICS -> Set.of(Role.METRICS);
            // an operator drops everything, others what is their own
            case CACHE_RESET -> Set.of(Role.INFERENCE, Role.OPERATOR);
            case CHAT, COMPLETIONS, CHAT_RENDER, COMPLETIONS_RENDER, GENERATE, TOKENIZE, DETOKENIZE, SESSION_CREATE, SESSION_LIST, SESSION,
                    SESSION_DELETE, SESSION_FORK, SESSION_SUSPEND, SESSION_RESUME, MODELS, MODEL, VERSION, OPENAPI_JSON, OPENAPI_YAML ->
                Set.of(Role.INFERENCE);
        };
    }

    /// The same for a path that may be none of ours: nobody learns which those are without a key.
    static Set<Role> roles(Route route) {
        return route == null ? ANY : route.roles();
    }

    /// What the `Allow` header says.
    public String allowed() {
        return siblings(this).map(each -> each.method.equals("GET") ? "GET, HEAD" : each.method).collect(Collectors.joining(", "));
    }

    public boolean allows(String requested) {
        return method.equals(requested) || method.equals("GET") && requested.equals("HEAD");
    }

    /// All spellings that lead here.
    public List<String> paths() {
        List<String> paths = new ArrayList<>();
        paths.add(path);
        paths.addAll(aliases);
        return paths;
    }

    /// Finds the route of a raw path (as it stands in the request line, without the query).
    ///
    /// Paths are compared as they are: nothing is decoded, and dot segments, empty segments, backslashes and path
    /// parameters belong to no route, so that there is one spelling to decide on.
    public static Optional<Match> find(String rawPath) {
        String once = rawPath.startsWith(DOUBLE_PREFIX) ? rawPath.substring("/v1".length()) : rawPath;
        Route exact = BY_PATH.get(once);
        if (exact != null) {
            return Optional.of(new Match(exact, exact.path));
        }
        if (once.startsWith(SESSION_PREFIX)) {
            return session(once);
        }
        String full = once.startsWith("/models/") ? "/v1" + once : once;
        if (full.startsWith(MODEL_PREFIX) && isPlain(full.substring(MODEL_PREFIX.length()))) {
            return Optional.of(new Match(MODEL, full));
        }
        return Optional.empty();
    }

    private static Optional<Match> session(String path) {
        String rest = path.substring(SESSION_PREFIX.length());
        int slash = rest.indexOf('/');
        String name = slash < 0 ? rest : rest.substring(0, slash);
        if (!SESSION_NAME.matcher(name).matches() || name.equals(".") || name.equals("..")) {
            return Optional.empty();
        }
        Route route = switch (slash < 0 ? "" : rest.substring(slash)) {
            case "" -> SESSION;
            case "/fork" -> SESSION_FORK;
            case "/suspend" -> SESSION_SUSPEND;
            case "/resume" -> SESSION_RESUME;
            default -> null;
        };
        return Optional.ofNullable(route).map(found -> new Match(found, path));
    }

    /// Whether other servers of this API have something at the path.
    public static boolean isUnsupported(String rawPath) {
        String once = rawPath.startsWith(DOUBLE_PREFIX) ? rawPath.substring("/v1".length()) : rawPath;
        return UNSUPPORTED.stream().anyMatch(prefix -> once.equals(prefix) || once.startsWith(
                prefix.endsWith("/") ? prefix : prefix + "/"));
    }

    /// Model ids may contain slashes, raw or encoded; nothing that a path could be rewritten with.
    private static boolean isPlain(String id) {
        String lower = id.toLowerCase(java.util.Locale.ROOT).replace("%2f", "/").replace("%2e", ".");
        if (lower.isEmpty() || lower.indexOf('\\') >= 0 || lower.indexOf(';') >= 0 || lower.contains("%5c")) {
            return false;
        }
        for (String segment : lower.split("/", -1)) {
            if (segment.isEmpty() || segment.equals(".") || segment.equals("..")) {
                return false;
            }
        }
        return true;
    }

    private static Map<String, Route> byPath() {
        Map<String, Route> map = new HashMap<>();
        for (Route route : values()) {
            if (!route.path.contains("{")) {
                route.paths().forEach(path -> map.putIfAbsent(path, route));
            }
        }
        return Map.copyOf(map);
    }
}
