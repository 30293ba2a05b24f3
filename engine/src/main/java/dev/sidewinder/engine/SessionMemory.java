package dev.sidewinder.engine;

import dev.sidewinder.kvcache.SuspendedMemory;

/// State, keys and values of the first tokens of a session, in the host area of an engine. Never changed; dropped once, by
/// [SessionDesk#drop].
public final class SessionMemory {

    private final SuspendedMemory places;
    private final int computed;

    SessionMemory(SuspendedMemory places, int computed) {
        this.places = places;
        this.computed = computed;
    }

    /// Tokens after which the state is.
    public int computed() {
        return computed;
    }

    /// KV blocks.
    public int blocks() {
        return places.blockCount();
    }

    /// Where it is. The engine thread's own.
    SuspendedMemory places() {
        return places;
    }
}
