package dev.sidewinder.engine;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Holds the order in which sequences begin to a bound, whatever their priorities and tenants: nobody waits for more than ten times
/// the work that was there when it came, itself included. Work is counted as prompt and answer in tokens, of long answers only
/// so many as the queue counts.
///
/// It knows what can be seen from outside: arrivals, the steps in which sequences first take part, and ends that a reader has seen. What it
/// takes for there when somebody came may be too much, never too little. Not thread-safe.
final class FairnessOracle {

    private static final int BOUND = 10;
    /// As `FairQueue` weighs an answer.
    private static final int ANSWER_WEIGHT_TOKENS = 1024;

    /// One that waits.
    private record Waiting(long sequence, long weight, long workBefore, long begunBefore) {}

    private final List<Waiting> waiting = new ArrayList<>();
    private final Map<Long, Long> liveWeights = new HashMap<>();
    private long liveWeight;
    private long begunWeight;
    private String violation = "";
    private double longestWait;

    /// It has come, and may begin from now on.
    void arrive(long sequence, int promptTokens, int maxTokens) {
        long weight = announce(sequence, promptTokens, maxTokens);
        waiting.add(new Waiting(sequence, weight, liveWeight, begunWeight));
    }

    /// It has come, and may begin some time later: it counts as work, and how long it waits cannot be seen.
    ///
    /// @return what it weighs
    long announce(long sequence, int promptTokens, int maxTokens) {
        long weight = promptTokens + Math.min(maxTokens, ANSWER_WEIGHT_TOKENS);
        liveWeights.put(sequence, weight);
        liveWeight += weight;
        return weight;
    }

    /// It takes part in a step for the first time.
    void begin(long sequence) {
        begunWeight += liveWeights.getOrDefault(sequence, 0L);
        loseSightOf(sequence);
    }

    /// It has ended, begun or not.
    void end(long sequence) {
        Long weight = liveWeights.remove(sequence);
        liveWeight -= weight == null ? 0 : weight;
        loseSightOf(sequence);
    }

    /// Whether it still waits is not known from now on; it still counts as work.
    void loseSightOf(long sequence) {
        waiting.removeIf(each -> {
            if (each.sequence() == sequence) {
                check(each);
            }
            return each.sequence() == sequence;
        });
    }

    private void check(Waiting each) {
        long begunSince = begunWeight - each.begunBefore();
        longestWait = Math.max(longestWait, (double) begunSince / each.workBefore());
        if (begunSince > BOUND * each.workBefore() && violation.isEmpty()) {
            violation = "sequence " + each.sequence() + " of weight " + each.weight() + " waited while " + begunSince
                    + " tokens of work began, and there were " + each.workBefore() + " when it came";
        }
    }

    /// The first that waited for too much; empty when nobody did.
    String violation() {
        for (Waiting each : waiting) {
            check(each);
        }
        return violation;
    }

    /// The most work that anybody waited for, as a multiple of what was there when it came.
    double longestWait() {
        return longestWait;
    }
}
