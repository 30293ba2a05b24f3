package dev.sidewinder.server.api;

/// Whom a request counts for: its share of the engine, its prefixes, its sessions.
///
/// @param name never shown to other tenants
public record Tenant(String name) {

    /// Everybody, as long as there are no keys.
    public static final Tenant ANONYMOUS = new Tenant("anonymous");
}
