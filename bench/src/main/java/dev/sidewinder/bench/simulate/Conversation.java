package dev.sidewinder.bench.simulate;

import java.util.List;

/// The requests of one client that build on each other: each is sent some time after the answer before.
///
/// @param name           unique in the traffic
/// @param kind           by which results are told apart
/// @param tenant         whose it is: prefixes are shared within a tenant only
/// @param priority       of its requests; lower goes first
/// @param arrivalSeconds when the first request comes
/// @param system         system message and tools, shared with other conversations where they have the same name; may be empty
/// @param turns          at least one
record Conversation(String name, String kind, String tenant, int priority, double arrivalSeconds, List<Passage> system,
        List<Turn> turns) {

    Conversation {
        system = List.copyOf(system);
        turns = List.copyOf(turns);
        if (!(arrivalSeconds >= 0) || turns.isEmpty()) {
            throw new IllegalArgumentException("conversation " + name + " has " + turns.size() + " turns from " + arrivalSeconds
                    + " s on; it needs one, and no time before 0");
        }
    }

    /// Whether tools are at hand: then any answer may call one.
    boolean usesTools() {
        return turns.stream().anyMatch(turn -> turn.input() == Turn.Input.TOOL);
    }

    /// Whether the answer of a turn calls a tool whose result comes next.
    boolean callsTool(int turn) {
        return turn + 1 < turns.size() && turns.get(turn + 1).input() == Turn.Input.TOOL;
    }
}
