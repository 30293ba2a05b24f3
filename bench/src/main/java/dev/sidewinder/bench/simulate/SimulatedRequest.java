package dev.sidewinder.bench.simulate;

/// One request on its way through the engine.
final class SimulatedRequest {

    private final ConversationRun run;
    private final long arrivalNanos;
    private final int promptTokens;
    private final int historyTokens;
    private final int wantedTokens;
    private final int turn;
    private final Turn.Input input;
    private int reusedTokens = -1;
    private int generatedTokens;
    private long firstTokenNanos;
    private long lastTokenNanos;
    private long longestGapNanos;

    /// @param historyTokens of the prompt, that the turn before had too
    /// @param wantedTokens  after which the model ends its answer
    SimulatedRequest(ConversationRun run, long arrivalNanos, int promptTokens, int historyTokens, int wantedTokens) {
        this.run = run;
        this.arrivalNanos = arrivalNanos;
        this.promptTokens = promptTokens;
        this.historyTokens = historyTokens;
        this.wantedTokens = wantedTokens;
        this.turn = run.transcript().turn() + 1;
        this.input = run.transcript().now().input();
    }

    ConversationRun run() {
        return run;
    }

    /// Of the conversation, from 1.
    int turn() {
        return turn;
    }

    /// Who spoke last.
    Turn.Input input() {
        return input;
    }

    /// Whether no step was launched for it yet.
    boolean begins() {
        return reusedTokens < 0;
    }

    /// Its first step is launched.
    ///
    /// @param tokens of its prompt that it need not compute
    void begin(int tokens) {
        reusedTokens = tokens;
    }

    /// A token reaches the client.
    ///
    /// @return time since the one before, -1 for the first
    long token(long nowNanos) {
        long gap = -1;
        if (generatedTokens == 0) {
            firstTokenNanos = nowNanos;
        } else {
            gap = nowNanos - lastTokenNanos;
            longestGapNanos = Math.max(longestGapNanos, gap);
        }
        lastTokenNanos = nowNanos;
        generatedTokens++;
        return gap;
    }

    /// Whether it has all its tokens.
    boolean isDone() {
        return generatedTokens == wantedTokens;
    }

    long arrivalNanos() {
        return arrivalNanos;
    }

    int promptTokens() {
        return promptTokens;
    }

    int historyTokens() {
        return historyTokens;
    }

    int reusedTokens() {
        return reusedTokens;
    }

    int generatedTokens() {
        return generatedTokens;
    }

    long firstTokenNanos() {
        return firstTokenNanos;
    }

    long longestGapNanos() {
        return longestGapNanos;
    }
}
