package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.kernel.NaiveSampler.Wanted;
import dev.sidewinder.cuda.kernel.SampleCheck.Size;
import dev.sidewinder.cuda.kernel.SampleCheck.Step;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;

/// Rows of logits and requests, at random, of the kinds that a sampler may trip over.
final class SampleCases {

    private static final double[] TEMPERATURES = {1, 1, 1, 0.7, 2, 0.01, 1e-3, 1e-30, 1e-300, 30, 1e10, 1e300};
    private static final double[] TOP_PS = {1, 1, 0.95, 0.5, 0.999999, 1e-9, 0, Math.nextDown(1.0)};
    private static final double[] MIN_PS = {0, 0, 0, 0.05, 0.5, 1, 1e-12};

    private SampleCases() {}

    static Step random(Random random, Size size) {
        float[][] logits = new float[size.rows()][];
        Wanted[] rows = new Wanted[size.rows()];
        for (int row = 0; row < size.rows(); row++) {
            logits[row] = logits(random, size.vocabSize());
            rows[row] = random.nextInt(12) == 0 ? null : wanted(random, size.vocabSize());
        }
        return new Step(logits, rows);
    }

    static float[] logits(Random random, int vocabSize) {
        float[] row = new float[vocabSize];
        int kind = random.nextInt(11);
        float spread = (float) Math.exp(random.nextGaussian());
        for (int i = 0; i < vocabSize; i++) {
            double normal = random.nextGaussian();
            row[i] = switch (kind) {
                case 0 -> 1.5f;
                case 1 -> (float) Math.rint(normal * 2) / 2;
                case 2 -> random.nextBoolean() ? 0f : -0f;
                case 3 -> 20 + (float) (normal * 1e-6);
                case 4 -> (float) (normal * 1e37);
                case 5 -> (float) (normal * 1e-40);
                // falling, rising: the best tokens stand together
                case 6 -> -i * spread / 8;
                case 7 -> i * spread / 8;
                case 8 -> random.nextInt(vocabSize) < 4 ? 30 : (float) normal;
                default -> (float) (normal * 3 * spread);
            };
        }
        if (random.nextInt(25) == 0) {
            row[random.nextInt(vocabSize)] = new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}[random.nextInt(3)];
        }
        return row;
    }

    private static Wanted wanted(Random random, int vocabSize) {
        boolean isPlain = random.nextInt(3) == 0;
        int topK = random.nextInt(3) == 0 ? 1 + random.nextInt(vocabSize + 3) : random.nextInt(2) * (1 + random.nextInt(Math.min(vocabSize, 100)));
        int[] none = {};
        int[] penalised = isPlain ? none : some(random, vocabSize);
        int[] biased = isPlain || random.nextBoolean() ? none : some(random, vocabSize);
        float[] biases = new float[biased.length];
        for (int i = 0; i < biases.length; i++) {
            biases[i] = random.nextInt(4) == 0 ? -100 - random.nextInt(2) : random.nextFloat() * 200 - 99.99f;
        }
        int[] banned = isPlain || random.nextBoolean() ? none : some(random, vocabSize);
        int[] allowed = isPlain || random.nextInt(3) > 0 ? none : random.ints(1 + random.nextInt(vocabSize), 0, vocabSize).toArray();
        return new Wanted(random.nextInt(4) == 0 ? 0 : TEMPERATURES[random.nextInt(TEMPERATURES.length)],
                random.nextInt(8) == 0 ? Integer.MAX_VALUE : topK,
                random.nextInt(4) == 0 ? random.nextDouble() : TOP_PS[random.nextInt(TOP_PS.length)],
                random.nextInt(5) == 0 ? random.nextDouble() * 0.1 : MIN_PS[random.nextInt(MIN_PS.length)],
                random.nextLong(), random.nextInt(16), random.nextInt(), random.nextInt(isPlain ? 6 : 2) == 0 ? mask(random, vocabSize) : null,
                isPlain || random.nextInt(3) == 0 ? 1 : 0.1 + random.nextDouble() * (random.nextBoolean() ? 1.5 : 9.9),
                isPlain ? 0 : random.nextDouble() * 4 - 2, isPlain || random.nextBoolean() ? 0 : random.nextDouble() * 4 - 2,
                Arrays.stream(penalised).mapToObj(token -> new int[] {token, random.nextInt(3)}).toArray(int[][]::new), biased, biases, banned, allowed,
                random.nextBoolean() ? -1 : random.nextInt(Sample.MAX_ALTERNATIVES + 1), random.nextInt(10) == 0 ? random.nextInt(vocabSize) : -1);
    }

    /// Distinct tokens: none, a few, many or all.
    private static int[] some(Random random, int vocabSize) {
        int most = switch (random.nextInt(4)) {
            case 0 -> 0;
            case 1 -> vocabSize;
            default -> Math.min(vocabSize, 5);
        };
        int[] tokens = IntStream.range(0, vocabSize).toArray();
        for (int i = 0; i < most; i++) {
            int other = i + random.nextInt(vocabSize - i);
            int token = tokens[other];
            tokens[other] = tokens[i];
            tokens[i] = token;
        }
        return Arrays.copyOf(tokens, most);
    }

    /// A mask that allows nothing, one token, some, or all; its last word has bits of tokens that do not exist.
    static long[] mask(Random random, int vocabSize) {
        long[] words = new long[(vocabSize + 63) / 64];
        int kind = random.nextInt(5);
        for (int i = 0; i < words.length; i++) {
            words[i] = switch (kind) {
                case 0 -> 0;
                case 1 -> -1;
                case 2 -> random.nextLong() & random.nextLong() & random.nextLong() & random.nextLong();
                default -> random.nextLong();
            };
        }
        if (kind == 0 && random.nextInt(3) > 0) {
            int token = random.nextInt(vocabSize);
            words[token / 64] |= 1L << token;
        }
        if (vocabSize % 64 != 0 && random.nextBoolean()) {
            words[words.length - 1] |= -1L << vocabSize;
        }
        return words;
    }
}
