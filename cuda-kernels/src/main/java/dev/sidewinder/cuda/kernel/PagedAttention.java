package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.AttentionPlan.DecodeSplit;
import dev.sidewinder.cuda.kernel.PromptSplit.PromptWorkspace;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/// Launches `paged_attention_decode.cu`, `paged_attention_prompt.cu` and, where it was made with
/// [Sm90PagedAttentionPrompt], `sm90_paged_attention_prompt.cu`: attention over the paged cache, in which the step's own keys and
/// values already are (see [KvWrite]).
///
/// Shapes that are [AttentionShape#isTiled] take matrix products, all others the plain kernels of
/// `paged_attention_prompt.cu`. Prompts of shapes that [Sm90PagedAttentionPrompt#takes] go to those kernels, all of them: the
/// choice is made by the shape and by how this launcher was made, not by the step. A result depends on its own sequence only, up to its own position, with one exception:
/// decode under [SplitPolicy.Balanced]. Decode and prompt kernels of tiled shapes differ in the last bits.
///
/// Rows in slot -1 are not written. Asynchronous: buffers stay alive until the stream has passed.
public final class PagedAttention {

    private static final String DECODE = "paged_attention_decode";
    private static final String PROMPT = "paged_attention_prompt";
    private static final int THREADS = 128;
    private static final int PLAIN_THREADS = 32;
    private static final int[] TILED_HEAD_DIMS = {64, 80, 128};
    /// Elements that one access of the tiled kernels moves.
    private static final int QUERY_LOAD = 2;
    private static final int RESULT_STORE = 4;

    // Shared memory, as the kernels lay it out.
    private static final int CHUNK_BYTES = 16;
    private static final int DECODE_STAGES = 3;
    private static final int PROMPT_STAGES = 2;
    private static final int STEP_TOKENS = 64;

    /// Where results go: bf16 `[rows, queryHeads * headDim]`, or e4m3 of the values divided by `scale`, or both; 0 is none.
    public record Result(long bf16, long e4m3, float scale) {

        public Result {
            if (bf16 == 0 && e4m3 == 0) {
                throw new IllegalArgumentException("attention without a result");
            }
            if (!(scale > 0) || Float.isInfinite(scale)) {
                throw new IllegalArgumentException("attention with a result scale of " + scale + "; it is finite and above 0");
            }
        }

        public static Result toBf16(long address) {
            return new Result(address, 0, 1);
        }

        public static Result toE4m3(long address, float scale) {
            return new Result(0, address, scale);
        }

        /// The results from some element on.
        ///
        /// @param elements in front of it: rows times `queryHeads * headDim`
        public Result from(long elements) {
            return new Result(bf16 == 0 ? 0 : bf16 + elements * CacheType.BF16.bytes(), e4m3 == 0 ? 0 : e4m3 + elements, scale);
        }
    }

    /// Scratch memory of a decode step; layers that run one after another share it.
    ///
    /// @param partials fp32, [#partialBytes]
    /// @param counters int32, [#counterBytes]; zero before the first launch, and zero again after each
    /// @param slots [DecodeSplit#partialSlots]
    public record Workspace(long partials, long counters, int slots) {

        public static long partialBytes(AttentionShape shape, int slots) {
            return (long) slots * AttentionShape.HEAD_TILE * (shape.headDim() + 2) * Float.BYTES;
        }

        public static long counterBytes(int slots) {
            return 2L * slots * Integer.BYTES;
        }
    }

    /// The kernels of one number format of the cache, by head_dim.
    private record Family(Map<Integer, Kernel> decode, Map<Integer, Kernel> prompt, Kernel plain) {

        static Family of(Kernels kernels, String type) {
            Map<Integer, Kernel> decode = new HashMap<>();
            Map<Integer, Kernel> prompt = new HashMap<>();
            for (int headDim : TILED_HEAD_DIMS) {
                decode.put(headDim, kernels.get(DECODE, DECODE + "_" + headDim + "_" + type));
                prompt.put(headDim, kernels.get(PROMPT, PROMPT + "_" + headDim + "_" + type));
            }
            return new Family(decode, prompt, kernels.get(PROMPT, "paged_attention_plain_" + type));
        }
    }

    /// A kernel for prompts, and what a launch of it needs to know.
    record PromptKernel(Kernel kernel, int threads, int sharedBytes) {}

    private final Map<CacheType, Family> families = new EnumMap<>(CacheType.class);
    private final Optional<Sm90PagedAttentionPrompt> warpgroups;
    private final int multiprocessors;

    /// On portable kernels only.
    public PagedAttention(Kernels kernels) {
        this(kernels, Optional.empty());
    }

    /// @param warpgroups for the prompts of shapes that they take
    public PagedAttention(Kernels kernels, Optional<Sm90PagedAttentionPrompt> warpgroups) {
        this.warpgroups = warpgroups;
        families.put(CacheType.BF16, Family.of(kernels, "bf16"));
        families.put(CacheType.E4M3, Family.of(kernels, "e4m3"));
        multiprocessors = kernels.device().info().multiprocessors();
    }

    /// A split with as many workers as the device holds at once.
    public DecodeSplit split(SplitPolicy policy, AttentionShape shape, CacheType type) {
        if (!shape.isTiled()) {
            return new DecodeSplit(policy, 1);
        }
        Kernel kernel = families.get(type).decode().get(shape.headDim());
        int each = Math.max(1, kernel.blocksPerMultiprocessor(THREADS, decodeSharedBytes(shape, type)));
        return new DecodeSplit(policy, each * multiprocessors);
    }

    /// Attention of one query token per sequence, the last of its context.
    ///
    /// @param queries `[sequences, queryHeads * headDim]`
    /// @param plan from [AttentionPlan#decode] with the same shape, step and split
    /// @param scoreScale by which scores are multiplied, usually 1 / sqrt(headDim)
    public void decode(Stream stream, Result result, Workspace workspace, ActivationRows queries, KvCacheLayer cache,
            AttentionShape shape, StepSequences step, long plan, DecodeSplit split, float scoreScale) {
        checkShape(shape, cache, step, scoreScale);
        if (!shape.isTiled()) {
            plain(stream, result, queries, cache, shape, step, 0, step.sequences(), scoreScale);
            return;
        }
        checkTiled(result, queries);
        if (workspace.slots() < split.partialSlots(shape, step.sequences(), step.maxBlocks())) {
            throw new IllegalArgumentException("attention of %d sequences of up to %d blocks may leave %d partial results; there is room for %d"
                    .formatted(step.sequences(), step.maxBlocks(), split.partialSlots(shape, step.sequences(), step.maxBlocks()),
                            workspace.slots()));
        }
        families.get(cache.type()).decode().get(shape.headDim()).arguments()
                .pointer(result.bf16()).pointer(result.e4m3()).pointer(workspace.partials()).pointer(workspace.counters())
                .pointer(queries.address()).pointer(cache.address()).pointer(plan).pointer(step.position())
                .pointer(step.blockTable()).int64(cache.blockStride()).int64(cache.layerOffset()).int64(queries.stride())
                .int32(step.sequences()).int32(step.maxBlocks()).int32(workspace.slots()).int32(shape.queryHeads())
                .int32(shape.kvHeads()).int32(queries.isFloat()).int32(split.chunkBlocks()).int32(split.mostChunks())
                .float32(scoreScale).float32(cache.keyScale()).float32(cache.valueScale()).float32(result.scale())
                .launchOverlapping(stream, LaunchShape.of(split.workers(), THREADS).withShared(decodeSharedBytes(shape, cache.type())));
    }

    /// A split of prompts among as many workers as the device holds at once.
    ///
    /// @param rows      rows of a step, at most
    /// @param maxBlocks KV blocks of the longest context
    public PromptSplit promptSplit(AttentionShape shape, CacheType type, int sequences, int rows, int maxBlocks) {
        if (!shape.isTiled()) {
            return new PromptSplit(1, 0, PromptSplit.SEGMENT_TOKENS);
        }
        PromptKernel chosen = promptKernel(shape, type);
        int each = Math.max(1, chosen.kernel().blocksPerMultiprocessor(chosen.threads(), chosen.sharedBytes()));
        return PromptSplit.of(each * multiprocessors, shape, sequences, rows, maxBlocks);
    }

    private PromptKernel promptKernel(AttentionShape shape, CacheType type) {
        return warpgroups.filter(_ -> Sm90PagedAttentionPrompt.takes(shape)).map(prompts -> prompts.of(type))
                .orElseGet(() -> new PromptKernel(families.get(type).prompt().get(shape.headDim()), THREADS,
                        promptSharedBytes(shape, type)));
    }

    /// Attention of pieces of prompts.
    ///
    /// @param queries `[rows, queryHeads * headDim]`
    /// @param plan from [AttentionPlan#prompt] with the same shape, step and split
    /// @param rows rows of the step, at least as many as the sequences have together
    /// @param scoreScale by which scores are multiplied, usually 1 / sqrt(headDim)
    public void prompt(Stream stream, Result result, PromptWorkspace workspace, ActivationRows queries, KvCacheLayer cache,
            AttentionShape shape, StepSequences step, long plan, PromptSplit split, int rows, float scoreScale) {
        checkShape(shape, cache, step, scoreScale);
        checkPieces(step, rows);
        if (!shape.isTiled()) {
            plain(stream, result, queries, cache, shape, step, step.start(), rows, scoreScale);
            return;
        }
        checkTiled(result, queries);
        if (step.maxBlocks() > workspace.maxBlocks()) {
            throw new IllegalArgumentException("attention of prompts over contexts of up to %d blocks; there is room for %d"
                    .formatted(step.maxBlocks(), workspace.maxBlocks()));
        }
        long mostCells = AttentionPlan.mostTiles(shape, step.sequences(), rows) * split.segments(step.maxBlocks()) * shape.kvHeads();
        PromptKernel chosen = promptKernel(shape, cache.type());
        chosen.kernel().arguments()
                .pointer(result.bf16()).pointer(result.e4m3()).pointer(workspace.nodes()).pointer(workspace.counters())
                .pointer(queries.address()).pointer(cache.address()).pointer(plan).pointer(step.start()).pointer(step.position())
                .pointer(step.blockTable()).int64(cache.blockStride()).int64(cache.layerOffset()).int64(queries.stride())
                .int32(step.sequences()).int32(step.maxBlocks()).int32(shape.kvHeads()).int32(shape.group())
                .int32(queries.isFloat()).int32(shape.tileTokens()).int32(split.segmentTokens()).int32(split.slots())
                .int32(split.stackNodes(workspace.maxBlocks())).float32(scoreScale).float32(cache.keyScale())
                .float32(cache.valueScale()).float32(result.scale())
                .launch(stream, LaunchShape.of((int) Math.min(split.workers(), mostCells), chosen.threads())
                        .withShared(chosen.sharedBytes()));
    }

    private void plain(Stream stream, Result result, ActivationRows queries, KvCacheLayer cache, AttentionShape shape,
            StepSequences step, long start, int rows, float scoreScale) {
        families.get(cache.type()).plain().arguments()
                .pointer(result.bf16()).pointer(result.e4m3()).pointer(queries.address()).pointer(cache.address())
                .pointer(start).pointer(step.position()).pointer(step.slot()).pointer(step.blockTable())
                .int64(cache.blockStride()).int64(cache.layerOffset()).int64(queries.stride()).int32(step.sequences())
                .int32(step.maxBlocks()).int32(shape.kvHeads()).int32(shape.group()).int32(shape.headDim())
                .int32(queries.isFloat()).float32(scoreScale).float32(cache.keyScale()).float32(cache.valueScale())
                .float32(result.scale())
                .launch(stream, new LaunchShape(rows, shape.queryHeads(), 1, PLAIN_THREADS, 0));
    }

    /// Bytes from row to row in shared memory: an odd number of 16-byte chunks, see the kernels.
    private static int pitch(int rowBytes) {
        return (rowBytes / CHUNK_BYTES | 1) * CHUNK_BYTES;
    }

    private static int decodeSharedBytes(AttentionShape shape, CacheType type) {
        return DECODE_STAGES * 2 * KvCacheLayer.BLOCK_TOKENS * pitch(shape.headDim() * type.bytes());
    }

    private static int promptSharedBytes(AttentionShape shape, CacheType type) {
        int queries = AttentionShape.TILE_ROWS * pitch(shape.headDim() * CacheType.BF16.bytes());
        int operands = 2 * STEP_TOKENS * pitch(shape.headDim() * CacheType.BF16.bytes());
        return queries + switch (type) {
            case BF16 -> PROMPT_STAGES * operands;
            case E4M3 -> operands + PROMPT_STAGES * 2 * STEP_TOKENS * shape.headDim();
        };
    }

    private static void checkPieces(StepSequences step, int rows) {
        if (step.start() == 0 || rows < 1) {
            throw new IllegalArgumentException("attention of " + rows + " rows of prompts"
                    + (step.start() == 0 ? " without the first row of each sequence" : ""));
        }
    }

    private static void checkShape(AttentionShape shape, KvCacheLayer cache, StepSequences step, float scoreScale) {
        if (shape.kvHeads() != cache.kvHeads() || shape.headDim() != cache.headDim()) {
            throw new IllegalArgumentException("attention with %d KV heads of %d over a cache with %d of %d".formatted(
                    shape.kvHeads(), shape.headDim(), cache.kvHeads(), cache.headDim()));
        }
        if (step.mostTokens() > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("block tables of " + step.maxBlocks() + " blocks; positions are 32 bits wide");
        }
        if (!(scoreScale > 0) || Float.isInfinite(scoreScale)) {
            throw new IllegalArgumentException("attention with a score scale of " + scoreScale + "; it is finite and above 0");
        }
    }

    private static void checkTiled(Result result, ActivationRows queries) {
        queries.checkAligned("queries", QUERY_LOAD);
        if (result.bf16() % (RESULT_STORE * 2L) != 0 || result.e4m3() % RESULT_STORE != 0) {
            throw new IllegalArgumentException("attention results at 0x%x and 0x%x; %d elements are written at a time"
                    .formatted(result.bf16(), result.e4m3(), RESULT_STORE));
        }
    }
}
