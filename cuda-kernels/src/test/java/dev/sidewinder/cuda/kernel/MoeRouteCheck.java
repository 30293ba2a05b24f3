package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.Stream;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/// Compares `moe_route` with the router in double precision, and its index maps with those that follow from its choices.
final class MoeRouteCheck {

    /// fp32 sums over the hidden width, behind a sigmoid: where two scores lie closer than this, either may win.
    private static final double SCORE_TOLERANCE = 4e-6;
    /// One rounding to bf16.
    private static final double ROUNDING = 1.0 / 256;
    private static final float EPSILON = 1e-5f;
    private static final int LAUNCHES = 2;

    private final Device device;
    private final MoeRoute route;

    /// What the gate and the bias are like.
    enum Scores {
        RANDOM,
        /// Experts 4 i to 4 i + 3 have the same gate and bias.
        TIES,
        /// Biases of 1e30, -1e30 and -infinity among ordinary ones.
        EXTREME_BIAS,
        /// Scores so negative and positive that the sigmoid saturates.
        SATURATED
    }

    /// @param padding whether every third row is padding, with NaN inside
    record Case(int hidden, ExpertShape shape, MoeRoute.Choosing choosing, MoeRoute.GateType gateType,
            RmsNorm.WeightType normType, Scores scores, boolean padding, int tokens, int tileTokens, long seed) {

        static Case of(int hidden, int experts, int active, int parts, int tokens, long seed) {
            return new Case(hidden, new ExpertShape(hidden, experts, active, 8, 8 * parts),
                    new MoeRoute.Choosing(1, 1, true), MoeRoute.GateType.BF16, RmsNorm.WeightType.BF16, Scores.RANDOM, false,
                    tokens, 8, seed);
        }

        Case with(Scores which) {
            return new Case(hidden, shape, choosing, gateType, normType, which, padding, tokens, tileTokens, seed);
        }

        Case with(MoeRoute.Choosing how) {
            return new Case(hidden, shape, how, gateType, normType, scores, padding, tokens, tileTokens, seed);
        }

        Case withFloats() {
            return new Case(hidden, shape, choosing, MoeRoute.GateType.F32, RmsNorm.WeightType.F32, scores, padding, tokens,
                    tileTokens, seed);
        }

        Case withPadding() {
            return new Case(hidden, shape, choosing, gateType, normType, scores, true, tokens, tileTokens, seed);
        }

        Case seeded(long newSeed) {
            return new Case(hidden, shape, choosing, gateType, normType, scores, padding, tokens, tileTokens, newSeed);
        }

        Case withTiles(int tokensOfATile) {
            return new Case(hidden, shape, choosing, gateType, normType, scores, padding, tokens, tokensOfATile, seed);
        }

        /// How the products are shared out: on few and on many places, with one and with several blocks for each of them.
        ExpertTiling tiling() {
            Random random = new Random(31 * seed + tokens);
            return new ExpertTiling(tileTokens, random.nextBoolean() ? ExpertTiling.Items.TILES : ExpertTiling.Items.SLOTS,
                    share(random, false), share(random, random.nextBoolean()));
        }

        private static ExpertTiling.Share share(Random random, boolean takesAll) {
            return new ExpertTiling.Share(1 + random.nextInt(20), 1 + random.nextInt(300), 1 + random.nextInt(500_000), takesAll);
        }

        boolean isPadding(int token) {
            return padding && token % 3 == 1;
        }

        /// Rows up to the last padded one: those behind have no slot.
        int slotted() {
            int rows = tokens;
            while (rows > 0 && !isPadding(rows - 1)) {
                rows--;
            }
            return rows;
        }
    }

    /// Choices of a run.
    record Choices(int[] experts, float[] weights) {}

    /// The router's inputs on the host.
    private static final class Inputs {
        final float[] residual;
        final float[] norm;
        final float[] gate;
        final float[] bias;

        Inputs(Case c) {
            Random random = new Random(c.seed());
            int hidden = c.hidden();
            int experts = c.shape().experts();
            residual = new float[c.tokens() * hidden];
            for (int i = 0; i < residual.length; i++) {
                residual[i] = (float) random.nextGaussian() * (1 + i / hidden % 3);
            }
            norm = new float[hidden];
            for (int i = 0; i < hidden; i++) {
                norm[i] = MoeMemory.bf16(1 + 0.2f * (float) random.nextGaussian());
            }
            gate = new float[experts * hidden];
            bias = new float[experts];
            double spread = (c.scores() == Scores.SATURATED ? 60 : 1.5) / Math.sqrt(hidden);
            for (int expert = 0; expert < experts; expert++) {
                boolean copy = c.scores() == Scores.TIES && expert % 4 != 0;
                for (int i = 0; i < hidden; i++) {
                    gate[expert * hidden + i] = copy ? gate[(expert - 1) * hidden + i]
                            : MoeMemory.bf16((float) (random.nextGaussian() * spread));
                }
                bias[expert] = copy ? bias[expert - 1] : 0.1f * (float) random.nextGaussian();
                if (c.scores() == Scores.EXTREME_BIAS) {
                    bias[expert] = switch (expert % 5) {
                        case 0 -> -1e30f;
                        case 1 -> 1e30f * random.nextFloat();
                        case 2 -> Float.NEGATIVE_INFINITY;
                        default -> bias[expert];
                    };
                }
            }
            for (int token = 0; token < c.tokens(); token++) {
                if (c.isPadding(token)) {
                    Arrays.fill(residual, token * hidden, (token + 1) * hidden, Float.NaN);
                }
            }
        }
    }

    MoeRouteCheck(Device device, Kernels kernels) {
        this.device = device;
        route = new MoeRoute(kernels);
    }

    /// Routes twice over the same memory (counters must be back at zero) and checks everything that came out.
    Choices check(Case c) {
        Inputs inputs = new Inputs(c);
        try (MoeMemory memory = new MoeMemory(device)) {
            ExpertMaps maps = new ExpertMaps(c.shape(), c.tokens(), memory.unwritten(ExpertMaps.bytes(c.shape(), c.tokens())));
            route.prepare(device.stream(), maps);
            long counters = memory.upload(new long[c.shape().experts() + MoeRoute.Weights.WORK_COUNTERS]);
            long x = run(memory, maps, c, inputs, counters);
            Choices choices = read(memory, maps, c.tokens());
            checkActivations(c, inputs, memory.bf16(x, c.tokens() * c.hidden()));
            checkChoices(c, inputs, choices);
            checkMaps(c, memory, maps, choices.experts(), counters, LAUNCHES);
            return choices;
        }
    }

    /// Routes each row alone and all together: the same bits.
    void checkInvariance(Case c) {
        Choices together = check(c);
        Inputs inputs = new Inputs(c);
        int active = c.shape().active();
        for (int token = 0; token < c.tokens(); token++) {
            int hidden = c.hidden();
            try (MoeMemory memory = new MoeMemory(device)) {
                ExpertMaps maps = new ExpertMaps(c.shape(), 1, memory.unwritten(ExpertMaps.bytes(c.shape(), 1)));
                route.prepare(device.stream(), maps);
                long residual = memory.upload(Arrays.copyOfRange(inputs.residual, token * hidden, (token + 1) * hidden));
                MoeRoute.Rows rows = new MoeRoute.Rows(memory.unwritten(2L * hidden), residual, 0, 1, hidden);
                if (!c.isPadding(token)) {
                    route.route(device.stream(), maps, rows, upload(memory, c, inputs, 0), c.choosing(), c.tiling());
                    Choices alone = read(memory, maps, 1);
                    for (int i = 0; i < active; i++) {
                        int at = token * active + i;
                        if (alone.experts()[i] != together.experts()[at]
                                || Float.floatToRawIntBits(alone.weights()[i]) != Float.floatToRawIntBits(together.weights()[at])) {
                            throw new AssertionError("%s: token %d, choice %d: expert %d, weight %s together; %d, %s alone".formatted(
                                    c, token, i, together.experts()[at], together.weights()[at], alone.experts()[i], alone.weights()[i]));
                        }
                    }
                }
            }
        }
    }

    /// Builds maps from given choices and checks them.
    void checkMaps(ExpertShape shape, int[] experts, int tileTokens) {
        int tokens = experts.length / shape.active();
        try (MoeMemory memory = new MoeMemory(device)) {
            ExpertMaps maps = new ExpertMaps(shape, tokens, memory.unwritten(ExpertMaps.bytes(shape, tokens)));
            route.prepare(device.stream(), maps);
            memory.write(maps.choiceExpert(), MemorySegment.ofArray(experts));
            long counters = memory.upload(new long[shape.experts() + MoeRoute.Weights.WORK_COUNTERS]);
            Case c = new Case(1, shape, new MoeRoute.Choosing(1, 1, true), MoeRoute.GateType.F32, RmsNorm.WeightType.F32,
                    Scores.RANDOM, false, tokens, tileTokens, 0);
            for (int launch = 0; launch < LAUNCHES; launch++) {
                device.stream().fill(maps.chunkCount(), (byte) 0xff, 4L * Math.ceilDiv(tokens, ExpertMaps.CHUNK_TOKENS) * shape.units());
                route.map(device.stream(), maps, tokens, counters, c.tiling());
            }
            checkMaps(c, memory, maps, experts, counters, LAUNCHES);
        }
    }

    private static MoeRoute.Weights upload(MoeMemory memory, Case c, Inputs inputs, long counters) {
        boolean bf16Norm = c.normType() == RmsNorm.WeightType.BF16;
        long norm = bf16Norm ? memory.uploadBf16(inputs.norm) : memory.upload(inputs.norm);
        long gate = c.gateType() == MoeRoute.GateType.BF16 ? memory.uploadBf16(inputs.gate) : memory.upload(inputs.gate);
        return new MoeRoute.Weights(new RmsNorm.Weight(norm, c.normType(), EPSILON), gate, c.gateType(),
                memory.upload(inputs.bias), counters);
    }

    private long run(MoeMemory memory, ExpertMaps maps, Case c, Inputs inputs, long counters) {
        int[] slots = new int[c.slotted()];
        for (int token = 0; token < slots.length; token++) {
            slots[token] = c.isPadding(token) ? -1 : token;
        }
        MoeRoute.Rows rows = new MoeRoute.Rows(memory.unwritten(2L * c.tokens() * c.hidden()), memory.upload(inputs.residual),
                slots.length > 0 ? memory.upload(slots) : 0, slots.length, c.tokens(), c.hidden());
        MoeRoute.Weights weights = upload(memory, c, inputs, counters);
        Stream stream = device.stream();
        for (int launch = 0; launch < LAUNCHES; launch++) {
            // A block that reads what others have not written yet finds NaN, not the same numbers of the launch before.
            stream.fill(maps.logits(), (byte) 0xff, 4L * c.tokens() * c.shape().experts());
            stream.fill(maps.choiceExpert(), (byte) 0xff, 4L * c.tokens() * c.shape().active());
            route.route(stream, maps, rows, weights, c.choosing(), c.tiling());
        }
        return rows.x();
    }

    private static Choices read(MoeMemory memory, ExpertMaps maps, int tokens) {
        int count = tokens * maps.shape().active();
        return new Choices(memory.ints(maps.choiceExpert(), count), memory.floats(maps.choiceWeight(), count));
    }

    private static double[] normalised(Case c, Inputs inputs, int token) {
        int hidden = c.hidden();
        double squares = 0;
        for (int i = 0; i < hidden; i++) {
            double value = inputs.residual[token * hidden + i];
            squares += value * value;
        }
        double factor = 1 / Math.sqrt(squares / hidden + EPSILON);
        double[] row = new double[hidden];
        for (int i = 0; i < hidden; i++) {
            row[i] = inputs.residual[token * hidden + i] * factor * inputs.norm[i];
        }
        return row;
    }

    private static void checkActivations(Case c, Inputs inputs, float[] x) {
        for (int token = 0; token < c.tokens(); token++) {
            double[] expected = normalised(c, inputs, token);
            for (int i = 0; i < c.hidden(); i++) {
                double difference = Math.abs(x[token * c.hidden() + i] - expected[i]);
                if (!c.isPadding(token) && !(difference <= Math.abs(expected[i]) * ROUNDING)) {
                    throw new AssertionError(c + ": normalised row " + token + " is " + x[token * c.hidden() + i]
                            + " at " + i + ", expected " + expected[i]);
                }
            }
        }
    }

    private static void checkChoices(Case c, Inputs inputs, Choices choices) {
        int active = c.shape().active();
        for (int token = 0; token < c.tokens(); token++) {
            int[] experts = Arrays.copyOfRange(choices.experts(), token * active, (token + 1) * active);
            float[] weights = Arrays.copyOfRange(choices.weights(), token * active, (token + 1) * active);
            if (c.isPadding(token)) {
                for (int i = 0; i < active; i++) {
                    if (experts[i] != -1 || weights[i] != 0) {
                        throw new AssertionError(c + ": padded row " + token + " went to expert " + experts[i]);
                    }
                }
            } else {
                checkRow(c, inputs, token, experts, weights);
            }
        }
    }

    private static void checkRow(Case c, Inputs inputs, int token, int[] experts, float[] weights) {
        double[] scores = scores(c, inputs, token);
        double[] choice = choiceValues(c, inputs, scores);
        boolean[] taken = new boolean[choice.length];
        double sum = 0;
        for (int rank = 0; rank < experts.length; rank++) {
            int expert = experts[rank];
            if (expert < 0 || expert >= taken.length || taken[expert]) {
                throw new AssertionError(c + ": token " + token + " chose " + Arrays.toString(experts));
            }
            int best = best(choice, taken);
            boolean tie = c.scores() == Scores.TIES && expert / 4 == best / 4;
            if (tie ? expert != best : !(choice[expert] >= choice[best] - SCORE_TOLERANCE)) {
                throw new AssertionError("%s: token %d, rank %d: expert %d (%s), expected %d (%s)".formatted(
                        c, token, rank, expert, choice[expert], best, choice[best]));
            }
            taken[expert] = true;
            sum += scores[expert];
        }
        for (int rank = 0; rank < experts.length; rank++) {
            double expected = scores[experts[rank]] / (c.choosing().normalise() ? sum + 1e-20 : 1);
            if (!(Math.abs(weights[rank] - expected) <= SCORE_TOLERANCE * Math.max(1e-3, 10 * expected))) {
                throw new AssertionError("%s: token %d, rank %d: weight %s, expected %s".formatted(
                        c, token, rank, weights[rank], expected));
            }
        }
    }

    private static double[] scores(Case c, Inputs inputs, int token) {
        double[] row = normalised(c, inputs, token);
        double[] scores = new double[c.shape().experts()];
        for (int expert = 0; expert < scores.length; expert++) {
            double logit = 0;
            for (int i = 0; i < row.length; i++) {
                logit += row[i] * inputs.gate[expert * row.length + i];
            }
            scores[expert] = 1 / (1 + Math.exp(-logit));
        }
        return scores;
    }

    /// Scores with bias, zero in groups that are not kept.
    private static double[] choiceValues(Case c, Inputs inputs, double[] scores) {
        double[] choice = new double[scores.length];
        for (int i = 0; i < choice.length; i++) {
            // As floats: next to a bias of 1e30 no score counts.
            choice[i] = (float) scores[i] + inputs.bias[i];
        }
        int groups = c.choosing().groups();
        if (groups > 1) {
            int size = choice.length / groups;
            double[] groupScores = new double[groups];
            for (int group = 0; group < groups; group++) {
                double[] sorted = Arrays.copyOfRange(choice, group * size, (group + 1) * size);
                Arrays.sort(sorted);
                groupScores[group] = sorted[size - 1] + (size > 1 ? sorted[size - 2] : 0);
            }
            boolean[] kept = new boolean[groups];
            for (int i = 0; i < c.choosing().activeGroups(); i++) {
                kept[best(groupScores, kept)] = true;
            }
            for (int i = 0; i < choice.length; i++) {
                choice[i] = kept[i / size] ? choice[i] : 0;
            }
        }
        return choice;
    }

    private static int best(double[] values, boolean[] taken) {
        int best = -1;
        for (int i = 0; i < values.length; i++) {
            if (!taken[i] && (best < 0 || values[i] > values[best])) {
                best = i;
            }
        }
        return best;
    }

    /// Maps are a function of the choices: every number is compared.
    private static void checkMaps(Case c, MoeMemory memory, ExpertMaps maps, int[] experts, long counters, int launches) {
        ExpertShape shape = c.shape();
        int parts = shape.parts();
        int[] unitFirst = new int[shape.units() + 1];
        int[] choiceSlot = new int[(int) shape.slots(c.tokens())];
        int[] slotSource = new int[choiceSlot.length];
        int[] tileUnit = new int[shape.tiles(c.tokens(), c.tileTokens())];
        int[] tileFirst = new int[tileUnit.length];
        long[] counted = new long[shape.experts() + MoeRoute.Weights.WORK_COUNTERS];
        int tiles = 0;
        int slot = 0;
        for (int unit = 0; unit < shape.units(); unit++) {
            unitFirst[unit] = slot;
            for (int token = 0; token < c.tokens(); token++) {
                int rank = rankOf(shape, experts, token, unit);
                if (rank >= 0) {
                    if ((slot - unitFirst[unit]) % c.tileTokens() == 0) {
                        tileUnit[tiles] = unit;
                        tileFirst[tiles] = slot;
                        tiles++;
                    }
                    choiceSlot[token * shape.ranks() + rank] = slot;
                    slotSource[slot] = token << 8 | rank;
                    slot++;
                }
            }
            if (unit >= parts) {
                counted[unit - parts] = (long) launches * (slot - unitFirst[unit]);
            }
        }
        unitFirst[shape.units()] = slot;
        int items = c.tiling().items() == ExpertTiling.Items.TILES ? tiles : slot;
        for (ExpertTiling.Share share : List.of(c.tiling().up(), c.tiling().down())) {
            long[] work = work(share, items);
            counted[shape.experts()] += launches * work[0];
            counted[shape.experts() + 1] += launches * work[1];
        }
        compare(c, "unit_first", memory.ints(maps.unitFirst(), unitFirst.length), unitFirst, unitFirst.length);
        compare(c, "tile_count", memory.ints(maps.tileCount(), 1), new int[] {tiles}, 1);
        compare(c, "tile_unit", memory.ints(maps.tileUnit(), tileUnit.length), tileUnit, tiles);
        compare(c, "tile_first", memory.ints(maps.tileFirst(), tileFirst.length), tileFirst, tiles);
        compare(c, "slot_source", memory.ints(maps.slotSource(), slotSource.length), slotSource, slot);
        int[] found = memory.ints(maps.choiceSlot(), choiceSlot.length);
        for (int token = 0; token < c.tokens(); token++) {
            int from = token * shape.ranks();
            if (experts[token * shape.active()] >= 0) {
                compare(c, "choice_slot of token " + token, Arrays.copyOfRange(found, from, from + shape.ranks()),
                        Arrays.copyOfRange(choiceSlot, from, from + shape.ranks()), shape.ranks());
            }
        }
        long[] counts = memory.longs(counters, counted.length);
        if (!Arrays.equals(counts, counted)) {
            throw new AssertionError(c + ": experts counted " + Arrays.toString(counts) + ", expected " + Arrays.toString(counted));
        }
        compare(c, "arrivals", memory.ints(maps.arrivals(), 1 + c.tokens()), new int[1 + c.tokens()], 1 + c.tokens());
    }

    /// What the busiest and the mean place have to do, by handing block after block to the place that is done first.
    private static long[] work(ExpertTiling.Share share, int items) {
        long cost = share.takesAll() ? (long) items * share.cost() : share.cost();
        long[] places = new long[share.places()];
        int blocks = items == 0 ? 0 : share.takesAll() ? share.columns() : items * share.columns();
        for (int block = 0; block < blocks; block++) {
            int first = 0;
            for (int place = 1; place < places.length; place++) {
                first = places[place] < places[first] ? place : first;
            }
            places[first] += cost;
        }
        float mean = blocks == 0 ? 0 : blocks / (float) Arrays.stream(places).filter(work -> work > 0).count();
        return new long[] {Arrays.stream(places).max().orElseThrow(), (long) (cost * mean)};
    }

    private static int rankOf(ExpertShape shape, int[] experts, int token, int unit) {
        int at = token * shape.active();
        if (unit < shape.parts()) {
            return experts[at] < 0 ? -1 : unit;
        }
        for (int i = 0; i < shape.active(); i++) {
            if (experts[at + i] == unit - shape.parts()) {
                return shape.parts() + i;
            }
        }
        return -1;
    }

    private static void compare(Case c, String what, int[] found, int[] expected, int count) {
        for (int i = 0; i < count; i++) {
            if (found[i] != expected[i]) {
                throw new AssertionError("%s: %s is %d at %d of %d, expected %d".formatted(c, what, found[i], i, count, expected[i]));
            }
        }
    }
}
