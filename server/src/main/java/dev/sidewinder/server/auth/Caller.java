package dev.sidewinder.server.auth;

import dev.sidewinder.engine.QueueShare;
import dev.sidewinder.server.api.Tenant;
import java.util.EnumSet;
import java.util.Optional;
import java.util.Set;

/// Who sends a request, as far as its key tells.
///
/// @param tenant whom its work counts for
/// @param roles  what its key opens
public record Caller(Tenant tenant, Set<Role> roles) {

    /// Everybody, where there are no keys.
    public static final Caller ANYBODY = new Caller(Tenant.ANONYMOUS, EnumSet.allOf(Role.class));

    /// Somebody who was not asked for a key.
    public static final Caller NOBODY = new Caller(Tenant.ANONYMOUS, Set.of());

    public Caller {
        roles = Set.copyOf(roles);
    }

    /// What it may have of the queue; empty = all of it, where everybody is the same.
    public Optional<QueueShare> share() {
        return tenant.equals(Tenant.ANONYMOUS) ? Optional.empty() : Optional.of(new QueueShare(tenant.name(), tenant.weight()));
    }

    public boolean is(Role role) {
        return roles.contains(role);
    }
}
