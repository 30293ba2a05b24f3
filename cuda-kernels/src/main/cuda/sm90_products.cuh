// sm90_products.cuh: tiles of a product on warpgroup instructions, as the products of prompts share them (sm_90a only).
//
//   sum[t, n] = sum over k of x[t, k] * w[n, k]      128 or 64 tokens t, COLUMNS rows n of w, k in steps of 128 bytes
//
// A block is three warpgroups. One thread of the first copies boxes of both operands (tensor_copy, swizzled rows of 128 bytes)
// into a ring of stages and gives its registers away; the other two multiply. Of a tile of more than 64 tokens each has 64
// tokens and all columns; of a smaller one each has all tokens and half of the columns. A stage is `full` when its bytes have
// come, and `empty` when each of the eight multiplying warps has arrived behind its products.
//
// Order of sums, the same for each element whatever the tile's shape is and wherever in it the element stands:
//   bf16   one chain of products over all of k, 16 at a time (ChainedBf16).
//   e4m3   the tensor core keeps about 14 bits of a sum of e4m3 products. A step (128 of k) is one chain of four products,
//          32 at a time; its sum is added to an fp32 sum outside (PromotedE4m3). In two halves of 128 columns where a warpgroup
//          has 256, so that sums and parts fit the registers; the other warpgroup multiplies meanwhile. ChainedE4m3 leaves the
//          promotion out: for measurements of its price.
// This is as far as a product gives an element the same bits wherever in its fragment it stands, as decision 13 says it.
//
// Shared memory: COLUMNS 256: 4 stages of 16 + 32 KiB; 128: 6 of 16 + 16; 64: 8 of 16 + 8: 192 KiB each way; and 20 KiB to turn
// sums into rows. One block a multiprocessor: 217,216 bytes of 232,448. Registers: 168 a thread at the start (65,536 / 384);
// the copying warpgroup keeps 24, the others take 240: (24 + 2 * 240) * 128 = 64,512. COLUMNS 256 needs 128 for the sums, and
// 64 for the parts of e4m3.
//
// A step of 128 x 256 takes the tensor cores 1,024 cycles at their peak (8,192 FLOP a cycle in e4m3, half of that in bf16).
// Shared memory: 48 KiB written and 80 KiB read (each warpgroup reads all of w) at 128 bytes a cycle are 1,024 cycles for
// bf16, 112 KiB and 1,280 for e4m3 in halves: 80 % of 1,979 TFLOP/s = the 1,500 that is the floor's rate. Second-level cache:
// 48 KiB a step are, at the floor's rates, 132 * 49,152 / 1,350 cycles * 1.7 GHz = 8.2 TB/s against 5.5 to 7 known: so expect
// 65 to 80 % of the floor for long k, less the ramp of a block (4 of 21 steps for k = 2,688) and its epilogue (64 to 128 KiB a
// tile, 1 to 2 of 21 steps): 50 to 60 %. By arithmetic; to be measured on a device.
//
// Source: PTX ISA 8.4, "Asynchronous Warpgroup Level Matrix Instructions"; the promotion: DeepSeek-AI 2024 (arXiv:2412.19437), §3.3.2.

#pragma once

#include "common.cuh"
#include "squared_relu.cuh"
#include "warpgroup.cuh"

constexpr int WARPGROUP = 4 * WARP;
constexpr int PRODUCT_THREADS = 3 * WARPGROUP;

// What becomes of a value; the order of Linear.Finish.
enum class Finish { STORE_FLOAT, STORE_BF16, ADD_FLOAT, SQUARED_RELU_BF16, SQUARED_RELU_E4M3 };

#if defined(HOPPER)

constexpr int STEP_BYTES = 128;  // of a row of either operand
constexpr int BOX_TOKENS = 64;
constexpr int TILE_TOKENS = 2 * BOX_TOKENS;
constexpr int BOX_BYTES = BOX_TOKENS * STEP_BYTES;
constexpr int MULTIPLYING_WARPS = 8;
constexpr int COPYING_REGISTERS = 24;
constexpr int MULTIPLYING_REGISTERS = 240;
constexpr int PRODUCTS_OF_STEP = 4;  // of 32 bytes each
constexpr int STAGED_ROWS = 16;      // of a warp's sums at a time
constexpr int STAGED_COLUMNS = 32;
constexpr int STAGED_STRIDE = 40;    // floats: rows of four lanes' pairs meet different banks
constexpr int PART_COLUMNS = 128;

struct ChainedBf16 {
    static constexpr bool PROMOTED = false;
    static constexpr int VALUE_BYTES = 2;
    template <int N>
    static __device__ __forceinline__ void multiply(float (&sum)[N / 2], uint64_t x, uint64_t w, bool accumulate) {
        wgmma_bf16<N>(sum, x, w, accumulate);
    }
};

struct ChainedE4m3 {
    static constexpr bool PROMOTED = false;
    static constexpr int VALUE_BYTES = 1;
    template <int N>
    static __device__ __forceinline__ void multiply(float (&sum)[N / 2], uint64_t x, uint64_t w, bool accumulate) {
        wgmma_e4m3<N>(sum, x, w, accumulate);
    }
};

struct PromotedE4m3 : ChainedE4m3 {
    static constexpr bool PROMOTED = true;
};

// ---- the ring ---------------------------------------------------------------------------------------------------------

// Whose turn it is: copying and multiplying threads count alike.
struct RingPlace {
    int stage = 0;
    uint32_t parity = 0;
};

template <int COLUMNS>
struct Ring {
    static constexpr int TOKEN_BYTES = TILE_TOKENS * STEP_BYTES;
    static constexpr int WEIGHT_BYTES = COLUMNS * STEP_BYTES;
    static constexpr int STAGES = COLUMNS == 256 ? 4 : COLUMNS == 128 ? 6 : 8;
    static constexpr int BARRIERS_AT = STAGES * (TOKEN_BYTES + WEIGHT_BYTES) + MULTIPLYING_WARPS * STAGED_ROWS * STAGED_STRIDE * 4;

    unsigned char* shared;

    __device__ __forceinline__ unsigned char* tokens(int stage) const { return shared + stage * (TOKEN_BYTES + WEIGHT_BYTES); }
    __device__ __forceinline__ unsigned char* weights(int stage) const { return tokens(stage) + TOKEN_BYTES; }
    __device__ __forceinline__ uint64_t* full(int stage) const { return reinterpret_cast<uint64_t*>(shared + BARRIERS_AT) + stage; }
    __device__ __forceinline__ uint64_t* empty(int stage) const { return full(stage) + STAGES; }

    __device__ __forceinline__ float* staged(int warp) const {
        return reinterpret_cast<float*>(shared + STAGES * (TOKEN_BYTES + WEIGHT_BYTES)) + warp * STAGED_ROWS * STAGED_STRIDE;
    }

    // By all threads of the block, before anything else.
    __device__ __forceinline__ void prepare() const {
        if (threadIdx.x == 0) {
            for (int stage = 0; stage < STAGES; stage++) {
                mbarrier_init(full(stage), 1);
                mbarrier_init(empty(stage), MULTIPLYING_WARPS);
            }
            fence_barrier_init();
        }
        __syncthreads();
    }

    static __device__ __forceinline__ void advance(RingPlace& place) {
        place.stage++;
        if (place.stage == STAGES) {
            place.stage = 0;
            place.parity ^= 1;
        }
    }

    // By one thread of each multiplying warp's lanes that have all come here.
    __device__ __forceinline__ void release(int stage) const {
        __syncwarp();
        if (threadIdx.x % WARP == 0) {
            mbarrier_arrive(empty(stage));
        }
    }
};

// Where a tile's operands lie.
struct TileSource {
    int first_token;  // row of the tokens' map
    int tokens;       // 1 to TILE_TOKENS
    int first_column; // row of the weights' map
    int matrix;
};

// Asks for one step of a tile, when its stage is free.
template <int COLUMNS>
__device__ __forceinline__ void copy_step(const Ring<COLUMNS>& ring, RingPlace& place, const TileSource& tile, const TensorMap* x,
                                          int x_byte, const TensorMap* w, int w_byte) {
    uint64_t* full = ring.full(place.stage);
    mbarrier_wait(ring.empty(place.stage), place.parity ^ 1);
    int boxes = tile.tokens > BOX_TOKENS ? 2 : 1;
    mbarrier_arrive_expect_bytes(full, boxes * BOX_BYTES + Ring<COLUMNS>::WEIGHT_BYTES);
    tensor_copy(ring.weights(place.stage), w, w_byte, tile.first_column, tile.matrix, full);
    for (int box = 0; box < boxes; box++) {
        tensor_copy(ring.tokens(place.stage) + box * BOX_BYTES, x, x_byte, tile.first_token + box * BOX_TOKENS, 0, full);
    }
    Ring<COLUMNS>::advance(place);
}

// ---- products -----------------------------------------------------------------------------------------------------------

// The part of a tile that a multiplying warpgroup has.
struct Share {
    int first_token;
    int first_column;
};

template <typename FORMAT, int COLUMNS, int SPAN>
__device__ __forceinline__ void multiply_tile(float (&sum)[SPAN / 2], const Ring<COLUMNS>& ring, RingPlace& place, int steps,
                                              const Share& share) {
    if constexpr (FORMAT::PROMOTED) {
        constexpr int CHUNK = SPAN < PART_COLUMNS ? SPAN : PART_COLUMNS;
#pragma unroll
        for (int i = 0; i < SPAN / 2; i++) {
            sum[i] = 0.0f;
        }
        for (int step = 0; step < steps; step++) {
            const unsigned char* x = ring.tokens(place.stage) + share.first_token * STEP_BYTES;
            const unsigned char* w = ring.weights(place.stage) + share.first_column * STEP_BYTES;
            mbarrier_wait(ring.full(place.stage), place.parity);
#pragma unroll
            for (int chunk = 0; chunk < SPAN / CHUNK; chunk++) {
                float part[CHUNK / 2];
                wgmma_fence();
#pragma unroll
                for (int i = 0; i < PRODUCTS_OF_STEP; i++) {
                    FORMAT::template multiply<CHUNK>(part, wgmma_operand(x + 32 * i),
                                                     wgmma_operand(w + chunk * CHUNK * STEP_BYTES + 32 * i), i > 0);
                }
                wgmma_commit();
                wgmma_wait<0>();
#pragma unroll
                for (int i = 0; i < CHUNK / 2; i++) {
                    sum[chunk * (CHUNK / 2) + i] += part[i];
                }
            }
            ring.release(place.stage);
            Ring<COLUMNS>::advance(place);
        }
    } else {
        int before = 0;  // the stage of the products that may still be under way
        for (int step = 0; step < steps; step++) {
            const unsigned char* x = ring.tokens(place.stage) + share.first_token * STEP_BYTES;
            const unsigned char* w = ring.weights(place.stage) + share.first_column * STEP_BYTES;
            mbarrier_wait(ring.full(place.stage), place.parity);
            wgmma_fence();
#pragma unroll
            for (int i = 0; i < PRODUCTS_OF_STEP; i++) {
                FORMAT::template multiply<SPAN>(sum, wgmma_operand(x + 32 * i), wgmma_operand(w + 32 * i), step > 0 || i > 0);
            }
            wgmma_commit();
            wgmma_wait<1>();
            if (step > 0) {
                ring.release(before);
            }
            before = place.stage;
            Ring<COLUMNS>::advance(place);
        }
        wgmma_wait<0>();
        ring.release(before);
    }
}

// ---- what becomes of the sums ---------------------------------------------------------------------------------------------

// Rows of a tile's outputs.
struct Target {
    void* out;       // element (0, 0) of the tile's row 0
    int64_t stride;  // elements
    int columns;     // that have values
    int stored;      // up to here zeros are stored behind them
    bool wide;       // four values at a time: address and stride are multiples of that
    Finish finish;
    float scale;
    float inverse_out_scale;
};

__device__ __forceinline__ void finish_one(const Target& target, int64_t at, float value) {
    switch (target.finish) {
        case Finish::STORE_FLOAT: static_cast<float*>(target.out)[at] = value; break;
        case Finish::STORE_BF16: static_cast<bf16*>(target.out)[at] = to_bf16(value); break;
        case Finish::ADD_FLOAT: static_cast<float*>(target.out)[at] += value; break;
        case Finish::SQUARED_RELU_BF16: static_cast<bf16*>(target.out)[at] = to_bf16(squared_relu(value)); break;
        case Finish::SQUARED_RELU_E4M3:
            static_cast<e4m3*>(target.out)[at] = to_e4m3(__fmul_rn(squared_relu(value), target.inverse_out_scale));
            break;
    }
}

__device__ __forceinline__ void finish_four(const Target& target, int64_t at, const float4& v) {
    switch (target.finish) {
        case Finish::STORE_FLOAT: *reinterpret_cast<float4*>(static_cast<float*>(target.out) + at) = v; break;
        case Finish::STORE_BF16:
            *reinterpret_cast<uint2*>(static_cast<bf16*>(target.out) + at) = make_uint2(pack_bf16x2(v.x, v.y), pack_bf16x2(v.z, v.w));
            break;
        case Finish::ADD_FLOAT: {
            float4* place = reinterpret_cast<float4*>(static_cast<float*>(target.out) + at);
            float4 old = *place;
            *place = make_float4(old.x + v.x, old.y + v.y, old.z + v.z, old.w + v.w);
            break;
        }
        case Finish::SQUARED_RELU_BF16:
            *reinterpret_cast<uint2*>(static_cast<bf16*>(target.out) + at) =
                make_uint2(pack_bf16x2(squared_relu(v.x), squared_relu(v.y)), pack_bf16x2(squared_relu(v.z), squared_relu(v.w)));
            break;
        case Finish::SQUARED_RELU_E4M3: {
            float s = target.inverse_out_scale;
            uint32_t low = pack_e4m3x2(__fmul_rn(squared_relu(v.x), s), __fmul_rn(squared_relu(v.y), s));
            uint32_t high = pack_e4m3x2(__fmul_rn(squared_relu(v.z), s), __fmul_rn(squared_relu(v.w), s));
            *reinterpret_cast<uint32_t*>(static_cast<e4m3*>(target.out) + at) = low | high << 16;
            break;
        }
    }
}

// Hands out a warp's 16 rows of sums, of which `rows` exist, from `first_row` of the tile and `first_column` of the part on:
// through shared memory, so that consecutive lanes write consecutive columns.
template <int SPAN>
__device__ __forceinline__ void finish_rows(const Target& target, const float (&sum)[SPAN / 2], float* staged, int first_row, int rows,
                                            int first_column) {
    int lane = static_cast<int>(threadIdx.x) % WARP;
    int pair_at = lane / 4 * STAGED_STRIDE + lane % 4 * 2;
#pragma unroll
    for (int chunk = 0; chunk < SPAN / STAGED_COLUMNS; chunk++) {
        if (first_column + chunk * STAGED_COLUMNS >= target.stored) {
            break;
        }
        __syncwarp();  // the rows before these have been read
#pragma unroll
        for (int j = 0; j < STAGED_COLUMNS / 8; j++) {
            int i = (chunk * (STAGED_COLUMNS / 8) + j) * 4;
            *reinterpret_cast<float2*>(staged + pair_at + 8 * j) = make_float2(sum[i], sum[i + 1]);
            *reinterpret_cast<float2*>(staged + pair_at + 8 * STAGED_STRIDE + 8 * j) = make_float2(sum[i + 2], sum[i + 3]);
        }
        __syncwarp();
        int column = first_column + chunk * STAGED_COLUMNS + lane % 8 * 4;
        for (int row = lane / 8; row < STAGED_ROWS; row += 4) {
            if (row < rows) {
                float4 v = *reinterpret_cast<const float4*>(staged + row * STAGED_STRIDE + lane % 8 * 4);
                v = make_float4(__fmul_rn(v.x, target.scale), __fmul_rn(v.y, target.scale), __fmul_rn(v.z, target.scale),
                                __fmul_rn(v.w, target.scale));
                int64_t at = (first_row + row) * target.stride + column;
                if (target.wide && column + 4 <= target.columns) {
                    finish_four(target, at, v);
                } else {
                    float values[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
                    for (int i = 0; i < 4; i++) {
                        if (column + i < target.stored) {
                            finish_one(target, at + i, column + i < target.columns ? values[i] : 0.0f);
                        }
                    }
                }
            }
        }
    }
}

// Everything that a multiplying warpgroup does for one tile.
template <typename FORMAT, int COLUMNS>
__device__ __forceinline__ void compute_tile(const Ring<COLUMNS>& ring, RingPlace& place, int steps, int tokens, int first_column,
                                             const Target& target) {
    int group = static_cast<int>(threadIdx.x) / WARPGROUP - 1;
    int warp = static_cast<int>(threadIdx.x) / WARP % 4;
    float* staged = ring.staged(group * 4 + warp);
    if (tokens > BOX_TOKENS) {
        float sum[COLUMNS / 2];
        multiply_tile<FORMAT, COLUMNS, COLUMNS>(sum, ring, place, steps, Share{group * BOX_TOKENS, 0});
        int row = group * BOX_TOKENS + warp * STAGED_ROWS;
        finish_rows<COLUMNS>(target, sum, staged, row, tokens - row, first_column);
    } else {
        constexpr int SPAN = COLUMNS / 2;
        float sum[SPAN / 2];
        multiply_tile<FORMAT, COLUMNS, SPAN>(sum, ring, place, steps, Share{0, group * SPAN});
        int row = warp * STAGED_ROWS;
        finish_rows<SPAN>(target, sum, staged, row, tokens - row, first_column + group * SPAN);
    }
}

#endif  // HOPPER
