package dev.sidewinder.bench.simulate;

import java.util.ArrayList;
import java.util.List;

/// What happened when: the run cut into pieces of equal length.
final class Timeline {

    /// One piece of time. Counts are means over the piece, weighted by time.
    ///
    /// @param fromSeconds     when it begins
    /// @param running         sequences that have memory
    /// @param waiting         sequences that wait
    /// @param suspended       sequences in the host area
    /// @param memory          use of the pool at the end of the piece
    /// @param generated       tokens a second
    /// @param computedPrompt  prompt tokens a second that were computed
    /// @param reusedPrompt    prompt tokens a second that were not
    /// @param gap50           median of the gaps between tokens, in seconds; NaN without any
    /// @param gap99           their 99th percentile
    /// @param firstToken50    median time to the first token, of the requests that got it
    /// @param firstToken99    its 99th percentile
    record Point(double fromSeconds, double running, double waiting, double suspended, MemoryUse memory, double generated,
            double computedPrompt, double reusedPrompt, double gap50, double gap99, double firstToken50, double firstToken99) {}

    private final long pieceNanos;
    private final List<Point> points = new ArrayList<>();
    private long startNanos;

    private long lastNanos;
    private double running;
    private double waiting;
    private double suspended;
    private long generated;
    private long computedPrompt;
    private long reusedPrompt;
    private final Samples gaps = new Samples();
    private final Samples firstTokens = new Samples();
    private MemoryUse memory = new MemoryUse(0, 0, 0, 0, 0, 1);

    Timeline(long pieceNanos) {
        this.pieceNanos = pieceNanos;
    }

    /// Whether a piece has come to its end, so that [#memory] is due before [#advance].
    boolean isDue(long nowNanos) {
        return nowNanos >= startNanos + pieceNanos;
    }

    void memory(MemoryUse now) {
        memory = now;
    }

    /// Time goes on to `nowNanos` with these counts.
    void advance(long nowNanos, int runningNow, int waitingNow, int suspendedNow) {
        while (nowNanos >= startNanos + pieceNanos) {
            spend(startNanos + pieceNanos, runningNow, waitingNow, suspendedNow);
            close();
        }
        spend(nowNanos, runningNow, waitingNow, suspendedNow);
    }

    /// Nothing comes any more: the piece that has begun goes to its end with nothing running.
    void end() {
        advance(startNanos + pieceNanos, 0, 0, 0);
    }

    private void spend(long untilNanos, int runningNow, int waitingNow, int suspendedNow) {
        double part = (untilNanos - lastNanos) / (double) pieceNanos;
        running += part * runningNow;
        waiting += part * waitingNow;
        suspended += part * suspendedNow;
        lastNanos = untilNanos;
    }

    private void close() {
        double seconds = pieceNanos / 1e9;
        points.add(new Point(startNanos / 1e9, running, waiting, suspended, memory, generated / seconds, computedPrompt / seconds,
                reusedPrompt / seconds, gaps.percentile(50), gaps.percentile(99), firstTokens.percentile(50), firstTokens.percentile(99)));
        startNanos += pieceNanos;
        running = 0;
        waiting = 0;
        suspended = 0;
        generated = 0;
        computedPrompt = 0;
        reusedPrompt = 0;
        gaps.clear();
        firstTokens.clear();
    }

    void firstToken(double seconds) {
        generated++;
        firstTokens.add(seconds);
    }

    void token(double gapSeconds) {
        generated++;
        gaps.add(gapSeconds);
    }

    void prompt(int computedTokens) {
        computedPrompt += computedTokens;
    }

    void reused(int tokens) {
        reusedPrompt += tokens;
    }

    List<Point> points() {
        return List.copyOf(points);
    }
}
