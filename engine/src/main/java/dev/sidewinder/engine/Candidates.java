package dev.sidewinder.engine;

import java.util.Arrays;

/// Which tokens of a row may be drawn: the best ones, down to a worst one that is still kept. Tokens are ranked by logit,
/// of equals the lower id first, so every cut is exact. Nothing is sorted but the few tokens around the cut: a histogram
/// over the upper half of the logits' bits tells where it lies.
final class Candidates {

    private static final int BUCKETS = 1 << 16;
    private static final long EVERYTHING = Long.MIN_VALUE;
    /// Below this, it is quicker to empty the buckets of the tokens than all of them.
    private static final int SMALL_VOCABULARY = 4096;

    private final int vocabSize;
    private final int[] counts = new int[BUCKETS];
    private final long[] masses = new long[BUCKETS];
    private long[] ranks = new long[1024];

    private long worstKept;

    Candidates(int vocabSize) {
        this.vocabSize = vocabSize;
    }

    void keepAll() {
        worstKept = EVERYTHING;
    }

    boolean keepsAll() {
        return worstKept == EVERYTHING;
    }

    boolean keeps(float logit, int token) {
        return keepsAll() || rank(logit, token) >= worstKept;
    }

    /// Greater is better.
    private static long rank(float logit, int token) {
        return (long) LogitRow.orderKey(logit) << 32 | ~token & 0xFFFFFFFFL;
    }

    private static int bucket(float logit) {
        return (LogitRow.orderKey(logit) >> 16) + BUCKETS / 2;
    }

    /// Keeps the `k` best.
    ///
    /// @param best the token of the largest logit
    void keepTop(int k, float[] row, int offset, int best) {
        if (k >= vocabSize) {
            return;
        }
        for (int token = 0; token < vocabSize; token++) {
            counts[bucket(row[offset + token])]++;
        }
        int bucket = bucket(row[offset + best]);
        int wanted = k;
        while (counts[bucket] < wanted) {
            wanted -= counts[bucket--];
        }
        emptyBuckets(row, offset);
        int found = collect(bucket, row, offset);
        worstKept = ranks[found - wanted];
    }

    /// Keeps the fewest best whose weights sum up to at least a share of all that are kept now; one at least.
    void keepMass(double share, float[] row, int offset, int best, Weights weights) {
        long total = 0;
        for (int token = 0; token < vocabSize; token++) {
            if (keeps(row[offset + token], token)) {
                long units = weights.of(token);
                masses[bucket(row[offset + token])] += units;
                total += units;
            }
        }
        double wanted = share * total;
        long above = 0;
        int bucket = bucket(row[offset + best]);
        while (above + masses[bucket] < wanted) {
            above += masses[bucket--];
        }
        emptyBuckets(row, offset);
        int found = collect(bucket, row, offset);
        for (int i = found - 1; i >= 0; i--) {
            worstKept = ranks[i];
            above += weights.of((int) ~ranks[i]);
            if (above >= wanted) {
                return;
            }
        }
    }

    private void emptyBuckets(float[] row, int offset) {
        if (vocabSize < SMALL_VOCABULARY) {
            for (int token = 0; token < vocabSize; token++) {
                int bucket = bucket(row[offset + token]);
                counts[bucket] = 0;
                masses[bucket] = 0;
            }
        } else {
            Arrays.fill(counts, 0);
            Arrays.fill(masses, 0);
        }
    }

    /// The ranks of a bucket's tokens that are kept now, worst first.
    private int collect(int bucket, float[] row, int offset) {
        int found = 0;
        for (int token = 0; token < vocabSize; token++) {
            float logit = row[offset + token];
            if (bucket(logit) == bucket && keeps(logit, token)) {
                if (found == ranks.length) {
                    ranks = Arrays.copyOf(ranks, 2 * found);
                }
                ranks[found++] = rank(logit, token);
            }
        }
        Arrays.sort(ranks, 0, found);
        return found;
    }
}
