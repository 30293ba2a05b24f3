package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.kernel.MoeExperts.Way;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;

/// Compares `moe_experts` with the experts in double precision: what lies between up and down within one rounding of its
/// format, and the sums from there.
final class MoeExpertsCheck {

    /// fp32 sums over at most some thousand products, against the root mean square of the tensor.
    private static final double SUM_TOLERANCE = 1e-5;
    /// On a GPU, for e4m3 by warpgroups: as [LinearCheck#TENSOR_E4M3_TOLERANCE], against the root of the sum of squares.
    static final double TENSOR_E4M3_TOLERANCE = 0x1p-9;
    /// No single value may be further off than this many times that.
    private static final double PEAK = 20;
    private static final double BF16_ROUNDING = 1.0 / 256;
    private static final double E4M3_ROUNDING = 1.0 / 16;
    private static final double E4M3_SMALLEST = 1.0 / 1024;
    private static final float SCALE = 2.5f;

    private final Device device;
    private final MoeRoute route;
    private final MoeExperts experts;
    private final double tensorTolerance;
    private final long apart;

    /// Where tokens go.
    enum Routing {
        UNIFORM,
        /// Low experts far more often than high ones.
        SKEWED,
        /// Everybody takes the same experts; the others get nothing.
        SAME
    }

    /// @param padding whether every fourth row is padding, with NaN inside
    record Case(ExpertShape shape, ExpertFormat format, Routing routing, boolean padding, int tokens, long seed) {

        boolean isPadding(int token) {
            return padding && token % 4 == 2;
        }
    }

    /// One layer with its tokens: weights on the host and on the device.
    private final class Layer implements AutoCloseable {
        final Case c;
        final MoeMemory memory = new MoeMemory(device);
        final float[] x;
        final float[] residual;
        final int[] choice;
        final float[] choiceWeight;
        final ExpertWeights up;
        final ExpertWeights down;
        final MoeExperts.Weights weights;

        Layer(Case c) {
            this.c = c;
            Random random = new Random(c.seed());
            int hidden = c.shape().hidden();
            x = new float[c.tokens() * hidden];
            residual = new float[x.length];
            for (int i = 0; i < x.length; i++) {
                boolean padded = c.isPadding(i / hidden);
                x[i] = padded ? Float.NaN : MoeMemory.bf16((float) random.nextGaussian());
                residual[i] = (float) random.nextGaussian();
            }
            choice = choices(c, random);
            choiceWeight = new float[choice.length];
            boolean[] used = new boolean[c.shape().experts()];
            for (int i = 0; i < choice.length; i++) {
                choiceWeight[i] = choice[i] < 0 ? 0 : 0.05f + random.nextFloat();
                if (choice[i] >= 0) {
                    used[choice[i]] = true;
                }
            }
            // Activations reach 4 and what lies between up and down 10: a tenth of the largest code, and now and then more.
            up = new ExpertWeights(c.format(), c.shape(), true, used, 0.01f, random);
            down = new ExpertWeights(c.format(), c.shape(), false, used, 0.01f, random);
            weights = new MoeExperts.Weights(c.format(), up.upload(memory, apart), down.upload(memory, apart));
        }

        @Override
        public void close() {
            memory.close();
        }
    }

    /// What a run leaves.
    private record Result(float[] sum, float[] sumBf16, float[] residual, float[] middle, int[] choiceSlot, int[] unitFirst) {}

    /// For every way as exact as sums in fp32 are.
    MoeExpertsCheck(Device device, Kernels kernels) {
        this(device, kernels, SUM_TOLERANCE);
    }

    /// @param tensorTolerance for e4m3 by warpgroups, [#TENSOR_E4M3_TOLERANCE] on a GPU
    MoeExpertsCheck(Device device, Kernels kernels, double tensorTolerance) {
        this(device, kernels, tensorTolerance, 0);
    }

    private MoeExpertsCheck(Device device, Kernels kernels, double tensorTolerance, long apart) {
        this.tensorTolerance = tensorTolerance;
        this.apart = apart;
        this.device = device;
        route = new MoeRoute(kernels);
        experts = new MoeExperts(kernels);
    }

    /// With experts so many bytes apart, as those of a layer of many gigabytes are.
    static MoeExpertsCheck apart(Device device, Kernels kernels, long bytes) {
        return new MoeExpertsCheck(device, kernels, SUM_TOLERANCE, bytes);
    }

    MoeExperts launcher() {
        return experts;
    }

    private static int[] choices(Case c, Random random) {
        int active = c.shape().active();
        int[] choice = new int[c.tokens() * active];
        for (int token = 0; token < c.tokens(); token++) {
            boolean[] taken = new boolean[c.shape().experts()];
            for (int i = 0; i < active; i++) {
                int expert;
                do {
                    expert = switch (c.routing()) {
                        case UNIFORM -> random.nextInt(taken.length);
                        case SKEWED -> (int) (taken.length * Math.pow(random.nextDouble(), 4));
                        case SAME -> (taken.length - 1 - i * 2 + 2 * taken.length) % taken.length;
                    };
                    if (c.routing() == Routing.SAME && taken[expert]) {
                        expert = (expert + 1) % taken.length;
                    }
                } while (taken[expert]);
                taken[expert] = true;
                choice[token * active + i] = c.isPadding(token) ? -1 : expert;
            }
        }
        return choice;
    }

    /// Runs one way and compares everything that was written, and that nothing else was.
    void check(Case c, Way way) {
        try (Layer layer = new Layer(c)) {
            int[] all = new int[c.tokens()];
            Arrays.setAll(all, i -> i);
            Result result = run(layer, way, all);
            checkMiddle(layer, way, result);
            checkSums(layer, way, result);
        }
    }

    /// A batch of padding alone: nothing is written.
    void checkAllPadding(Case c, Way way) {
        try (Layer layer = new Layer(c)) {
            Arrays.fill(layer.choice, -1);
            int[] all = new int[c.tokens()];
            Arrays.setAll(all, i -> i);
            Result result = run(layer, way, all);
            sameBits(c + " of padding, " + way, result.residual(), layer.residual);
            for (int i = 0; i < result.sum().length; i++) {
                if (!Float.isNaN(result.sum()[i]) || !Float.isNaN(result.sumBf16()[i])) {
                    throw new AssertionError(c + " of padding, " + way + ": a sum was written at " + i);
                }
            }
        }
    }

    /// All tokens by each way, and each token alone: the same bits.
    void checkInvariance(Case c, Way... ways) {
        try (Layer layer = new Layer(c)) {
            int hidden = c.shape().hidden();
            int[] all = new int[c.tokens()];
            Arrays.setAll(all, i -> i);
            float[] first = run(layer, ways[0], all).sum();
            for (Way way : ways) {
                sameBits(c + ", all together, " + way + " against " + ways[0], run(layer, way, all).sum(), first);
            }
            for (int token = 0; token < c.tokens(); token++) {
                boolean streamable = ways[0] != Way.PLAIN && ways[0] != Way.WARPGROUP;
                Way way = token % 2 == 0 && streamable ? Way.STREAM : ways[token % ways.length];
                float[] alone = run(layer, way, new int[] {token}).sum();
                sameBits(c + ", token " + token + " alone, " + way, alone,
                        Arrays.copyOfRange(first, token * hidden, (token + 1) * hidden));
            }
            int[] reversed = new int[c.tokens()];
            Arrays.setAll(reversed, i -> c.tokens() - 1 - i);
            float[] backwards = run(layer, ways[ways.length - 1], reversed).sum();
            for (int token = 0; token < c.tokens(); token++) {
                int at = c.tokens() - 1 - token;
                sameBits(c + ", token " + token + " in another row", Arrays.copyOfRange(backwards, at * hidden, (at + 1) * hidden),
                        Arrays.copyOfRange(first, token * hidden, (token + 1) * hidden));
            }
        }
    }

    private static void sameBits(String what, float[] found, float[] expected) {
        for (int i = 0; i < found.length; i++) {
            if (Float.floatToRawIntBits(found[i]) != Float.floatToRawIntBits(expected[i])) {
                throw new AssertionError("%s: bits differ at %d of %d: %s instead of %s".formatted(
                        what, i, found.length, found[i], expected[i]));
            }
        }
    }

    private Result run(Layer layer, Way way, int[] tokens) {
        ExpertShape shape = layer.c.shape();
        int active = shape.active();
        int hidden = shape.hidden();
        int count = tokens.length;
        float[] x = new float[count * hidden];
        float[] residual = new float[x.length];
        int[] choice = new int[count * active];
        float[] choiceWeight = new float[choice.length];
        for (int i = 0; i < count; i++) {
            System.arraycopy(layer.x, tokens[i] * hidden, x, i * hidden, hidden);
            System.arraycopy(layer.residual, tokens[i] * hidden, residual, i * hidden, hidden);
            System.arraycopy(layer.choice, tokens[i] * active, choice, i * active, active);
            System.arraycopy(layer.choiceWeight, tokens[i] * active, choiceWeight, i * active, active);
        }
        try (MoeMemory memory = new MoeMemory(device)) {
            ExpertMaps maps = new ExpertMaps(shape, count, memory.unwritten(ExpertMaps.bytes(shape, count)));
            route.prepare(device.stream(), maps);
            // Tiles of an earlier, larger step are behind the list: whoever runs them writes over the slots of others.
            device.stream().fillWords(maps.tileUnit(), shape.units() - 1, shape.tiles(count, ExpertMaps.SMALLEST_TILE));
            memory.write(maps.choiceExpert(), MemorySegment.ofArray(choice));
            memory.write(maps.choiceWeight(), MemorySegment.ofArray(choiceWeight));
            route.map(device.stream(), maps, count, 0, ExpertTiling.uncounted(way.tileTokens()));
            long middleBytes = MoeExperts.middleBytes(shape, layer.c.format(), count);
            long rows = way == Way.STREAM ? 0 : memory.unwritten(MoeExperts.rowBytes(shape, count));
            MoeExperts.Activations io = new MoeExperts.Activations(memory.uploadBf16(x), memory.unwritten(middleBytes), rows,
                    memory.upload(residual), memory.unwritten(4L * x.length), memory.unwritten(2L * x.length));
            experts.run(device.stream(), way, maps, count, layer.weights, io, SCALE);
            int middle = Math.toIntExact(shape.slots(count) * shape.width());
            return new Result(memory.floats(io.sum(), x.length), memory.bf16(io.sumBf16(), x.length),
                    memory.floats(io.residual(), x.length),
                    layer.c.format().hasInputScales() ? memory.e4m3(io.middle(), middle) : memory.bf16(io.middle(), middle),
                    memory.ints(maps.choiceSlot(), count * shape.ranks()), memory.ints(maps.unitFirst(), shape.units() + 1));
        }
    }

    private double tolerance(Case c, Way way) {
        return way == Way.WARPGROUP && c.format().hasInputScales() ? tensorTolerance : SUM_TOLERANCE;
    }

    private static int unitOf(Layer layer, int token, int rank) {
        ExpertShape shape = layer.c.shape();
        return rank < shape.parts() ? rank
                : shape.parts() + layer.choice[token * shape.active() + rank - shape.parts()];
    }

    private void checkMiddle(Layer layer, Way way, Result result) {
        ExpertShape shape = layer.c.shape();
        boolean quantised = layer.c.format().hasInputScales();
        boolean[] written = new boolean[result.middle().length];
        for (int unit = 0; unit < shape.units(); unit++) {
            if (result.unitFirst()[unit + 1] == result.unitFirst()[unit]) {
                continue;
            }
            float[] matrix = layer.up.matrix(unit);
            int inner = layer.up.inner(unit);
            float inverse = 1 / layer.up.inputScales[unit];
            double downScale = quantised ? layer.down.inputScales[unit] : 1;
            for (int token = 0; token < layer.c.tokens(); token++) {
                for (int rank = 0; rank < shape.ranks() && !layer.c.isPadding(token); rank++) {
                    if (unitOf(layer, token, rank) == unit) {
                        double[] input = new double[inner];
                        double squares = 0;
                        for (int k = 0; k < inner; k++) {
                            float value = layer.x[token * inner + k];
                            input[k] = quantised ? MoeMemory.e4m3(value * inverse) : value;
                            squares += input[k] * input[k];
                        }
                        int at = result.choiceSlot()[token * shape.ranks() + rank] * shape.width();
                        double error = tolerance(layer.c, way) * Math.sqrt(squares);
                        for (int row = 0; row < layer.up.rows(unit); row++) {
                            double sum = 0;
                            double weights = 0;
                            for (int k = 0; k < inner; k++) {
                                sum += matrix[row * inner + k] * input[k];
                                weights += matrix[row * inner + k] * matrix[row * inner + k];
                            }
                            double scale = layer.up.productScale(unit);
                            double value = Math.max(0, sum * scale);
                            double slack = error * Math.sqrt(weights) * scale;
                            checkMiddle(layer, way + " slot row " + at + " + " + row, result.middle()[at + row],
                                    value * value / downScale, (2 * value + slack) * slack / downScale, quantised);
                            written[at + row] = true;
                        }
                    }
                }
            }
        }
        for (int i = 0; i < written.length; i++) {
            // a narrow last piece of the shared expert is filled up with zeros for the warpgroups' whole steps
            boolean filled = way == Way.WARPGROUP && result.middle()[i] == 0;
            if (!written[i] && !filled && !Float.isNaN(result.middle()[i])) {
                throw new AssertionError(layer.c + ", " + way + ": middle was written at " + i + ": " + result.middle()[i]);
            }
        }
    }

    private static void checkMiddle(Layer layer, String where, float found, double expected, double slack, boolean quantised) {
        double capped = quantised ? Math.min(expected, 448) : expected;
        double rounding = quantised ? Math.max(capped * E4M3_ROUNDING, E4M3_SMALLEST) : capped * BF16_ROUNDING;
        if (!(Math.abs(found - capped) <= rounding * 1.001 + slack + Float.MIN_NORMAL)) {
            throw new AssertionError(layer.c + ", " + where + ": up gave " + found + ", expected " + capped);
        }
    }

    private void checkSums(Layer layer, Way way, Result result) {
        Case c = layer.c;
        ExpertShape shape = c.shape();
        int hidden = shape.hidden();
        double[] expected = new double[c.tokens() * hidden];
        for (int unit = 0; unit < shape.units(); unit++) {
            if (result.unitFirst()[unit + 1] == result.unitFirst()[unit]) {
                continue;
            }
            float[] matrix = layer.down.matrix(unit);
            int inner = layer.down.inner(unit);
            for (int token = 0; token < c.tokens(); token++) {
                for (int rank = 0; rank < shape.ranks() && !c.isPadding(token); rank++) {
                    if (unitOf(layer, token, rank) == unit) {
                        double weight = layer.down.productScale(unit) * (rank < shape.parts() ? 1
                                : SCALE * layer.choiceWeight[token * shape.active() + rank - shape.parts()]);
                        int at = result.choiceSlot()[token * shape.ranks() + rank] * shape.width();
                        for (int row = 0; row < hidden; row++) {
                            double sum = 0;
                            for (int k = 0; k < inner; k++) {
                                sum += (double) matrix[row * inner + k] * result.middle()[at + k];
                            }
                            expected[token * hidden + row] += weight * sum;
                        }
                    }
                }
            }
        }
        checkClose(c + ", " + way, layer, result.sum(), expected, tolerance(c, way));
        for (int i = 0; i < expected.length; i++) {
            boolean padding = c.isPadding(i / hidden);
            float residual = layer.residual[i] + result.sum()[i];
            boolean right = padding
                    ? result.residual()[i] == layer.residual[i] && Float.isNaN(result.sum()[i]) && Float.isNaN(result.sumBf16()[i])
                    : result.residual()[i] == residual && result.sumBf16()[i] == MoeMemory.bf16(result.sum()[i]);
            if (!right) {
                throw new AssertionError("%s, %s: row %d, output %d: sum %s, in bf16 %s, residual %s from %s".formatted(c, way,
                        i / hidden, i % hidden, result.sum()[i], result.sumBf16()[i], result.residual()[i], layer.residual[i]));
            }
        }
    }

    private static void checkClose(String what, Layer layer, float[] found, double[] expected, double tolerance) {
        double squares = 0;
        double errors = 0;
        int worst = 0;
        double largest = 0;
        int count = 0;
        for (int i = 0; i < expected.length; i++) {
            if (!layer.c.isPadding(i / layer.c.shape().hidden())) {
                double difference = Math.abs(found[i] - expected[i]);
                squares += expected[i] * expected[i];
                errors += difference * difference;
                count++;
                if (!(difference <= largest)) {
                    largest = difference;
                    worst = i;
                }
            }
        }
        double scale = Math.sqrt(squares / Math.max(count, 1)) + Double.MIN_NORMAL;
        double relative = Math.sqrt(errors / Math.max(count, 1)) / scale;
        if (count > 0 && (!(relative <= tolerance) || !(largest <= PEAK * tolerance * scale))) {
            throw new AssertionError("%s: relative error %.3g; worst at %d of %d: %s instead of %s".formatted(
                    what, relative, worst, expected.length, found[worst], expected[worst]));
        }
    }
}
