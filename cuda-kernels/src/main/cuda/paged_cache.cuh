// paged_cache.cuh: where keys and values of a token lie, and how cached numbers become operands of matrix products.
// Shared by kv_write.cu, paged_attention_decode.cu and paged_attention_prompt.cu.
//
// A block (page) holds 128 tokens of one sequence. At `block * block_stride + layer_offset` bytes from the start of the
// cache lie the keys of a layer, [kv_heads, 128, head_dim], and behind them its values in the same shape, bf16 or e4m3.
// Row s of the block table lists the blocks of sequence s. Offsets are 64 bits wide.
//
// Products with a bf16 cache are bf16 products. An e4m3 value is exactly an f16 value, conversion is one instruction for
// two of them, and f16 has three more bits than bf16 for the probabilities: so an e4m3 cache multiplies in f16. Query
// rows are brought into the range of f16 by a power of two (see QueryScale), so nothing overflows and nothing is lost.

#pragma once

#include "common.cuh"

constexpr int BLOCK_TOKENS = 128;
constexpr float LOG2_E = 1.4426950408889634f;

struct PagedCache {
    const uint8_t* data;
    const int* block_table;
    int64_t block_stride;
    int64_t layer_offset;
    int max_blocks;
    int kv_heads;

    // The block that holds tokens [128 * index, 128 * index + 128) of a sequence.
    __device__ __forceinline__ int block(int sequence, int index) const {
        return block_table[static_cast<int64_t>(sequence) * max_blocks + index];
    }

    // The keys of one head in a block, [128, head_dim]; the values lie values_offset() bytes behind.
    __device__ __forceinline__ const uint8_t* keys(int block, int kv_head, int row_bytes) const {
        return data + block * block_stride + layer_offset + static_cast<int64_t>(kv_head) * BLOCK_TOKENS * row_bytes;
    }

    __device__ __forceinline__ int64_t values_offset(int row_bytes) const {
        return static_cast<int64_t>(kv_heads) * BLOCK_TOKENS * row_bytes;
    }
};

// The sequence whose rows include `row`: the last one that starts at or before it and is not empty.
__device__ __forceinline__ int sequence_of_row(const int* start, int sequences, int row) {
    int low = 0;
    int high = sequences;
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (start[middle] <= row) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

// Query rows as the projection left them: bf16 or fp32, `stride` elements from row to row.
struct QueryRows {
    const void* data;
    int64_t stride;
    bool is_float;

    __device__ __forceinline__ float at(int64_t row, int column) const {
        int64_t index = row * stride + column;
        return is_float ? static_cast<const float*>(data)[index] : to_float(static_cast<const bf16*>(data)[index]);
    }

    // Columns `column` and `column + 1`; column and stride are even.
    __device__ __forceinline__ float2 pair(int64_t row, int column) const {
        int64_t index = (row * stride + column) / 2;
        return is_float ? static_cast<const float2*>(data)[index]
                        : unpack_bf16x2(static_cast<const uint32_t*>(data)[index]);
    }
};

// Where the result goes: bf16 [rows, width], or e4m3 of value / scale, or both; null is none.
struct AttentionOutput {
    bf16* plain;
    e4m3* quantised;
    float scale;
    int64_t width;

    __device__ __forceinline__ void store(int64_t row, int column, float value) const {
        int64_t index = row * width + column;
        if (plain != nullptr) {
            plain[index] = to_bf16(value);
        }
        if (quantised != nullptr) {
            quantised[index] = to_e4m3(value / scale);
        }
    }

    // Columns `column` to `column + 3`; column and width are multiples of 4.
    __device__ __forceinline__ void store_four(int64_t row, int column, float4 values) const {
        int64_t index = (row * width + column) / 4;
        if (plain != nullptr) {
            reinterpret_cast<uint2*>(plain)[index] =
                make_uint2(pack_bf16x2(values.x, values.y), pack_bf16x2(values.z, values.w));
        }
        if (quantised != nullptr) {
            uint32_t low = pack_e4m3x2(values.x / scale, values.y / scale);
            uint32_t high = pack_e4m3x2(values.z / scale, values.w / scale);
            reinterpret_cast<uint32_t*>(quantised)[index] = low | high << 16;
        }
    }
};

// The arithmetic that goes with an element type of the cache.
template <typename Element>
struct Arithmetic;

template <>
struct Arithmetic<bf16> {
    static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
        mma_m16n8k16_bf16(d, a, b);
    }
    static __device__ __forceinline__ uint32_t pack(float low, float high) { return pack_bf16x2(low, high); }
    static __device__ __forceinline__ float2 unpack(uint32_t pair) { return unpack_bf16x2(pair); }
};

template <>
struct Arithmetic<e4m3> {
    static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
        mma_m16n8k16_f16(d, a, b);
    }
    static __device__ __forceinline__ uint32_t pack(float low, float high) { return pack_f16x2(low, high); }
    static __device__ __forceinline__ float2 unpack(uint32_t pair) { return unpack_f16x2(pair); }
};

// The power of two that brings a query row with this largest magnitude to [2^14, 2^15), where f16 holds every bf16
// value down to 2^-29 of the largest exactly, and the power that undoes it in the scores. Rows below 2^-60 stay below:
// their scores are zero to fp32 precision either way.
struct QueryScale {
    float up;
    float back;

    static __device__ __forceinline__ QueryScale of(float largest) {
        uint32_t exponent = max((__float_as_uint(largest) >> 23) & 0xffu, 67u);
        return QueryScale{__uint_as_float((127u + 14u + 127u - exponent) << 23), __uint_as_float((exponent - 14u) << 23)};
    }
};

// One step of online softmax for the two rows (lane / 4 and lane / 4 + 8) of a 16-row fragment. `scores` come raw, with
// minus infinity where masked, and leave as 2^(score * scale - maximum). `sum` is this lane's share of the row sum.
// Source: Milakov and Gimelshein 2018 (arXiv:1805.02867), algorithm 3.
template <int TILES>
__device__ __forceinline__ void take_scores(float (&scores)[TILES][4], const float (&scale)[2], float (&maximum)[2],
                                            float (&sum)[2], float (&correction)[2]) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float largest = -INFINITY;
#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
            largest = fmaxf(largest, fmaxf(scores[tile][2 * half], scores[tile][2 * half + 1]));
        }
        largest = fmaxf(largest, __shfl_xor_sync(ALL_LANES, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(ALL_LANES, largest, 2));
        float next = fmaxf(maximum[half], largest * scale[half]);
        float shift = next == -INFINITY ? 0.0f : next;  // nothing visible yet: 2^(-inf - 0) = 0, where -inf + inf is NaN
        correction[half] = fast_exp2(maximum[half] - shift);
        maximum[half] = next;
        float total = 0.0f;
#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
#pragma unroll
            for (int column = 0; column < 2; column++) {
                float& score = scores[tile][2 * half + column];
                score = fast_exp2(__fmaf_rn(score, scale[half], -shift));
                total += score;
            }
        }
        sum[half] = __fmaf_rn(sum[half], correction[half], total);
    }
}
