package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;

/// Launches `attention_plan.cu`: settles on the device, once a step for all attention layers, which block does what.
///
/// A plan belongs to the shape, the sequences and, for decode, the split it was made with; the attention launches take the
/// same. Shapes that are not [AttentionShape#isTiled] need none.
public final class AttentionPlan {

    private static final String FAMILY = "attention_plan";
    private static final int THREADS = 256;
    private static final int HEADER_WORDS = 3;
    private static final int PROMPT_HEADER_WORDS = 2;

    /// How a decode step is split.
    ///
    /// @param workers blocks that share the work: a multiple of the device's multiprocessors, as
    ///     [PagedAttention#split] proposes. Under [SplitPolicy.Invariant] results do not depend on it.
    public record DecodeSplit(SplitPolicy policy, int workers) {

        public DecodeSplit {
            if (workers < 1) {
                throw new IllegalArgumentException("attention split among " + workers + " workers");
            }
        }

        int chunkBlocks() {
            return switch (policy) {
                case SplitPolicy.Balanced() -> 0;
                case SplitPolicy.Invariant invariant -> invariant.chunkBlocks();
            };
        }

        int mostChunks() {
            return switch (policy) {
                case SplitPolicy.Balanced() -> 0;
                case SplitPolicy.Invariant invariant -> invariant.mostChunks();
            };
        }

        /// Places for partial results that steps of up to `sequences` sequences of up to `maxBlocks` blocks can need.
        public int partialSlots(AttentionShape shape, int sequences, int maxBlocks) {
            return switch (policy) {
                // A worker leaves at most one part of a context that it continues and one that it begins.
                case SplitPolicy.Balanced() -> 2 * workers;
                case SplitPolicy.Invariant(int chunkBlocks, int mostChunks) -> Math.toIntExact(
                        (long) sequences * shape.units() * Math.min(mostChunks, Math.ceilDiv(maxBlocks, chunkBlocks)));
            };
        }
    }

    private final Kernel prompt;
    private final Kernel balanced;
    private final Kernel invariant;

    public AttentionPlan(Kernels kernels) {
        prompt = kernels.get(FAMILY, "attention_plan_prompt");
        balanced = kernels.get(FAMILY, "attention_plan_balanced");
        invariant = kernels.get(FAMILY, "attention_plan_invariant");
    }

    /// Bytes of a plan of prompt pieces.
    public static long promptBytes(int sequences) {
        return (PROMPT_HEADER_WORDS + 2L * (sequences + 1)) * Integer.BYTES;
    }

    /// Bytes of a plan of a decode step.
    public static long decodeBytes(int sequences, DecodeSplit split) {
        return (HEADER_WORDS + sequences + (long) split.workers()) * Integer.BYTES;
    }

    /// Tiles that pieces of up to `rows` rows together can have. A piece of n rows has at most
    /// `n * tilesPerBlock / 128 + 3`: the ends lie anywhere in their tile, and the last tile of each 128 tokens may be short.
    static int mostTiles(AttentionShape shape, int sequences, int rows) {
        if (!shape.isTiled()) {
            return 0;
        }
        int tilesPerBlock = Math.ceilDiv(KvCacheLayer.BLOCK_TOKENS, shape.tileTokens());
        long whole = Math.ceilDiv((long) rows * tilesPerBlock, KvCacheLayer.BLOCK_TOKENS);
        return Math.toIntExact(Math.min(rows, whole + 3L * Math.min(rows, sequences)));
    }

    /// Cuts the pieces of prompts into tiles of query tokens, and long contexts into parts where tiles are few.
    ///
    /// @param plan int32, [#promptBytes]
    public void prompt(Stream stream, long plan, AttentionShape shape, StepSequences step, PromptSplit split) {
        if (!shape.isTiled()) {
            return;
        }
        if (step.start() == 0) {
            throw new IllegalArgumentException("a plan of attention of prompts without the first row of each sequence");
        }
        prompt.arguments()
                .pointer(plan).pointer(step.start()).pointer(step.position()).pointer(step.slot()).int32(step.sequences())
                .int32(shape.kvHeads()).int32(split.workers()).int32(split.slots()).int32(shape.tileTokens())
                .int32(split.segmentTokens())
                .launchOverlapping(stream, LaunchShape.of(1, THREADS));
    }

    /// Cuts the contexts of a decode step.
    ///
    /// @param plan int32, [#decodeBytes]
    public void decode(Stream stream, long plan, AttentionShape shape, StepSequences step, DecodeSplit split) {
        if (!shape.isTiled()) {
            return;
        }
        Kernel kernel = switch (split.policy()) {
            case SplitPolicy.Balanced() -> balanced;
            case SplitPolicy.Invariant _ -> invariant;
        };
        Arguments arguments = kernel.arguments()
                .pointer(plan).pointer(step.position()).pointer(step.slot()).int32(step.sequences()).int32(shape.units())
                .int32(split.workers());
        switch (split.policy()) {
            case SplitPolicy.Balanced() -> { }
            case SplitPolicy.Invariant(int chunkBlocks, int mostChunks) -> arguments.int32(chunkBlocks).int32(mostChunks);
        }
        arguments.launchOverlapping(stream, LaunchShape.of(1, THREADS));
    }
}
