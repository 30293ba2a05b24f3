package dev.sidewinder.server.rest;

import dev.sidewinder.server.settings.ServerConfig;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/// Decides for which names this server answers. A page in a browser can be made to send its requests here under a name
/// of its own (DNS rebinding, CVE-2024-28224); the Host header gives it away.
final class HostCheck {

    private static final Set<String> LOCAL = Set.of("localhost", "127.0.0.1", "[::1]", "::1");

    private final boolean any;
    private final Set<String> allowed;

    HostCheck(ServerConfig.Http http) {
        List<String> named = http.allowedHosts();
        any = named.contains("*") || named.isEmpty() && !http.loopback();
        allowed = named.isEmpty() ? withOwn(http.host()) : Set.copyOf(named.stream().map(HostCheck::lower).toList());
    }

    private static Set<String> withOwn(String host) {
        var names = new java.util.HashSet<>(LOCAL);
        names.add(lower(host));
        return Set.copyOf(names);
    }

    /// @param authority name or address, with or without a port, as the client sent it
    boolean allows(String authority) {
        return any || allowed.contains(lower(name(authority)));
    }

    private static String name(String authority) {
        int bracket = authority.lastIndexOf(']');
        int colon = authority.indexOf(':', Math.max(bracket, 0));
        return colon < 0 ? authority : authority.substring(0, colon);
    }

    private static String lower(String text) {
        return text.toLowerCase(Locale.ROOT);
    }
}
