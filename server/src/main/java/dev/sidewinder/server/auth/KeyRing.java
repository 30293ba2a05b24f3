package dev.sidewinder.server.auth;

import java.util.List;
import java.util.Optional;

/// All keys that are valid at a moment.
public record KeyRing(List<ApiKey> keys) {

    public KeyRing {
        keys = List.copyOf(keys);
    }

    /// Whose key this is. Every key is compared, also behind the one that fits, so the time says nothing about which it was or
    /// how much of it was right.
    Optional<Caller> find(String presented) {
        byte[] digest = ApiKey.digestOf(presented);
        Caller found = null;
        for (ApiKey key : keys) {
            if (key.fits(digest)) {
                found = key.owner();
            }
        }
        return Optional.ofNullable(found);
    }

    /// Different names among the owners.
    int tenants() {
        return (int) keys.stream().map(key -> key.owner().tenant().name()).distinct().count();
    }

    /// For people.
    public String summary() {
        return keys.size() + (keys.size() == 1 ? " key" : " keys") + " of " + tenants() + (tenants() == 1 ? " tenant" : " tenants");
    }
}
