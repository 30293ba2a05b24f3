package dev.sidewinder.bench.simulate;

/// What became of the requests of a group: a kind of traffic, a tenant, or all.
final class GroupStats {

    private final String name;

    long finished;
    long refused;
    long promptTokens;
    long reusedTokens;
    /// Prompt tokens before the last message of the first user or tool that speaks, from the second turn on, and how many of
    /// them were reused: what a conversation brings along.
    long historyTokens;
    long reusedHistoryTokens;
    final ReuseByTurn reuse = new ReuseByTurn();
    long generatedTokens;
    final Samples firstTokenSeconds = new Samples();
    /// The same of users that speak again.
    final Samples firstTokenAfterUsersSeconds = new Samples();
    final Samples gapSeconds = new Samples();
    /// The longest gap of each request.
    final Samples longestGapSeconds = new Samples();
    final Samples requestSeconds = new Samples();

    GroupStats(String name) {
        this.name = name;
    }

    String name() {
        return name;
    }

    /// A request got all its tokens.
    void finished(SimulatedRequest request, long nowNanos) {
        finished++;
        promptTokens += request.promptTokens();
        reusedTokens += request.reusedTokens();
        historyTokens += request.historyTokens();
        reusedHistoryTokens += Math.min(request.historyTokens(), request.reusedTokens());
        reuse.add(request);
        generatedTokens += request.generatedTokens();
        double firstToken = (request.firstTokenNanos() - request.arrivalNanos()) / 1e9;
        firstTokenSeconds.add(firstToken);
        if (request.turn() > 1 && request.input() == Turn.Input.USER) {
            firstTokenAfterUsersSeconds.add(firstToken);
        }
        requestSeconds.add((nowNanos - request.arrivalNanos()) / 1e9);
        if (request.generatedTokens() > 1) {
            longestGapSeconds.add(request.longestGapNanos() / 1e9);
        }
    }

    /// Part of all prompt tokens that were not computed again.
    double hitRate() {
        return promptTokens == 0 ? 0 : (double) reusedTokens / promptTokens;
    }

    /// The same of what was there in the turn before.
    double historyHitRate() {
        return historyTokens == 0 ? 0 : (double) reusedHistoryTokens / historyTokens;
    }
}
