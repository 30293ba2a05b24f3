package dev.sidewinder.server.auth;

import dev.sidewinder.server.api.ApiErrors;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/// Decides who comes in. Any thread.
public final class Gatekeeper {

    private static final String SCHEME = "Bearer";

    private final Optional<Supplier<KeyRing>> keys;

    private Gatekeeper(Optional<Supplier<KeyRing>> keys) {
        this.keys = keys;
    }

    /// Everybody may do everything.
    public static Gatekeeper open() {
        return new Gatekeeper(Optional.empty());
    }

    /// @param keys asked anew for every request
    public static Gatekeeper with(Supplier<KeyRing> keys) {
        return new Gatekeeper(Optional.of(keys));
    }

    /// The keys there are, for people; empty where nobody needs one.
    public Optional<String> summary() {
        return keys.map(ring -> ring.get().summary());
    }

    /// Who sends a request.
    ///
    /// @param authorization all headers `Authorization`
    /// @param apiKey        all headers `x-api-key`
    /// @param roles         any of which opens the route
    /// @throws dev.sidewinder.server.api.ApiException 401 without a valid key, or with several that differ; 403 when it has none of
    ///                                                the roles
    public Caller admit(List<String> authorization, List<String> apiKey, Set<Role> roles) {
        if (keys.isEmpty()) {
            return Caller.ANYBODY;
        }
        Caller caller = find(authorization, apiKey);
        if (roles.stream().noneMatch(caller::is)) {
            throw ApiErrors.roleMissing(roles.stream().sorted().map(Role::spelling).collect(Collectors.joining(" or ")));
        }
        return caller;
    }

    private Caller find(List<String> authorization, List<String> apiKey) {
        List<String> presented = new ArrayList<>(apiKey.stream().map(String::strip).toList());
        for (String header : authorization) {
            presented.add(bearer(header).orElseThrow(ApiErrors::wrongKey));
        }
        if (presented.isEmpty()) {
            throw ApiErrors.missingKey();
        }
        Optional<Caller> caller = keys.orElseThrow().get().find(presented.getFirst());
        if (presented.stream().distinct().count() > 1) {
            throw ApiErrors.wrongKey();
        }
        return caller.orElseThrow(ApiErrors::wrongKey);
    }

    /// The key in a header of the form `Bearer KEY`; the scheme in any case, as RFC 9110 has it.
    private static Optional<String> bearer(String header) {
        String text = header.strip();
        boolean scheme = text.regionMatches(true, 0, SCHEME, 0, SCHEME.length()) && text.length() > SCHEME.length()
                && text.charAt(SCHEME.length()) == ' ';
        return scheme ? Optional.of(text.substring(SCHEME.length()).strip()) : Optional.empty();
    }
}
