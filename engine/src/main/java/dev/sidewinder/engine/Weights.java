package dev.sidewinder.engine;

/// What the tokens of a row weigh, `exp((logit - max) x scale)`, in whole units of 2^-40 of the heaviest. Sums of whole
/// numbers do not depend on their order, so a row has one outcome however its sums are arranged. What the units lose is
/// below the precision of a float even over a vocabulary of 2^18; and a sum over 2^22 tokens fits into a long.
///
/// The loops are plain, in blocks that stay in the nearest cache, each with one type of number, so that the compiler
/// turns them into vector code (measured at 131,072 tokens: four to five times as fast as one loop over everything).
final class Weights {

    /// Units of the heaviest token.
    static final long HEAVIEST = 1L << 40;

    /// exp of anything below is less than a unit.
    private static final double LEAST_EXPONENT = -87;

    private static final int BLOCK = 1024;

    private final int vocabSize;
    private final long[] units;
    private final double[] block = new double[BLOCK];

    Weights(int vocabSize) {
        this.vocabSize = vocabSize;
        this.units = new long[vocabSize];
    }

    /// Weighs a row.
    ///
    /// @param max   its largest logit, which weighs exactly [#HEAVIEST]
    /// @param scale 1 / temperature
    void weigh(float[] values, int offset, float max, double scale) {
        for (int from = 0; from < vocabSize; from += BLOCK) {
            int count = Math.min(BLOCK, vocabSize - from);
            for (int i = 0; i < count; i++) {
                block[i] = values[offset + from + i];
            }
            exponentials(count, max, scale);
            for (int i = 0; i < count; i++) {
                units[from + i] = (long) (block[i] * HEAVIEST);
            }
        }
    }

    /// `exp(x) = exp(x / 512)^512`: a Taylor polynomial of degree 7 is exact to 2e-11 for arguments as small as that, and
    /// nine squarings make it 1e-8, relative to each weight.
    private void exponentials(int count, double max, double scale) {
        for (int i = 0; i < count; i++) {
            double r = Math.max((block[i] - max) * scale, LEAST_EXPONENT) * (1.0 / 512);
            double y = 1.0 / 5040;
            y = y * r + 1.0 / 720;
            y = y * r + 1.0 / 120;
            y = y * r + 1.0 / 24;
            y = y * r + 1.0 / 6;
            y = y * r + 0.5;
            y = y * r + 1;
            y = y * r + 1;
            y *= y;
            y *= y;
            y *= y;
            y *= y;
            y *= y;
            y *= y;
            y *= y;
            y *= y;
            y *= y;
            block[i] = y;
        }
    }

    /// Takes the weight of all that weigh less than this share of the heaviest.
    void dropBelow(double share) {
        long least = (long) Math.ceil(share * HEAVIEST);
        for (int token = 0; token < vocabSize; token++) {
            units[token] = units[token] < least ? 0 : units[token];
        }
    }

    long of(int token) {
        return units[token];
    }

    long total() {
        return sum(0, vocabSize);
    }

    private long sum(int from, int to) {
        long sum = 0;
        for (int token = from; token < to; token++) {
            sum += units[token];
        }
        return sum;
    }

    /// The token in whose interval a point lies, where the tokens' weights stand one after the other by id.
    ///
    /// @param point in `[0, total)`
    int tokenAt(long point) {
        int token = 0;
        // Whole blocks first: a sum is much quicker than a search.
        for (long sum = sum(0, Math.min(BLOCK, vocabSize)); point >= sum && token + BLOCK < vocabSize;
                sum = sum(token, Math.min(token + BLOCK, vocabSize))) {
            point -= sum;
            token += BLOCK;
        }
        while (point >= units[token]) {
            point -= units[token++];
        }
        return token;
    }

    /// The natural logarithm of a weight, the heaviest being 1.
    static double log(long units) {
        return Math.log(units / (double) HEAVIEST);
    }
}
