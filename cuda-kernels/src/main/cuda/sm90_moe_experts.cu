// sm90_moe_experts.cu: the experts' products for prompts, on the warpgroup instructions of sm_90a. moe_experts.cu says what is
// computed and what units, slots and tiles are; tiles here have 128 slots.
//
//   gathered[s] = x[token(s)]                           for each slot s; e4m3: divided by the unit's input scale, rounded
//   middle[s]   = max(0, up_u gathered[s])^2            for each slot of unit u; in down's numbers
//   rows[s]     = down_u middle[s]                      moe_combine of moe_experts.cu adds a token's rows in fixed order
//
//   x             bf16 [tokens, hidden]                       in
//   gathered      bf16 or e4m3 [slots, hidden]                scratch; may be the memory of rows, which is written later
//   up, down      [experts][width, hidden], [experts][hidden, width], bf16 or e4m3; through maps with boxes of COLUMNS rows
//   shared_up, shared_down  [shared_width, hidden], [hidden, shared_width]; maps of the routed ones where there is none
//   weight_scale  fp32 [units] or null                        in; one for up, one for down
//   input_scale   fp32 [units]                                in; e4m3 only
//   middle        bf16 or e4m3 [slots, width]                 scratch, through a map with boxes of 64 rows, as is gathered
//   rows          fp32 [slots, hidden]                        out
//
// Groups meet inside tiles of nobody: a tile belongs to one unit, the rows behind the unit's last slot are multiplied with it
// and not stored, and a tile of up to 64 slots loads 64 (sm90_products.cuh). The expert is the maps' third dimension, so what
// lies behind its last row or its last k (1,856 is 14.5 steps of 128 in e4m3) arrives as zeros, and nothing of the next expert
// arrives at all. A piece of the shared expert ends inside its matrix: there middle's zeros meet the next piece's weights;
// a last piece that is narrower than the others gets zeros stored behind its columns of middle, as far as a step reaches.
//
// Gathering by a kernel of its own writes each row once more: 8,192 tokens * 8 units * 2,688 values are 176 MB in e4m3 (352 in
// bf16), 59 us (117) at 3.0 TB/s, and as many bytes read from the second-level cache, against 0.87 ms (1.66) of products: 7 %.
// In return both operands come by tensor_copy, one thread asks for all of them, and every value is quantised once instead of
// once for each column of tiles (8 times). docs/decisions/0017 has the alternatives.
//
// Grid: gather 8 slots a block, 256 threads. Products: any number of blocks; each takes every gridDim.x-th of tiles x columns of
// tiles, columns first, so a unit's weights are read from memory once and its slots' few tiles find them in the second-level
// cache (an expert's up is 5 MB in e4m3). 8,192 tokens: 512 tiles and the units' remainders, 8 columns up and 11 down at 256:
// 0.66 + 0.66 TFLOP = 0.87 ms at 1,500 TFLOP/s; 8 * 256 / 1856 and 11 * 256 / 2688: 10 and 5 % of it are columns that do not exist.
//
// Needs sm_90a: other code of these kernels traps, and no launcher asks for it. Sources: as sm90_products.cuh.

#include "moe_formats.cuh"
#include "sm90_products.cuh"

constexpr int GATHER_WARPS = 8;

// ---- gather -----------------------------------------------------------------------------------------------------------------

__device__ __forceinline__ void put_eight(bf16* target, const uint4& values, float) { *reinterpret_cast<uint4*>(target) = values; }

__device__ __forceinline__ void put_eight(e4m3* target, const uint4& values, float inverse_scale) {
    *reinterpret_cast<uint2*>(target) = quantise_eight(values, inverse_scale);
}

// One warp a slot.
template <typename TOKEN>
__device__ __forceinline__ void gather(TOKEN* gathered, const bf16* x, const float* input_scale, const int32_t* unit_first,
                                       const uint32_t* slot_source, const int32_t* choice_expert, int hidden, int parts, int units,
                                       int active) {
    int slot = static_cast<int>(blockIdx.x) * GATHER_WARPS + static_cast<int>(threadIdx.x) / WARP;
    if (slot >= unit_first[units]) {
        return;
    }
    size_t token = slot_source[slot] >> 8;
    int rank = static_cast<int>(slot_source[slot] & 0xffu);
    float inverse_scale = 1.0f;
    if (sizeof(TOKEN) == 1) {
        int unit = rank < parts ? rank : parts + choice_expert[token * active + rank - parts];
        inverse_scale = 1.0f / input_scale[unit];
    }
    const bf16* from = x + token * hidden;
    TOKEN* to = gathered + static_cast<size_t>(slot) * hidden;
    for (int i = static_cast<int>(threadIdx.x) % WARP * 8; i < hidden; i += WARP * 8) {
        put_eight(to + i, load_readonly(reinterpret_cast<const uint4*>(from + i)), inverse_scale);
    }
}

#define GATHER_KERNEL(NAME, TOKEN)                                                                                            \
    extern "C" __global__ __launch_bounds__(GATHER_WARPS * WARP) void sm90_moe_gather_##NAME(                                 \
        TOKEN* gathered, const bf16* x, const float* input_scale, const int32_t* unit_first, const uint32_t* slot_source,     \
        const int32_t* choice_expert, int hidden, int parts, int units, int active) {                                         \
        gather(gathered, x, input_scale, unit_first, slot_source, choice_expert, hidden, parts, units, active);               \
    }                                                                                                                         \
    KERNEL(sm90_moe_gather_##NAME);

GATHER_KERNEL(bf16, bf16)
GATHER_KERNEL(e4m3, e4m3)

// ---- products ---------------------------------------------------------------------------------------------------------------

#if defined(HOPPER)

// One direction of all units.
struct ExpertProduct {
    void* out;
    const TensorMap* x;
    const TensorMap* weights;
    const TensorMap* shared_weights;
    const float* weight_scale;
    const float* input_scale;
    const float* out_scale;  // e4m3 outputs only
    const int32_t* unit_first;
    const int32_t* tile_unit;
    const int32_t* tile_first;
    const int32_t* tile_count;
    int hidden;
    int width;
    int shared_width;
    int parts;
};

// Columns of tiles of a direction, of tiles whose unit has all of them.
template <bool UP, int COLUMNS>
__device__ __forceinline__ int column_tiles(const ExpertProduct& p) {
    return ceil_div(UP ? p.width : p.hidden, COLUMNS);
}

template <typename FORMAT, bool UP, int COLUMNS>
struct ExpertTile {
    TileSource source;
    int unit;
    int first_column;
    int columns;  // of the unit
    int steps;
    int first_byte;  // of k, in the rows of the weights

    __device__ __forceinline__ ExpertTile(const ExpertProduct& p, int number) {
        int tile = number / column_tiles<UP, COLUMNS>(p);
        first_column = number % column_tiles<UP, COLUMNS>(p) * COLUMNS;
        unit = p.tile_unit[tile];
        bool shared = unit < p.parts;
        int width = shared ? min(p.width, p.shared_width - unit * p.width) : p.width;
        columns = UP ? width : p.hidden;
        steps = ceil_div((UP ? p.hidden : width) * FORMAT::VALUE_BYTES, STEP_BYTES);
        first_byte = shared && !UP ? unit * p.width * FORMAT::VALUE_BYTES : 0;
        source.first_token = p.tile_first[tile];
        source.tokens = min(TILE_TOKENS, p.unit_first[unit + 1] - source.first_token);
        source.first_column = first_column + (shared && UP ? unit * p.width : 0);
        source.matrix = shared ? 0 : unit - p.parts;
    }

    // A narrow unit has fewer columns of tiles than the others.
    __device__ __forceinline__ bool exists() const { return first_column < columns; }

    __device__ __forceinline__ Target target(const ExpertProduct& p) const {
        Target result;
        result.stride = UP ? p.width : p.hidden;
        result.columns = columns;
        result.stored = UP ? min(p.width, ceil_div(columns, COLUMNS) * COLUMNS) : columns;
        result.wide = result.stride % 4 == 0;
        result.scale = p.weight_scale == nullptr ? 1.0f : p.weight_scale[unit];
        result.inverse_out_scale = 1.0f;
        result.finish = Finish::STORE_FLOAT;
        int64_t skipped = source.first_token * result.stride * 4;
        if constexpr (UP) {
            result.finish = FORMAT::VALUE_BYTES == 1 ? Finish::SQUARED_RELU_E4M3 : Finish::SQUARED_RELU_BF16;
            skipped = source.first_token * result.stride * FORMAT::VALUE_BYTES;
        }
        if constexpr (FORMAT::VALUE_BYTES == 1) {
            result.scale = __fmul_rn(result.scale, p.input_scale[unit]);
            result.inverse_out_scale = UP ? 1.0f / p.out_scale[unit] : 1.0f;
        }
        result.out = static_cast<unsigned char*>(p.out) + skipped;
        return result;
    }
};

template <typename FORMAT, bool UP, int COLUMNS>
__device__ __forceinline__ void expert_products(const ExpertProduct& p) {
    DYN_SMEM(unsigned char, shared);
    using Tile = ExpertTile<FORMAT, UP, COLUMNS>;
    Ring<COLUMNS> ring{shared};
    ring.prepare();
    int tiles = p.tile_count[0] * column_tiles<UP, COLUMNS>(p);
    RingPlace place;
    if (threadIdx.x < WARPGROUP) {
        warpgroup_release_registers<COPYING_REGISTERS>();
        if (threadIdx.x == 0) {
            for (int number = blockIdx.x; number < tiles; number += gridDim.x) {
                Tile tile(p, number);
                const TensorMap* weights = tile.unit < p.parts ? p.shared_weights : p.weights;
                for (int step = 0; tile.exists() && step < tile.steps; step++) {
                    copy_step(ring, place, tile.source, p.x, step * STEP_BYTES, weights, tile.first_byte + step * STEP_BYTES);
                }
            }
        }
    } else {
        warpgroup_take_registers<MULTIPLYING_REGISTERS>();
        for (int number = blockIdx.x; number < tiles; number += gridDim.x) {
            Tile tile(p, number);
            if (tile.exists()) {
                compute_tile<FORMAT>(ring, place, tile.steps, tile.source.tokens, tile.first_column, tile.target(p));
            }
        }
    }
}

#define EXPERTS_BODY(FORMAT, UP, COLUMNS)                                                                                     \
    expert_products<FORMAT, UP, COLUMNS>({out, &x, &weights, &shared_weights, weight_scale, input_scale, out_scale, unit_first, \
                                          tile_unit, tile_first, tile_count, hidden, width, shared_width, parts})
#else
#define EXPERTS_BODY(FORMAT, UP, COLUMNS) __trap()
#endif

#define EXPERTS_KERNEL(NAME, FORMAT, UP, COLUMNS)                                                                             \
    extern "C" __global__ __launch_bounds__(PRODUCT_THREADS, 1) void NAME(                                                    \
        void* out, const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap weights,                            \
        const __grid_constant__ TensorMap shared_weights, const float* weight_scale, const float* input_scale,                \
        const float* out_scale, const int32_t* unit_first, const int32_t* tile_unit, const int32_t* tile_first,               \
        const int32_t* tile_count, int hidden, int width, int shared_width, int parts) {                                      \
        EXPERTS_BODY(FORMAT, UP, COLUMNS);                                                                                    \
    }                                                                                                                         \
    KERNEL(NAME);

EXPERTS_KERNEL(sm90_moe_up_128_bf16, ChainedBf16, true, 128)
EXPERTS_KERNEL(sm90_moe_up_256_bf16, ChainedBf16, true, 256)
EXPERTS_KERNEL(sm90_moe_up_128_e4m3, PromotedE4m3, true, 128)
EXPERTS_KERNEL(sm90_moe_up_256_e4m3, PromotedE4m3, true, 256)
EXPERTS_KERNEL(sm90_moe_down_128_bf16, ChainedBf16, false, 128)
EXPERTS_KERNEL(sm90_moe_down_256_bf16, ChainedBf16, false, 256)
EXPERTS_KERNEL(sm90_moe_down_128_e4m3, PromotedE4m3, false, 128)
EXPERTS_KERNEL(sm90_moe_down_256_e4m3, PromotedE4m3, false, 256)
