package dev.sidewinder.bench.gpu;

import dev.sidewinder.bench.gpu.Ceilings.Arithmetic;
import dev.sidewinder.bench.gpu.Operator.Work;
import dev.sidewinder.cuda.kernel.ActivationRows;
import dev.sidewinder.cuda.kernel.AttentionPlan;
import dev.sidewinder.cuda.kernel.AttentionPlan.DecodeSplit;
import dev.sidewinder.cuda.kernel.AttentionShape;
import dev.sidewinder.cuda.kernel.CacheType;
import dev.sidewinder.cuda.kernel.Kernels;
import dev.sidewinder.cuda.kernel.KvCacheLayer;
import dev.sidewinder.cuda.kernel.KvWrite;
import dev.sidewinder.cuda.kernel.PagedAttention;
import dev.sidewinder.cuda.kernel.PromptSplit;
import dev.sidewinder.cuda.kernel.PromptSplit.PromptWorkspace;
import dev.sidewinder.cuda.kernel.Sm90PagedAttentionPrompt;
import dev.sidewinder.cuda.kernel.SplitPolicy;
import dev.sidewinder.cuda.kernel.StepSequences;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;

/// Attention over the paged cache: one token of each sequence, and pieces of prompts; and writing keys and values.
final class AttentionOperators {

    private static final int TURN_TOKENS = 200;

    private AttentionOperators() {}

    static List<Operator> all(ModelSizes sizes) {
        List<Operator> operators = new ArrayList<>();
        for (CacheType cache : List.of(CacheType.E4M3, CacheType.BF16)) {
            for (int context : sizes.contexts()) {
                operators.add(decode(sizes.attention(), cache, 1, context));
            }
            for (int context : sizes.batch()) {
                operators.add(decode(sizes.attention(), cache, sizes.sequences(), context));
            }
            for (int tokens : sizes.prompt()) {
                operators.add(prompt(sizes.attention(), cache, 0, tokens));
                // a piece of a long prompt
                operators.add(prompt(sizes.attention(), cache, 7 * tokens, tokens));
                // a next turn behind as much
                operators.add(prompt(sizes.attention(), cache, 8 * tokens, Math.min(tokens, TURN_TOKENS)));
            }
            operators.add(write(sizes.attention(), cache, sizes.sequences()));
        }
        return operators;
    }

    private static String format(CacheType cache) {
        return switch (cache) {
            case BF16 -> "bf16";
            case E4M3 -> "fp8";
        };
    }

    /// Bytes of keys and values of one token.
    static long tokenBytes(AttentionShape shape, CacheType cache) {
        return 2L * shape.kvHeads() * shape.headDim() * cache.bytes();
    }

    private static int width(AttentionShape shape) {
        return shape.queryHeads() * shape.headDim();
    }

    static Work decodeWork(AttentionShape shape, CacheType cache, int sequences, int context) {
        double bytes = (double) sequences * ((double) context * tokenBytes(shape, cache) + width(shape) * (4 + 2));
        return new Work(bytes, 4.0 * sequences * context * width(shape), Arithmetic.BF16);
    }

    static Work promptWork(AttentionShape shape, CacheType cache, int from, int tokens) {
        // token i of the piece attends to from + i + 1 tokens
        double pairs = (double) tokens * from + tokens * (tokens + 1.0) / 2;
        double bytes = ((double) from + tokens) * tokenBytes(shape, cache) + (double) tokens * width(shape) * (4 + 2);
        return new Work(bytes, 4 * pairs * width(shape), Arithmetic.BF16);
    }

    /// A cache with random numbers and a step over it for each turn, in blocks of its own.
    private static final class Cache {

        private final KvCacheLayer layer;
        private final StepSequences[] steps;

        /// @param pieceTokens tokens of each sequence in the step, the last ones of its context
        Cache(BenchMemory memory, AttentionShape shape, CacheType type, int sequences, int context, int pieceTokens, int turns) {
            int blocks = Math.ceilDiv(context, KvCacheLayer.BLOCK_TOKENS);
            long stride = KvCacheLayer.bytesPerBlock(type, shape.kvHeads(), shape.headDim());
            long bytes = stride * blocks * sequences * turns;
            long address = switch (type) {
                case BF16 -> memory.bf16(bytes / 2);
                case E4M3 -> memory.e4m3(bytes);
            };
            float scale = type == CacheType.E4M3 ? 0.5f : 1;
            layer = new KvCacheLayer(address, type, stride, 0, shape.kvHeads(), shape.headDim(), scale, scale);
            int[] start = new int[sequences + 1];
            Arrays.setAll(start, i -> i * pieceTokens);
            int[] position = new int[sequences];
            Arrays.fill(position, context - pieceTokens);
            long startMemory = pieceTokens == 1 ? 0 : memory.ints(start);
            long positionMemory = memory.ints(position);
            int[] slots = new int[sequences];
            Arrays.setAll(slots, i -> i);
            long slotMemory = memory.ints(slots);
            steps = new StepSequences[turns];
            for (int turn = 0; turn < turns; turn++) {
                int[] table = new int[sequences * blocks];
                for (int i = 0; i < table.length; i++) {
                    // as scattered as an old cache: an order that goes through all blocks
                    table[i] = turn * table.length + (int) ((i * 7919L + 13) % table.length);
                }
                steps[turn] = new StepSequences(startMemory, positionMemory, slotMemory,
                        memory.ints(isOrder(table.length) ? table : inOrder(turn, table.length)), sequences, blocks);
            }
        }

        /// Whether steps of 7,919 reach every block once.
        private static boolean isOrder(int blocks) {
            return blocks % 7919 != 0;
        }

        private static int[] inOrder(int turn, int blocks) {
            int[] table = new int[blocks];
            Arrays.setAll(table, i -> turn * blocks + i);
            return table;
        }
    }

    private static float scoreScale(AttentionShape shape) {
        return (float) (1 / Math.sqrt(shape.headDim()));
    }

    private static Operator decode(AttentionShape shape, CacheType type, int sequences, int context) {
        return new Operator("paged_attention_decode", "attention decode " + format(type), "B=%d L=%d".formatted(sequences, context),
                decodeWork(shape, type, sequences, context), sequences * context * tokenBytes(shape, type),
                (kernels, memory, turns) -> decode(shape, type, sequences, context, kernels, memory, turns));
    }

    private static IntConsumer decode(AttentionShape shape, CacheType type, int sequences, int context, Kernels kernels,
            BenchMemory memory, int turns) {
        var attention = new PagedAttention(kernels);
        var plans = new AttentionPlan(kernels);
        Cache cache = new Cache(memory, shape, type, sequences, context, 1, turns);
        DecodeSplit split = attention.split(SplitPolicy.BALANCED, shape, type);
        StepSequences any = cache.steps[0];
        int slots = split.partialSlots(shape, sequences, any.maxBlocks());
        var workspace = new PagedAttention.Workspace(memory.zeros(PagedAttention.Workspace.partialBytes(shape, slots)),
                memory.zeros(PagedAttention.Workspace.counterBytes(slots)), slots);
        // The plan knows lengths and slots, which are those of every turn.
        long plan = memory.zeros(AttentionPlan.decodeBytes(sequences, split));
        plans.decode(kernels.device().stream(), plan, shape, any, split);
        ActivationRows queries = ActivationRows.f32(memory.f32((long) sequences * width(shape)), width(shape));
        var result = PagedAttention.Result.toBf16(memory.zeros(2L * sequences * width(shape)));
        return turn -> attention.decode(kernels.device().stream(), result, workspace, queries, cache.layer, shape,
                cache.steps[turn], plan, split, scoreScale(shape));
    }

    private static Operator prompt(AttentionShape shape, CacheType type, int from, int tokens) {
        Work work = promptWork(shape, type, from, tokens);
        return new Operator("paged_attention_prompt", "attention prompt " + format(type), "from=%d T=%d".formatted(from, tokens),
                work, (long) work.bytes(), (kernels, memory, turns) -> {
                    // on warpgroup instructions where the device has them: as the backend chooses
                    var attention = new PagedAttention(kernels, Sm90PagedAttentionPrompt.on(kernels));
                    Cache cache = new Cache(memory, shape, type, 1, from + tokens, tokens, turns);
                    StepSequences any = cache.steps[0];
                    PromptSplit split = attention.promptSplit(shape, type, 1, tokens, any.maxBlocks());
                    long plan = memory.zeros(AttentionPlan.promptBytes(1));
                    new AttentionPlan(kernels).prompt(kernels.device().stream(), plan, shape, any, split);
                    var workspace = new PromptWorkspace(memory.zeros(Math.max(1, split.nodeBytes(shape, any.maxBlocks()))),
                            memory.zeros(split.counterBytes()), any.maxBlocks());
                    ActivationRows queries = ActivationRows.f32(memory.f32((long) tokens * width(shape)), width(shape));
                    var result = PagedAttention.Result.toBf16(memory.zeros(2L * tokens * width(shape)));
                    return turn -> attention.prompt(kernels.device().stream(), result, workspace, queries, cache.layer, shape,
                            cache.steps[turn], plan, split, tokens, scoreScale(shape));
                });
    }

    private static Operator write(AttentionShape shape, CacheType type, int sequences) {
        int width = shape.kvHeads() * shape.headDim();
        double bytes = sequences * (2.0 * width * 4 + tokenBytes(shape, type));
        return new Operator("kv_write", "key and value write " + format(type), "B=" + sequences, Work.moving(bytes), (long) bytes,
                (kernels, memory, turns) -> {
                    var write = new KvWrite(kernels);
                    Cache cache = new Cache(memory, shape, type, sequences, KvCacheLayer.BLOCK_TOKENS, 1, turns);
                    ActivationRows keys = ActivationRows.f32(memory.f32((long) sequences * width), width);
                    ActivationRows values = ActivationRows.f32(memory.f32((long) sequences * width), width);
                    return turn -> write.write(kernels.device().stream(), cache.layer, keys, values, cache.steps[turn], sequences);
                });
    }
}
