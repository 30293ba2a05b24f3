package dev.sidewinder.bench.simulate;

import java.util.List;

/// How much of what conversations bring along is reused, by how far they have come and by who speaks. What they bring along is all of the
/// prompt before the new message; in the first turn, the whole prompt.
final class ReuseByTurn {

    /// A column.
    ///
    /// @param from turn, from 1
    /// @param to   the last one
    record Turns(String name, int from, int to) {

        boolean has(int turn) {
            return turn >= from && turn <= to;
        }
    }

    static final List<Turns> TURNS = List.of(new Turns("1", 1, 1), new Turns("2", 2, 2), new Turns("3", 3, 3), new Turns("4-5", 4, 5),
            new Turns("6-10", 6, 10), new Turns("11+", 11, Integer.MAX_VALUE));

    /// Tokens brought along, and how many of them were reused.
    static final class Tokens {
        long brought;
        long reused;

        private void add(long brought, long reused) {
            this.brought += brought;
            this.reused += Math.min(brought, reused);
        }

        /// NaN where nothing was brought along.
        double rate() {
            return brought == 0 ? Double.NaN : (double) reused / brought;
        }
    }

    private final List<Tokens> byTurn = TURNS.stream().map(_ -> new Tokens()).toList();
    private final Tokens afterUsers = new Tokens();
    private final Tokens afterTools = new Tokens();

    void add(SimulatedRequest request) {
        long brought = request.turn() == 1 ? request.promptTokens() : request.historyTokens();
        for (int i = 0; i < TURNS.size(); i++) {
            if (TURNS.get(i).has(request.turn())) {
                byTurn.get(i).add(brought, request.reusedTokens());
            }
        }
        if (request.turn() > 1) {
            (request.input() == Turn.Input.TOOL ? afterTools : afterUsers).add(brought, request.reusedTokens());
        }
    }

    /// For each of [#TURNS].
    List<Tokens> byTurn() {
        return byTurn;
    }

    /// From the second turn on, where a user has spoken.
    Tokens afterUsers() {
        return afterUsers;
    }

    /// Where a tool has answered.
    Tokens afterTools() {
        return afterTools;
    }
}
