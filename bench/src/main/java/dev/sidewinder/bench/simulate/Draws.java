package dev.sidewinder.bench.simulate;

import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/// Random numbers of the distributions that traffic is made of. The same seed gives the same numbers.
final class Draws {

    private static final RandomGeneratorFactory<RandomGenerator> FACTORY = RandomGeneratorFactory.of("L64X128MixRandom");

    private final RandomGenerator random;

    /// @param subject what the numbers are for: each subject has its own
    Draws(long seed, String subject) {
        random = FACTORY.create(seed * 0x9e3779b97f4a7c15L ^ Passage.seed(subject));
    }

    /// A logarithmically normal number of tokens, cut to a range.
    ///
    /// @param spread standard deviation of its natural logarithm
    int tokens(double median, double spread, int least, int most) {
        return (int) Math.clamp(Math.round(logNormal(median, spread)), least, most);
    }

    /// A logarithmically normal time, cut to a range.
    double seconds(double median, double spread, double least, double most) {
        return Math.clamp(logNormal(median, spread), least, most);
    }

    private double logNormal(double median, double spread) {
        return median * Math.exp(spread * random.nextGaussian());
    }

    /// Time to the next of events that come independently of each other (a Poisson process).
    double gap(double eventsPerSecond) {
        return -Math.log1p(-random.nextDouble()) / eventsPerSecond;
    }

    /// A number from 1 on whose mean is `mean`, each further one as likely as the last (geometric), cut.
    int count(double mean, int most) {
        int count = 1;
        while (count < most && random.nextDouble() >= 1 / mean) {
            count++;
        }
        return count;
    }

    boolean happens(double chance) {
        return random.nextDouble() < chance;
    }

    /// One of `choices`, the n-th of them 1/n as likely as the first (Zipf).
    int popular(int choices) {
        double all = 0;
        for (int i = 1; i <= choices; i++) {
            all += 1.0 / i;
        }
        double left = random.nextDouble() * all;
        for (int i = 1; i < choices; i++) {
            left -= 1.0 / i;
            if (left < 0) {
                return i - 1;
            }
        }
        return choices - 1;
    }
}
