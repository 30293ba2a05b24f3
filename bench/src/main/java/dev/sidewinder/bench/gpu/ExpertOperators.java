package dev.sidewinder.bench.gpu;

import dev.sidewinder.bench.gpu.Ceilings.Arithmetic;
import dev.sidewinder.bench.gpu.Operator.Work;
import dev.sidewinder.cuda.kernel.ExpertFormat;
import dev.sidewinder.cuda.kernel.ExpertMaps;
import dev.sidewinder.cuda.kernel.ExpertShape;
import dev.sidewinder.cuda.kernel.ExpertTiling;
import dev.sidewinder.cuda.kernel.Kernels;
import dev.sidewinder.cuda.kernel.MoeExperts;
import dev.sidewinder.cuda.kernel.MoeRoute;
import dev.sidewinder.cuda.kernel.RmsNorm;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntConsumer;

/// The router, and routed and shared experts together: up, squared ReLU, down, weighted sum.
final class ExpertOperators {

    private static final float EPSILON = 1e-5f;
    /// Sets of choices of a few tokens, one after the other: the experts of the one push those of the other out of the cache.
    private static final int SETS = 2;

    /// Which experts tokens go to.
    enum Routing {
        UNIFORM,
        /// As uneven as measured layers are at their worst: the probability of an expert falls with the square of its rank.
        SKEWED
    }

    private ExpertOperators() {}

    static List<Operator> all(ModelSizes sizes) {
        List<Operator> operators = new ArrayList<>();
        for (int tokens : sizes.tokens()) {
            operators.add(route(sizes.hidden(), sizes.experts(), tokens));
        }
        for (ExpertFormat format : List.of(ExpertFormat.E4M3, ExpertFormat.NVFP4)) {
            for (Routing routing : Routing.values()) {
                for (int tokens : sizes.tokens()) {
                    operators.add(experts(sizes.experts(), format, routing, tokens, sizes.prompt().contains(tokens)));
                }
            }
        }
        return operators;
    }

    private static Operator route(int hidden, ExpertShape shape, int tokens) {
        double bytes = (double) tokens * hidden * (4 + 2) + 2.0 * shape.experts() * hidden + 8.0 * tokens * shape.active();
        double flops = 2.0 * tokens * shape.experts() * hidden;
        return new Operator("moe_route", "norm and router", "M=" + tokens, new Work(bytes, flops, Arithmetic.BF16), (long) bytes,
                (kernels, memory, turns) -> {
                    var route = new MoeRoute(kernels);
                    ExpertMaps maps = maps(memory, shape, tokens);
                    route.prepare(kernels.device().stream(), maps);
                    var experts = new MoeExperts(kernels);
                    ExpertTiling tiling = experts.tiling(experts.way(shape, ExpertFormat.E4M3, tokens), shape, ExpertFormat.E4M3, tokens);
                    var weights = new MoeRoute.Weights[turns];
                    var rows = new MoeRoute.Rows[turns];
                    long bias = memory.zeros(4L * shape.experts());
                    for (int turn = 0; turn < turns; turn++) {
                        weights[turn] = new MoeRoute.Weights(
                                new RmsNorm.Weight(memory.bf16(hidden), RmsNorm.WeightType.BF16, EPSILON),
                                memory.bf16((long) shape.experts() * hidden), MoeRoute.GateType.BF16, bias,
                                memory.zeros(8L * (shape.experts() + MoeRoute.Weights.WORK_COUNTERS)));
                        rows[turn] = new MoeRoute.Rows(memory.zeros(2L * tokens * hidden), memory.f32((long) tokens * hidden), 0,
                                tokens, hidden);
                    }
                    return turn -> route.route(kernels.device().stream(), maps, rows[turn], weights[turn],
                            new MoeRoute.Choosing(1, 1, true), tiling);
                });
    }

    private static ExpertMaps maps(BenchMemory memory, ExpertShape shape, int tokens) {
        return new ExpertMaps(shape, tokens, memory.zeros(ExpertMaps.bytes(shape, tokens)));
    }

    /// Bytes of one expert's two matrices, block scales of NVFP4 included.
    private static double expertBytes(ExpertShape shape, ExpertFormat format, int width) {
        double values = 2.0 * width * shape.hidden();
        return switch (format) {
            case BF16 -> 2 * values;
            case E4M3, E4M3_BF16 -> values;
            case NVFP4 -> values / 2 + values / 16;
        };
    }

    private static Operator experts(ExpertShape shape, ExpertFormat format, Routing routing, int tokens, boolean prompt) {
        // The same choices as prepare() makes, so that the bytes are those of the experts which they touch.
        long seed = 31L * tokens + routing.ordinal();
        int sets = sets(tokens, shape);
        double touched = 0;
        for (int set = 0; set < sets; set++) {
            touched += Arrays.stream(choices(shape, routing, tokens, seed + set)).distinct().count() / (double) sets;
        }
        double bytes = touched * expertBytes(shape, format, shape.width()) + expertBytes(shape, format, shape.sharedWidth())
                + (double) tokens * shape.hidden() * (2 + 8);
        double flops = 4.0 * tokens * shape.hidden() * ((double) shape.active() * shape.width() + shape.sharedWidth());
        return new Operator("moe_experts", "experts " + (format == ExpertFormat.E4M3 ? "fp8" : "nvfp4"),
                (routing == Routing.UNIFORM ? "uniform" : "skewed") + " M=" + tokens,
                new Work(bytes, flops, format == ExpertFormat.E4M3 ? Arithmetic.FP8 : Arithmetic.BF16), Math.max(1, (long) bytes),
                (kernels, memory, _) -> prepare(shape, format, routing, tokens, prompt, seed, kernels, memory));
    }

    private static int sets(int tokens, ExpertShape shape) {
        return tokens * shape.active() < shape.experts() ? SETS : 1;
    }

    private static int[] choices(ExpertShape shape, Routing routing, int tokens, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        int[] choices = new int[tokens * shape.active()];
        boolean[] taken = new boolean[shape.experts()];
        for (int token = 0; token < tokens; token++) {
            Arrays.fill(taken, false);
            for (int i = 0; i < shape.active(); i++) {
                int expert;
                do {
                    double point = random.nextDouble();
                    expert = (int) (shape.experts() * (routing == Routing.UNIFORM ? point : point * point * point));
                } while (taken[expert]);
                taken[expert] = true;
                choices[token * shape.active() + i] = expert;
            }
        }
        return choices;
    }

    private static MoeExperts.Matrices matrices(ExpertShape shape, ExpertFormat format, BenchMemory memory) {
        long values = (long) shape.width() * shape.hidden();
        long shared = (long) shape.sharedWidth() * shape.hidden();
        float[] scales = new float[shape.units()];
        Arrays.fill(scales, 0.01f);
        return switch (format) {
            case BF16 -> MoeExperts.Matrices.bf16(memory.bf16(values * shape.experts()), 2 * values, memory.bf16(shared));
            case E4M3, E4M3_BF16 -> new MoeExperts.Matrices(memory.e4m3(values * shape.experts()), values, 0, 0,
                    memory.e4m3(shared), 0, memory.floats(scales), memory.floats(scales));
            case NVFP4 -> new MoeExperts.Matrices(memory.random(BenchMemory.Kind.E2M1, values / 2 * shape.experts()), values / 2,
                    memory.e4m3(values / 16 * shape.experts()), values / 16, memory.random(BenchMemory.Kind.E2M1, shared / 2),
                    memory.e4m3(shared / 16), memory.floats(scales), 0);
        };
    }

    private static IntConsumer prepare(ExpertShape shape, ExpertFormat format, Routing routing, int tokens, boolean prompt,
            long seed, Kernels kernels, BenchMemory memory) {
        var route = new MoeRoute(kernels);
        var experts = new MoeExperts(kernels);
        // as the backend chooses
        MoeExperts.Way way = prompt && experts.takesWarpgroups(shape, format) ? MoeExperts.Way.WARPGROUP
                : experts.way(shape, format, tokens);
        var weights = new MoeExperts.Weights(format, matrices(shape, format, memory), matrices(shape, format, memory));
        ExpertMaps[] maps = new ExpertMaps[sets(tokens, shape)];
        for (int set = 0; set < maps.length; set++) {
            maps[set] = maps(memory, shape, tokens);
            route.prepare(kernels.device().stream(), maps[set]);
            int[] choices = choices(shape, routing, tokens, seed + set);
            float[] shares = new float[choices.length];
            Arrays.fill(shares, 1f / shape.active());
            long choiceMemory = memory.ints(choices);
            long shareMemory = memory.upload(MemorySegment.ofArray(shares));
            kernels.device().stream().copy(maps[set].choiceExpert(), choiceMemory, 4L * choices.length);
            kernels.device().stream().copy(maps[set].choiceWeight(), shareMemory, 4L * choices.length);
            route.map(kernels.device().stream(), maps[set], tokens, 0, ExpertTiling.uncounted(way.tileTokens()));
        }
        var io = new MoeExperts.Activations(memory.bf16((long) tokens * shape.hidden()),
                memory.zeros(MoeExperts.middleBytes(shape, format, tokens)), memory.zeros(MoeExperts.rowBytes(shape, tokens)),
                memory.f32((long) tokens * shape.hidden()), 0, 0);
        return turn -> experts.run(kernels.device().stream(), way, maps[turn % maps.length], tokens, weights, io, 2.5f);
    }
}
