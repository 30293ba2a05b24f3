package dev.sidewinder.cuda.kernel;

import static dev.sidewinder.cuda.kernel.AttentionCase.decoding;
import static dev.sidewinder.cuda.kernel.AttentionCase.padded;
import static dev.sidewinder.cuda.kernel.AttentionCase.piece;

import dev.sidewinder.cuda.kernel.AttentionPlan.DecodeSplit;
import dev.sidewinder.cuda.kernel.KernelCheck.Extent;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import dev.sidewinder.cuda.kernel.MoeExperts.Way;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;

/// Every comparison of a kernel family with its reference that is worth running on a device: small and odd sizes, those of
/// Nemotron 3 Nano, and replays of captured graphs. The tests of this module go further, in the emulator.
///
/// The one public door to the check classes of this package.
public final class KernelChecks {

    private static final int HIDDEN = 2688;
    private static final int MAMBA_INNER = 4096;
    private static final int MAMBA_ROW = 10_304;
    private static final int VOCABULARY = 131_072;
    /// Queries, keys and values of an attention layer.
    private static final List<Integer> QUERY_KEY_VALUE = List.of(4096, 256, 256);
    private static final AttentionShape ATTENTION = new AttentionShape(32, 2, 128);
    /// Few experts instead of 128: their weights are made on the host.
    private static final ExpertShape EXPERTS = new ExpertShape(HIDDEN, 8, 6, 1856, 3712);
    private static final ExpertShape SMALL_EXPERTS = new ExpertShape(320, 5, 3, 192, 448);
    /// For products whose inputs are shared out among blocks; 64 MiB is what the engine grants at most.
    private static final long REAL_WORKSPACE = 64L << 20;
    private static final long SMALL_WORKSPACE = 4_096 + 8 * 65_536;
    private static final int[] EDGES = {1, 2, 3, 127, 128, 129, 255, 256, 257};

    private final List<KernelCheck> checks = new ArrayList<>();
    private final int replays;

    private KernelChecks(int replays) {
        this.replays = replays;
    }

    /// All of them, family by family, small sizes first.
    ///
    /// @param replays launches of each captured graph
    public static List<KernelCheck> all(int replays) {
        var all = new KernelChecks(replays);
        all.norms();
        all.embedding();
        all.finiteRows();
        all.linear();
        all.mamba();
        all.experts();
        all.attention();
        all.sampling();
        all.syntheticWeights();
        return List.copyOf(all.checks);
    }

    private void add(String family, Extent extent, String name, KernelCheck.Body body) {
        checks.add(new KernelCheck(family, name, extent, body));
    }

    // ---- norms and embedding ----------------------------------------------------------------------------------------------

    private void norms() {
        for (RmsNormCheck.Target target : RmsNormCheck.Target.values()) {
            for (int[] size : new int[][] {{5, 1}, {9, 33}, {4, 257}, {6, 4099}, {2, 8200}}) {
                add("rms_norm", Extent.SMALL, "%d x %d to %s".formatted(size[0], size[1], target), (kernels, seed) ->
                        rmsNorm(kernels, target, size[0], size[1], seed));
            }
            for (int rows : new int[] {1, 65, 2048}) {
                add("rms_norm", Extent.REAL, "%d x %d to %s".formatted(rows, HIDDEN, target), (kernels, seed) ->
                        rmsNorm(kernels, target, rows, HIDDEN, seed));
            }
        }
        for (GatedNormCheck.Target target : GatedNormCheck.Target.values()) {
            for (MambaShape shape : List.of(MambaShapes.TINY, MambaShapes.DENSE, MambaShapes.ODD)) {
                add("gated_norm", Extent.SMALL, "%s to %s".formatted(shape, target), (kernels, seed) ->
                        gatedNorm(kernels, shape, target, 7, seed));
            }
            add("gated_norm", Extent.REAL, "512 rows of %s to %s".formatted(MambaShapes.NANO, target), (kernels, seed) ->
                    gatedNorm(kernels, MambaShapes.NANO, target, 512, seed));
        }
    }

    private static void rmsNorm(Kernels kernels, RmsNormCheck.Target target, int rows, int width, long seed) {
        var check = new RmsNormCheck(kernels.device(), kernels);
        for (RmsNorm.WeightType weight : RmsNorm.WeightType.values()) {
            check.check(new RmsNormCheck.Case(target, weight, weight == RmsNorm.WeightType.F32, false, rows, width, seed));
            check.check(new RmsNormCheck.Case(target, weight, true, true, rows, width, seed + 1));
        }
    }

    private static void gatedNorm(Kernels kernels, MambaShape shape, GatedNormCheck.Target target, int rows, long seed) {
        var check = new GatedNormCheck(kernels.device(), kernels);
        for (FloatFormat format : FloatFormat.values()) {
            check.check(new GatedNormCheck.Case(shape, FloatFormat.F32, format, target, rows, seed));
            check.check(new GatedNormCheck.Case(shape, FloatFormat.BF16, format, target, rows, seed + 1));
        }
    }

    private void embedding() {
        for (Embedding.TableType type : Embedding.TableType.values()) {
            for (int width : new int[] {1, 13, 516, 4097}) {
                add("embedding", Extent.SMALL, "9 rows of %d %s".formatted(width, type), (kernels, seed) ->
                        new EmbeddingCheck(kernels.device(), kernels).check(new EmbeddingCheck.Case(type, 9, width, 7, seed)));
            }
            add("embedding", Extent.REAL, "512 rows of %d %s".formatted(HIDDEN, type), (kernels, seed) ->
                    new EmbeddingCheck(kernels.device(), kernels).check(new EmbeddingCheck.Case(type, 512, HIDDEN, 8192, seed)));
        }
    }

    private void finiteRows() {
        for (int width : new int[] {1, 13, 516}) {
            add("finite_rows", Extent.SMALL, "7 sequences of width %d".formatted(width), (kernels, seed) ->
                    new FiniteRowsCheck(kernels.device(), kernels).check(new FiniteRowsCheck.Case(7, 40, width, seed)));
        }
        add("finite_rows", Extent.REAL, "64 sequences of width " + HIDDEN, (kernels, seed) ->
                new FiniteRowsCheck(kernels.device(), kernels).check(new FiniteRowsCheck.Case(64, 100, HIDDEN, seed)));
    }

    // ---- products ---------------------------------------------------------------------------------------------------------

    private void linear() {
        for (Numbers numbers : Numbers.values()) {
            for (int tokens : new int[] {1, 3, 9, 17, 40, 65, 129}) {
                product(Extent.SMALL, LinearCase.of(numbers, tokens, 72, numbers == Numbers.NVFP4 ? 1_312 : 672));
            }
            product(Extent.SMALL, LinearCase.of(numbers, 9, 13, numbers == Numbers.NVFP4 ? 48 : 100).withScatteredRows());
            add("linear", Extent.SMALL, "random sizes, " + numbers, (kernels, seed) -> randomProducts(kernels, numbers, 12, seed));
            product(Extent.REAL, LinearCase.of(numbers, 1, MAMBA_ROW, HIDDEN));
            product(Extent.REAL, LinearCase.of(numbers, 64, MAMBA_ROW, HIDDEN).finishing(Finish.STORE_BF16));
            product(Extent.REAL, LinearCase.of(numbers, 8, HIDDEN, MAMBA_INNER).finishing(Finish.ADD_F32));
            product(Extent.REAL, LinearCase.of(numbers, 256, HIDDEN, MAMBA_INNER).finishing(Finish.ADD_F32));
            product(Extent.REAL, LinearCase.of(numbers, 2048, HIDDEN, 1856).finishing(Finish.ADD_F32));
            normed(Extent.SMALL, numbers, 3, 40, 288);
            normed(Extent.SMALL, numbers, 4, 17, 1_056);
            normed(Extent.REAL, numbers, 1, MAMBA_ROW, HIDDEN);
            normed(Extent.REAL, numbers, 4, 512, HIDDEN);
            add("linear", Extent.REPLAYS, replays + " replays, " + numbers, (kernels, seed) ->
                    replayedProducts(kernels, numbers, seed));
        }
        for (Numbers numbers : List.of(Numbers.BF16, Numbers.E4M3)) {
            prompt(Extent.SMALL, LinearCase.of(numbers, 70, 72, 672));
            prompt(Extent.REAL, LinearCase.of(numbers, 300, MAMBA_ROW, HIDDEN).finishing(Finish.STORE_BF16));
            prompt(Extent.REAL, LinearCase.of(numbers, 2048, HIDDEN, MAMBA_INNER).finishing(Finish.ADD_F32));
        }
        LinearCase projections = LinearCase.of(Numbers.BF16, 33, 1, HIDDEN)
                .withParts(QUERY_KEY_VALUE, Collections.nCopies(3, Finish.STORE_F32));
        product(Extent.REAL, projections);
        product(Extent.REAL, projections.withTokens(1));
        product(Extent.REAL, LinearCase.of(Numbers.BF16, 16, MAMBA_ROW, HIDDEN).withLow());
        product(Extent.REAL, LinearCase.of(Numbers.BF16, 3, VOCABULARY, HIDDEN));
    }

    private void product(Extent extent, LinearCase shape) {
        String name = "%d tokens, %d -> %s, %s, %s%s%s".formatted(shape.tokens(), shape.inputs(), shape.columns(), shape.numbers(),
                shape.finishes().getFirst(), shape.low() ? ", in pairs" : "", shape.scattered() ? ", scattered" : "");
        long workspace = extent == Extent.REAL ? REAL_WORKSPACE : SMALL_WORKSPACE;
        add("linear", extent, name, (kernels, seed) ->
                new LinearCheck(kernels.device(), kernels, workspace).verify(shape.seeded(seed)));
    }

    /// On the kernels for prompts. A device without them has nothing to compare.
    private void prompt(Extent extent, LinearCase shape) {
        double tolerance = shape.numbers() == Numbers.E4M3 ? LinearCheck.TENSOR_E4M3_TOLERANCE : LinearCheck.SUM_TOLERANCE;
        add("sm90_linear", extent, "%d tokens, %d -> %s, %s, %s, where there are warpgroups".formatted(shape.tokens(),
                shape.inputs(), shape.columns(), shape.numbers(), shape.finishes().getFirst()), (kernels, seed) -> {
                    if (Sm90Linear.on(kernels).isPresent()) {
                        new LinearCheck(kernels.device(), kernels, 0).verifyPrompt(shape.seeded(seed), tolerance);
                    }
                });
    }

    private void normed(Extent extent, Numbers numbers, int tokens, int outputs, int inputs) {
        boolean pair = numbers.sourceBits() == 16 && tokens % 2 == 0;
        add("linear", extent, "%d tokens normalised on the way, %d -> %d, %s%s".formatted(tokens, inputs, outputs, numbers,
                pair ? ", in pairs" : ""), (kernels, seed) -> new NormedLinearCheck(kernels.device(), kernels)
                .verify(new NormedLinearCheck.Case(numbers, tokens, outputs, inputs, pair, tokens > 1, seed)));
    }

    private static void randomProducts(Kernels kernels, Numbers numbers, int count, long seed) {
        var check = new LinearCheck(kernels.device(), kernels, SMALL_WORKSPACE);
        Random random = new Random(seed);
        for (int i = 0; i < count; i++) {
            LinearCase shape = LinearCase.of(numbers, 1 + random.nextInt(random.nextBoolean() ? 20 : 140), 1 + random.nextInt(200),
                    numbers.vector() * (1 + random.nextInt(40))).finishing(Finish.values()[random.nextInt(5)]);
            shape = random.nextBoolean() ? shape.withScatteredRows() : shape;
            shape = random.nextBoolean() && numbers.sourceBits() == 16 ? shape.withLow() : shape;
            check.verify(shape.seeded(random.nextLong()));
        }
    }

    private void replayedProducts(Kernels kernels, Numbers numbers, long seed) {
        int tokens = 6;
        LinearCase shape = LinearCase.of(numbers, tokens * replays, 40, numbers == Numbers.NVFP4 ? 1_312 : 672);
        new LinearCheck(kernels.device(), kernels, SMALL_WORKSPACE).verifyReplays(new LinearData(shape.seeded(seed)), tokens, null);
    }

    // ---- Mamba ------------------------------------------------------------------------------------------------------------

    private void mamba() {
        for (FloatFormat format : FloatFormat.values()) {
            for (MambaShape shape : List.of(MambaShapes.SMALL, MambaShapes.ODD, MambaShapes.TWO_TAPS)) {
                convolution(Extent.SMALL, shape, format, EDGES);
            }
            convolution(Extent.REAL, MambaShapes.NANO, format, 1, 133, 1024);
        }
        for (SsdChunkScan.Form form : SsdChunkScan.Form.values()) {
            for (MambaShape shape : List.of(MambaShapes.SMALL, MambaShapes.ODD)) {
                scan(Extent.SMALL, shape, form, EDGES);
            }
            scan(Extent.REAL, MambaShapes.DENSE, form, 1, 64, 65, 300);
            scan(Extent.REAL, MambaShapes.NANO, form, 1, 63, 64, 257);
            scan(Extent.REAL, MambaShapes.NANO, form, 2048);
        }
        for (GatedNormCheck.Target target : GatedNormCheck.Target.values()) {
            for (MambaShape shape : List.of(MambaShapes.TINY, MambaShapes.ODD)) {
                update(Extent.SMALL, shape, FloatFormat.F32, target, 3, -1, 3, 0, -1, 2, 1);
            }
            update(Extent.REAL, MambaShapes.NANO, FloatFormat.BF16, target, 2, 0);
            update(Extent.REAL, MambaShapes.NANO, FloatFormat.F32, target, 2, 1, -1, 0, 2);
        }
        update(Extent.REAL, MambaShapes.NANO, FloatFormat.BF16, GatedNormCheck.Target.E4M3, 1, shuffled(64));
        add("selective_state_update", Extent.REPLAYS, replays + " replays of " + MambaShapes.SMALL, (kernels, seed) ->
                new StateUpdateReplays(kernels.device(), kernels).check(MambaShapes.SMALL, 5, replays, seed));
        add("selective_state_update", Extent.SMALL, "a prompt's state and tokens after it", (kernels, seed) ->
                new MambaLayerCheck(kernels.device(), kernels).check(new MambaLayerCheck.Case(MambaShapes.ODD,
                        SsdChunkScan.Form.PAIR, FloatFormat.F32, new int[][] {{1, 3, 128, 130}}, 3, seed), MambaLayerCheck.TOLERANCE_PAIR));
        add("selective_state_update", Extent.REAL, "a prompt's state and tokens after it, " + MambaShapes.NANO, (kernels, seed) ->
                new MambaLayerCheck(kernels.device(), kernels).check(new MambaLayerCheck.Case(MambaShapes.NANO,
                        SsdChunkScan.Form.PAIR, FloatFormat.F32, new int[][] {{1, 130, 128}, {1, 130, 300}}, 3, seed),
                        MambaLayerCheck.TOLERANCE_PAIR));
    }

    private void convolution(Extent extent, MambaShape shape, FloatFormat format, int... lengths) {
        add("causal_conv1d", extent, "%s, %s, prompts of %d to %d".formatted(shape, format, lengths[0], lengths[lengths.length - 1]),
                (kernels, seed) -> {
                    var check = new CausalConvCheck(kernels.device(), kernels);
                    check.check(new CausalConvCheck.Case(shape, format, true, true, 0, lengths, seed));
                    check.check(new CausalConvCheck.Case(shape, format, false, false, 0, lengths, seed + 1));
                });
    }

    private void scan(Extent extent, MambaShape shape, SsdChunkScan.Form form, int... lengths) {
        add("ssd_chunk_scan", extent, "%s, %s, prompts of %d to %d".formatted(shape, form, lengths[0], lengths[lengths.length - 1]),
                (kernels, seed) -> new SsdChunkScanCheck(kernels.device(), kernels)
                        .check(new SsdChunkScanCheck.Case(shape, form, SsdChunkScanCheck.CHOSEN, lengths, seed)));
    }

    private void update(Extent extent, MambaShape shape, FloatFormat format, GatedNormCheck.Target target, int steps, int... rows) {
        add("selective_state_update", extent, "%s, %s to %s, %d rows".formatted(shape, format, target, rows.length),
                (kernels, seed) -> new SelectiveStateUpdateCheck(kernels.device(), kernels).check(new SelectiveStateUpdateCheck.Case(
                        shape, format, target, true, SelectiveStateUpdateCheck.CHOSEN, rows, steps, seed)));
    }

    /// Sequences 0 to `count - 1` in an order that no block size divides.
    private static int[] shuffled(int count) {
        int[] rows = new int[count];
        for (int i = 0; i < count; i++) {
            rows[i] = i * 37 % count;
        }
        return rows;
    }

    // ---- experts ----------------------------------------------------------------------------------------------------------

    private void experts() {
        for (MoeRoute.GateType gate : MoeRoute.GateType.values()) {
            for (int tokens : new int[] {1, 5, 129}) {
                route(Extent.SMALL, gate, MoeRouteCheck.Case.of(130, 33, 4, 2, tokens, 0).withPadding());
            }
            for (int tokens : new int[] {1, 4, 64, 257, 2048}) {
                route(Extent.REAL, gate, MoeRouteCheck.Case.of(HIDDEN, 128, 6, 2, tokens, 0));
            }
        }
        add("moe_route", Extent.SMALL, "ties, extreme biases, routing groups", (kernels, seed) -> {
            var check = new MoeRouteCheck(kernels.device(), kernels);
            check.check(MoeRouteCheck.Case.of(256, 16, 6, 0, 9, seed).with(MoeRouteCheck.Scores.TIES));
            check.check(MoeRouteCheck.Case.of(256, 20, 10, 0, 9, seed).with(MoeRouteCheck.Scores.EXTREME_BIAS));
            check.check(MoeRouteCheck.Case.of(128, 64, 6, 1, 6, seed).with(new MoeRoute.Choosing(8, 3, true)));
        });
        for (ExpertFormat format : ExpertFormat.values()) {
            expert(Extent.SMALL, SMALL_EXPERTS, format, MoeExpertsCheck.Routing.SKEWED, 7, Way.STREAM);
            expert(Extent.SMALL, SMALL_EXPERTS, format, MoeExpertsCheck.Routing.UNIFORM, 17, Way.TILE16);
            expert(Extent.SMALL, SMALL_EXPERTS, format, MoeExpertsCheck.Routing.SAME, 65, Way.TILE32);
            expert(Extent.SMALL, SMALL_EXPERTS, format, MoeExpertsCheck.Routing.SKEWED, 130, Way.TILE128);
            expert(Extent.SMALL, new ExpertShape(80, 5, 3, 48, 112), format, MoeExpertsCheck.Routing.UNIFORM, 9, Way.PLAIN);
            expert(Extent.REAL, EXPERTS, format, MoeExpertsCheck.Routing.UNIFORM, 3, Way.STREAM);
            expert(Extent.REAL, EXPERTS, format, MoeExpertsCheck.Routing.UNIFORM, 17, Way.TILE16);
        }
        expert(Extent.REAL, EXPERTS, ExpertFormat.E4M3, MoeExpertsCheck.Routing.SKEWED, 40, Way.TILE32);
        expert(Extent.REAL, EXPERTS, ExpertFormat.E4M3, MoeExpertsCheck.Routing.SAME, 130, Way.TILE128);
        for (ExpertFormat format : List.of(ExpertFormat.BF16, ExpertFormat.E4M3)) {
            expert(Extent.SMALL, SMALL_EXPERTS, format, MoeExpertsCheck.Routing.SKEWED, 130, Way.WARPGROUP);
            expert(Extent.REAL, EXPERTS, format, MoeExpertsCheck.Routing.UNIFORM, 130, Way.WARPGROUP);
        }
        add("moe_experts", Extent.REPLAYS, replays + " replays of router and experts", (kernels, seed) ->
                new MoeGraphCheck(kernels.device(), kernels).check(replays, seed));
    }

    private void route(Extent extent, MoeRoute.GateType gate, MoeRouteCheck.Case c) {
        MoeRouteCheck.Case typed = gate == MoeRoute.GateType.F32 ? c.withFloats() : c;
        add("moe_route", extent, "%d of %d experts, %d tokens of %d, gate %s".formatted(c.shape().active(), c.shape().experts(),
                c.tokens(), c.hidden(), gate), (kernels, seed) ->
                new MoeRouteCheck(kernels.device(), kernels).check(typed.seeded(seed)));
    }

    private void expert(Extent extent, ExpertShape shape, ExpertFormat format, MoeExpertsCheck.Routing routing, int tokens, Way way) {
        boolean warpgroups = way == Way.WARPGROUP;
        add(warpgroups ? "sm90_moe_experts" : "moe_experts", extent, "%d of %d experts of %d, %s, %d tokens %s, %s".formatted(
                shape.active(), shape.experts(), shape.width(), format, tokens, routing, way), (kernels, seed) -> {
                    if (!warpgroups || new MoeExperts(kernels).takesWarpgroups(shape, format)) {
                        new MoeExpertsCheck(kernels.device(), kernels, MoeExpertsCheck.TENSOR_E4M3_TOLERANCE)
                                .check(new MoeExpertsCheck.Case(shape, format, routing, tokens > 8, tokens, seed), way);
                    }
                });
    }

    // ---- attention --------------------------------------------------------------------------------------------------------

    private void attention() {
        for (CacheType cache : CacheType.values()) {
            add("kv_write", Extent.SMALL, "pieces at the edges of blocks, " + cache, (kernels, seed) -> {
                var check = new KvWriteCheck(kernels.device(), kernels);
                for (int count : EDGES) {
                    check.checkPieces(AttentionCase.of(new AttentionShape(2, 1, 16), cache, ActivationRows.Type.F32, seed + count,
                            piece(0, 0, count), padded(3), piece(1, 126, count), piece(2, 128, 1)), 0);
                }
            });
            add("kv_write", Extent.REAL, "32 heads of 128, decode, " + cache, (kernels, seed) ->
                    new KvWriteCheck(kernels.device(), kernels).checkDecode(decoding(ATTENTION, cache, ActivationRows.Type.F32, seed,
                            0, 1, 2, 128, 0, 129, 1500, 0)));
            decode(Extent.SMALL, new AttentionShape(4, 2, 64), cache, 130, 0, 255, 3, 700);
            decode(Extent.SMALL, new AttentionShape(20, 1, 80), cache, 1, 129, 0);
            decode(Extent.SMALL, new AttentionShape(6, 2, 20), cache, 1, 0, 129);
            decode(Extent.REAL, ATTENTION, cache, 0, 127, 128, 1537, 0, 129, 1, 8192, 5000);
            decode(Extent.REAL, ATTENTION, cache, 65_536);
            prompt(Extent.SMALL, new AttentionShape(4, 2, 64), cache, padded(3), piece(0, 0, 65), piece(1, 300, 2), padded(1));
            prompt(Extent.SMALL, new AttentionShape(6, 2, 20), cache, piece(0, 0, 5), padded(3), piece(1, 125, 6));
            prompt(Extent.SMALL, new AttentionShape(10, 2, 128), cache, padded(3), piece(0, 120, 17), piece(1, 0, 2), padded(1));
            prompt(Extent.REAL, ATTENTION, cache, piece(0, 0, 300), piece(1, 1024, 33), padded(2), piece(2, 127, 3));
            prompt(Extent.REAL, ATTENTION, cache, piece(0, 8192, 64));
            prompt(Extent.REAL, ATTENTION, cache, piece(0, 3 * 8192 - 5, 9), piece(1, 8100, 130));
            splits(Extent.SMALL, new AttentionShape(8, 2, 64), cache, 128, piece(0, 700, 3), piece(1, 250, 10));
            splits(Extent.SMALL, new AttentionShape(16, 1, 128), cache, 128, piece(0, 380, 3));
            splits(Extent.REAL, ATTENTION, cache, 128, piece(0, 2000, 100), padded(2), piece(1, 3 * 8192, 5));
            splits(Extent.REAL, ATTENTION, cache, 1024, piece(0, 40_000, 3));
        }
        add("paged_attention_decode", Extent.REPLAYS, replays + " replays, other lengths and tables", (kernels, seed) -> {
            Random random = new Random(seed);
            List<AttentionCase> steps = new ArrayList<>();
            for (int replay = 0; replay < replays; replay++) {
                int[] lengths = random.ints(4, 1, 400).map(length -> random.nextInt(4) == 0 ? 0 : length).toArray();
                steps.add(decoding(new AttentionShape(8, 2, 64), CacheType.E4M3, ActivationRows.Type.F32, seed, lengths));
            }
            new PagedAttentionCheck(kernels.device(), kernels).checkReplays(steps, new DecodeSplit(SplitPolicy.BALANCED, 9));
        });
    }

    private void decode(Extent extent, AttentionShape shape, CacheType cache, int... lengths) {
        for (SplitPolicy policy : List.of(SplitPolicy.BALANCED, SplitPolicy.INVARIANT)) {
            add("paged_attention_decode", extent, "%s, %s, %d contexts to %d, %s".formatted(shape, cache, lengths.length,
                    max(lengths), policy.getClass().getSimpleName()), (kernels, seed) -> {
                        DecodeSplit split = new PagedAttention(kernels).split(policy, shape, cache);
                        new PagedAttentionCheck(kernels.device(), kernels)
                                .checkDecode(decoding(shape, cache, ActivationRows.Type.F32, seed, lengths), split);
                    });
        }
    }

    private static int max(int[] values) {
        int max = 0;
        for (int value : values) {
            max = Math.max(max, value);
        }
        return max;
    }

    private void prompt(Extent extent, AttentionShape shape, CacheType cache, AttentionCase.Piece... pieces) {
        attention(extent, shape, "%s, %s, %d pieces, the first of %d tokens from %d".formatted(shape, cache, pieces.length,
                pieces[0].count(), pieces[0].position()), (check, seed) ->
                check.checkPrompt(AttentionCase.of(shape, cache, ActivationRows.Type.F32, seed, pieces)));
    }

    /// The same bits however contexts are split: by one block, by as many as the device holds, and in longer parts.
    private void splits(Extent extent, AttentionShape shape, CacheType cache, int segmentTokens, AttentionCase.Piece... pieces) {
        List<PromptSplit> splits = List.of(new PromptSplit(1, 0, segmentTokens), new PromptSplit(264, 2112, segmentTokens),
                new PromptSplit(264, 40, segmentTokens), new PromptSplit(50, 2112, segmentTokens));
        attention(extent, shape, "%s, %s, split in any way, segments of %d, the first piece of %d tokens from %d".formatted(
                shape, cache, segmentTokens, pieces[0].count(), pieces[0].position()), (check, seed) ->
                check.checkPromptSplits(AttentionCase.of(shape, cache, ActivationRows.Type.F32, seed, pieces), splits));
    }

    private interface PromptBody {
        void run(PagedAttentionCheck check, long seed);
    }

    /// Of prompts, on the portable kernels, and on those for warpgroups where they take the shape. A device without them has
    /// nothing more to compare.
    private void attention(Extent extent, AttentionShape shape, String name, PromptBody body) {
        add("paged_attention_prompt", extent, name, (kernels, seed) -> body.run(new PagedAttentionCheck(kernels.device(), kernels), seed));
        if (Sm90PagedAttentionPrompt.takes(shape)) {
            add("sm90_paged_attention_prompt", extent, name + ", where there are warpgroups", (kernels, seed) ->
                    Sm90PagedAttentionPrompt.on(kernels).ifPresent(prompts ->
                            body.run(new PagedAttentionCheck(kernels.device(), kernels, Optional.of(prompts)), seed)));
        }
    }

    // ---- sampling ---------------------------------------------------------------------------------------------------------

    private void sampling() {
        for (int vocabulary : new int[] {1, 33, 129, 1001}) {
            sample(Extent.SMALL, SampleCheck.Size.of(vocabulary, 12), 3);
        }
        sample(Extent.SMALL, SampleCheck.Size.of(1001, 9).withStride(1003), 3);
        sample(Extent.REAL, SampleCheck.Size.of(VOCABULARY, 8).withBlock(512, 2048), 4);
        add("sample", Extent.SMALL, "hands tokens to the next step", (kernels, seed) -> {
            for (int rows : new int[] {1, 2, 127, 129, 500}) {
                SampleCheck.checkHandOver(kernels, rows, seed + rows);
            }
        });
        add("sample", Extent.REPLAYS, replays + " replays, other rows and parameters", (kernels, seed) -> {
            try (var check = new SampleCheck(kernels, SampleCheck.Size.of(257, 16))) {
                check.checkReplays(replays, new Random(seed), "seed " + seed);
            }
        });
    }

    private void sample(Extent extent, SampleCheck.Size size, int steps) {
        add("sample", extent, "%d rows of %d logits, %d apart, %d threads".formatted(size.rows(), size.vocabSize(), size.stride(),
                size.threads()), (kernels, seed) -> {
                    Random random = new Random(seed);
                    try (var check = new SampleCheck(kernels, size)) {
                        for (int step = 0; step < steps; step++) {
                            check.check(SampleCases.random(random, size), "seed " + seed + ", step " + step);
                        }
                    }
                });
    }

    // ---- weights of synthetic models --------------------------------------------------------------------------------------

    private void syntheticWeights() {
        for (SyntheticWeights.Form form : SyntheticWeights.Form.values()) {
            for (long elements : new long[] {16, 2064}) {
                synthetic(Extent.SMALL, form, elements);
            }
            synthetic(Extent.REAL, form, 1 << 22);
        }
    }

    private void synthetic(Extent extent, SyntheticWeights.Form form, long elements) {
        add("synthetic_weights", extent, "%d of %s".formatted(elements, form), (kernels, seed) ->
                new SyntheticWeightsCheck(kernels.device(), kernels)
                        .check(new SyntheticWeightsCheck.Case(form, elements, 4.5f / (6 * 448), seed)));
    }
}
