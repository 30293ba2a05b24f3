package dev.sidewinder.cuda.kernel;

import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;

/// The kernels of `sm90_paged_attention_prompt.cu`: attention over prompts on the warpgroup instructions of H100 and H200, which
/// [PagedAttention] launches in place of its own for the shapes that they take.
///
/// They take what those of `paged_attention_prompt.cu` take, plan and scratch memory included, and add in another order. **Which
/// of the two computes a row follows from shape, device and setting, never from a step's rows**: a token's bits shall follow from
/// its request alone (docs/decisions/0022).
public final class Sm90PagedAttentionPrompt {

    private static final String FAMILY = "sm90_paged_attention_prompt";
    private static final int THREADS = 384;
    private static final int HEAD_DIM = 128;

    // Shared memory, as the kernels lay it out.
    private static final int STEP_TOKENS = 128;
    private static final int QUERY_BYTES = AttentionShape.TILE_ROWS * HEAD_DIM * CacheType.BF16.bytes();
    private static final int OPERAND_BYTES = STEP_TOKENS * HEAD_DIM * CacheType.BF16.bytes();
    private static final int WIDE_OPERANDS = 6;
    private static final int NARROW_OPERANDS = 4;
    private static final int NARROW_SLOTS = 3;

    private final Map<CacheType, Kernel> kernels = new EnumMap<>(CacheType.class);

    private Sm90PagedAttentionPrompt(Kernels kernels) {
        this.kernels.put(CacheType.BF16, kernels.get(FAMILY, FAMILY + "_128_bf16"));
        this.kernels.put(CacheType.E4M3, kernels.get(FAMILY, FAMILY + "_128_e4m3"));
    }

    /// The kernels, on a device that has these instructions: compute 9.0 and nothing later.
    public static Optional<Sm90PagedAttentionPrompt> on(Kernels kernels) {
        return kernels.device().info().hasWarpgroupProducts() ? Optional.of(new Sm90PagedAttentionPrompt(kernels)) : Optional.empty();
    }

    /// Whether a shape is for these kernels: head_dim 128, and up to 128 query heads a KV head.
    public static boolean takes(AttentionShape shape) {
        return shape.isTiled() && shape.headDim() == HEAD_DIM;
    }

    PagedAttention.PromptKernel of(CacheType type) {
        return new PagedAttention.PromptKernel(kernels.get(type), THREADS, sharedBytes(type));
    }

    static int sharedBytes(CacheType type) {
        return QUERY_BYTES + switch (type) {
            case BF16 -> WIDE_OPERANDS * OPERAND_BYTES;
            case E4M3 -> NARROW_OPERANDS * OPERAND_BYTES + NARROW_SLOTS * STEP_TOKENS * HEAD_DIM;
        };
    }
}
