package dev.sidewinder.server.api;

import dev.sidewinder.scheduler.Claim;

/// Whom a request counts for: its share of the engine and of the queue, its prefixes, its sessions. The id of its key, where there
/// are keys.
///
/// @param name          never shown to other tenants
/// @param weight        its share of turns and queue, in proportion to those of others, 1 to 100
/// @param priorityFloor the most urgent priority its requests get; lower numbers are raised to it
public record Tenant(String name, int weight, int priorityFloor) {

    /// Everybody, as long as there are no keys.
    public static final Tenant ANONYMOUS = new Tenant("anonymous");
    /// The server itself, when it starts.
    public static final Tenant SELF_TEST = new Tenant("self-test");

    public Tenant {
        if (weight < 1 || weight > Claim.MOST_WEIGHT) {
            throw new IllegalArgumentException("weight is 1.." + Claim.MOST_WEIGHT + ", not " + weight);
        }
        if (priorityFloor < Claim.FIRST || priorityFloor > Claim.LAST) {
            throw new IllegalArgumentException("priority-floor is " + Claim.FIRST + ".." + Claim.LAST + ", not " + priorityFloor);
        }
    }

    /// An ordinary one: as much as any other, and as urgent as it likes.
    public Tenant(String name) {
        this(name, 1, Claim.FIRST);
    }
}
