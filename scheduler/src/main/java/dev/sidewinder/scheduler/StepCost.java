package dev.sidewinder.scheduler;

/// Learns from measured steps how long one takes: a fixed time, if asked another one where there is anything of a prompt (it reads weights that a
/// few generated tokens do not; told from the price of tokens only where pieces of several sizes come), and so much for each generated token, each token in the cache that these read, each prompt token, each
/// token that a prompt token attends to, each token before a piece of a prompt, and on top for each prompt token behind the first [#HIDDEN_TOKENS] of a
/// step: as long as a GPU reads the weights it multiplies the first ones for nothing, and what these cost says little about more of them.
///
/// Least squares over the steps of late: one that lies back by [#MEMORY_STEPS] counts a third. A step counts by the inverse of its
/// time, between what would make all errors equal in nanoseconds and in percent. No price is negative. A measurement counts as
/// no more than twice and no less than half of what was expected, so that a pause of the machine says little; several such
/// on one side within some steps are a machine that has changed, and what was measured before hardly counts any more. What has not been
/// seen for long keeps its price. The same measurements always give the same prices.
final class StepCost {

    private static final int MEMORY_STEPS = 32;
    private static final double FORGETTING = 1 - 1.0 / MEMORY_STEPS;
    /// Steps before a measurement is held against what was expected.
    private static final int FIRST_STEPS = 4;
    private static final double MOST_SURPRISE = 2;
    /// What a surprise counts, all slower or all faster; a step without one takes off one, and at so many the machine has changed.
    private static final int SURPRISE = 4;
    private static final int CHANGED = 6 * SURPRISE;
    /// What remains of the steps before then.
    private static final double REMAINS = 0.005;
    /// No step is expected to take less than this share of one of late.
    private static final double LEAST_OF_USUAL = 0.05;
    /// Rounds of coordinate descent for each measurement, each from where the last one left off: a dozen steps come as close
    /// as a solution would.
    private static final int SWEEPS = 8;
    /// Below this share of the steps remembered, what a price stands for has not been there.
    private static final double LEAST_SHARE = 1e-3;
    /// A feature of whose square no more than this is remembered is forgotten: it is far below the last digit of any sum, and far above
    /// the numbers, below 2e-308, for which processors take a hundred times as long.
    private static final double LEAST_SQUARE = 1e-100;

    private static final int FEATURES = 8;
    /// About as many are multiplied while weights are read: by arithmetic 1,500 on an H100, in bf16 as in fp8. Simulated, 512 and 1,024 let
    /// more gaps grow, 2,048 as few.
    private static final int HIDDEN_TOKENS = 1536;
    /// Units in which the features are of about the same size.
    private static final double CACHED_UNIT = 1 << 16;
    private static final double PROMPT_UNIT = 1 << 8;
    private static final double PAIR_UNIT = 1 << 20;

    /// Normal equations of the weighted steps.
    private final double[][] products = new double[FEATURES][FEATURES];
    private final double[] targets = new double[FEATURES];
    /// Nanoseconds for a unit of each feature.
    private final double[] prices = new double[FEATURES];
    private final double[] features = new double[FEATURES];
    /// The features of which something is remembered, in order: most of the time there is nothing of prompts in a step.
    private final int[] known = new int[FEATURES];
    private int knownCount;
    /// Nanoseconds and number of the steps remembered.
    private double weight;
    private double count;
    private long steps;
    /// Of late: above zero slower than expected, below zero faster.
    private int surprises;

    private final boolean passes;

    /// @param passes whether a step with anything of a prompt costs something by itself
    StepCost(boolean passes) {
        this.passes = passes;
    }

    /// Measured steps so far.
    long steps() {
        return steps;
    }

    /// Nanoseconds that a step is expected to take.
    double nanos(StepLoad load) {
        double pass = load.promptTokens() > 0 ? prices[6] : 0;
        return prices[0] + pass + decodeNanos(load) + promptNanos(load.promptTokens(), load.promptPairs(), load.pieceTokens())
                + prices[7] * longUnits(load.promptTokens());
    }

    /// Prompt tokens of a step that no reading of weights hides.
    private static double longUnits(int promptTokens) {
        return Math.max(0, promptTokens - HIDDEN_TOKENS) / PROMPT_UNIT;
    }

    private double decodeNanos(StepLoad load) {
        return prices[1] * load.decodes() + prices[2] * (load.cachedTokens() / CACHED_UNIT);
    }

    /// Nanoseconds by which a piece of a prompt is expected to make a step longer.
    double pieceNanos(StepLoad load, int from, int count) {
        double pass = load.promptTokens() > 0 ? 0 : prices[6];
        double longUnits = longUnits(load.promptTokens() + count) - longUnits(load.promptTokens());
        return pass + promptNanos(count, StepLoad.pairs(from, count), from) + prices[7] * longUnits;
    }

    private double promptNanos(int tokens, long pairs, long before) {
        return prices[3] * (tokens / PROMPT_UNIT) + prices[4] * (pairs / PAIR_UNIT) + prices[5] * (before / CACHED_UNIT);
    }

    /// Takes in how long a step took. One that took no time, by a clock that stands still, says nothing.
    void learn(StepLoad load, long nanos) {
        if (nanos <= 0) {
            return;
        }
        double believed = steps < FIRST_STEPS ? nanos : believable(nanos, Math.max(nanos(load), LEAST_OF_USUAL * weight / count));
        steps++;
        features[0] = 1;
        features[1] = load.decodes();
        features[2] = load.cachedTokens() / CACHED_UNIT;
        features[3] = load.promptTokens() / PROMPT_UNIT;
        features[4] = load.promptPairs() / PAIR_UNIT;
        features[5] = load.pieceTokens() / CACHED_UNIT;
        features[6] = passes && load.promptTokens() > 0 ? 1 : 0;
        features[7] = longUnits(load.promptTokens());
        double scale = 1 / Math.sqrt(believed);
        forget(FORGETTING);
        weight += believed;
        count++;
        knownCount = 0;
        for (int i = 0; i < FEATURES; i++) {
            features[i] *= scale;
            targets[i] += features[i] * believed * scale;
            if (features[i] == 0 && products[i][i] == 0) {
                continue;
            }
            known[knownCount++] = i;
            for (int k = 0; k < knownCount; k++) {
                int j = known[k];
                products[i][j] += features[i] * features[j];
                products[j][i] = products[i][j];
            }
        }
        boolean moved = true;
        for (int sweep = 0; sweep < SWEEPS && moved; sweep++) {
            moved = descend();
        }
    }

    private double believable(long nanos, double expected) {
        double believed = Math.clamp(nanos, expected / MOST_SURPRISE, expected * MOST_SURPRISE);
        if (believed == nanos) {
            surprises -= Integer.signum(surprises);
            return nanos;
        }
        int direction = nanos > expected ? SURPRISE : -SURPRISE;
        surprises = surprises * direction > 0 ? surprises + direction : direction;
        if (Math.abs(surprises) < CHANGED) {
            return believed;
        }
        forget(REMAINS);
        surprises = 0;
        return nanos;
    }

    /// What was measured so far counts less.
    private void forget(double remaining) {
        weight *= remaining;
        count *= remaining;
        for (int k = 0; k < knownCount; k++) {
            int i = known[k];
            targets[i] *= remaining;
            for (int m = 0; m <= k; m++) {
                int j = known[m];
                products[i][j] *= remaining;
                products[j][i] = products[i][j];
            }
        }
        for (int k = 0; k < knownCount; k++) {
            if (products[known[k]][known[k]] < LEAST_SQUARE) {
                forgetAllOf(known[k]);
            }
        }
    }

    private void forgetAllOf(int feature) {
        targets[feature] = 0;
        for (int i = 0; i < FEATURES; i++) {
            products[feature][i] = 0;
            products[i][feature] = 0;
        }
    }

    /// Sets each price to what is best while the others stay.
    ///
    /// @return whether one has changed
    private boolean descend() {
        boolean moved = false;
        for (int k = 0; k < knownCount; k++) {
            int i = known[k];
            double[] row = products[i];
            double rest = targets[i];
            for (int m = 0; m < knownCount; m++) {
                int j = known[m];
                rest -= j == i ? 0 : row[j] * prices[j];
            }
            double price = Math.max(0, rest / row[i]);
            double most = Math.max(price, prices[i]);
            if (row[i] * most * most >= LEAST_SHARE * LEAST_SHARE * weight) {
                moved |= price != prices[i];
                prices[i] = price;
            }
        }
        return moved;
    }

    /// @throws IllegalStateException when the books do not balance
    void checkInvariants() {
        for (int i = 0; i < FEATURES; i++) {
            if (products[i][i] != 0 && products[i][i] < LEAST_SQUARE || prices[i] < 0) {
                throw new IllegalStateException("of feature " + i + " " + products[i][i] + " is remembered, and its price is " + prices[i]);
            }
            for (int j = 0; j < FEATURES; j++) {
                double product = products[i][j];
                boolean remembered = products[i][i] != 0 && products[j][j] != 0;
                if (product != products[j][i] || product != 0 && (!remembered || product < Double.MIN_NORMAL)) {
                    throw new IllegalStateException("of features " + i + " and " + j + " " + product + " and " + products[j][i]
                            + " are remembered, of their squares " + products[i][i] + " and " + products[j][j]);
                }
            }
        }
    }
}
