// moe_formats.cuh: weights and activations of the experts as operands of the matrix instructions.
//
// A product is computed as weights [rows, k] x tokens [k, 8]: rows are the 16 rows of an mma, tokens its 8 columns. The
// sum over k may run in any order as long as both operands agree, so a lane's values are the ones that lie side by side in
// memory: of a block of K_BLOCK values, lane 4 g + i takes the i-th quarter of row g, of row g + 8, and of token g. What
// one load brings is then, register by register, a fragment; no lane exchanges anything, and nothing passes through shared
// memory that does not have to. Every kernel of this family sums in this order, block after block of k, in one accumulator:
// a result has the same bits whichever kernel and tile computed it.
//
// A format says: K_BLOCK; Token (bf16, or e4m3 with a static scale); WEIGHT_BYTES, what a lane loads of a row and block;
// TOKEN_CHUNKS, 16-byte pieces it loads of a token and block; MMAS, instructions a block takes; SCALE, a power of two that
// the result has to be multiplied with; Raw and Fragments, a block of 16 rows as loaded and as multiplied.

#pragma once

#include "common.cuh"

// A lane's rows g and g + 8 of 16, at its own quarter of block 0; block scales for NVFP4 only.
struct WeightRows {
    const uint8_t* low;
    const uint8_t* high;
    const uint8_t* low_scales;
    const uint8_t* high_scales;
};

template <typename VECTOR>
struct RawBlock {
    VECTOR low;
    VECTOR high;
};

// The columns of a block: one fragment an instruction.
template <int MMAS>
struct TokenFragments {
    uint32_t b[MMAS][2];
};

// Data that is read once.
__device__ __forceinline__ uint4 load_weights(const uint4* pointer) { return load_streaming(pointer); }
__device__ __forceinline__ uint2 load_weights(const uint2* pointer) { return load_readonly(pointer); }

__device__ __forceinline__ uint32_t word_of(const uint4& value, int index) {
    return index == 0 ? value.x : index == 1 ? value.y : index == 2 ? value.z : value.w;
}

// bf16 tokens are fragments as they lie in memory.
template <int MMAS>
__device__ __forceinline__ TokenFragments<MMAS> fragments_of(const uint4 (&chunks)[MMAS / 2]) {
    TokenFragments<MMAS> fragments;
#pragma unroll
    for (int i = 0; i < MMAS; i++) {
        fragments.b[i][0] = word_of(chunks[i / 2], i % 2 * 2);
        fragments.b[i][1] = word_of(chunks[i / 2], i % 2 * 2 + 1);
    }
    return fragments;
}

// Weights and tokens both bf16.
struct FormatBf16 {
    using Token = bf16;
    using Raw = RawBlock<uint4>;
    struct Fragments {
        uint32_t a[2][4];
    };
    static constexpr int K_BLOCK = 32;
    static constexpr int WEIGHT_BYTES = 16;
    static constexpr int TOKEN_CHUNKS = 1;
    static constexpr int MMAS = 2;
    static constexpr bool BLOCK_SCALES = false;
    static constexpr float SCALE = 1.0f;

    static __host__ __device__ constexpr size_t weight_bytes(size_t values) { return 2 * values; }

    static __device__ __forceinline__ Fragments expand(const Raw& raw, uint8_t, uint8_t) {
        return {{{raw.low.x, raw.high.x, raw.low.y, raw.high.y}, {raw.low.z, raw.high.z, raw.low.w, raw.high.w}}};
    }

    static __device__ __forceinline__ TokenFragments<MMAS> expand_tokens(const uint4 (&chunks)[TOKEN_CHUNKS]) {
        return fragments_of<MMAS>(chunks);
    }

    static __device__ __forceinline__ void multiply(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
        mma_m16n8k16_bf16(sum, a, b);
    }

    static __device__ __forceinline__ float weight(const uint8_t* row, const uint8_t*, int k) {
        return to_float(reinterpret_cast<const bf16*>(row)[k]);
    }
};

// Weights and tokens both e4m3, widened to f16, which holds every e4m3 value: the products are exact and summed in fp32,
// and on the Hopper chip mma.sync for e4m3 would do no better (it is carried out as conversions and f16 products).
struct FormatE4m3 {
    using Token = e4m3;
    using Raw = RawBlock<uint4>;
    struct Fragments {
        uint32_t a[4][4];
    };
    static constexpr int K_BLOCK = 64;
    static constexpr int WEIGHT_BYTES = 16;
    static constexpr int TOKEN_CHUNKS = 1;
    static constexpr int MMAS = 4;
    static constexpr bool BLOCK_SCALES = false;
    static constexpr float SCALE = 1.0f;

    static __host__ __device__ constexpr size_t weight_bytes(size_t values) { return values; }

    static __device__ __forceinline__ Fragments expand(const Raw& raw, uint8_t, uint8_t) {
        Fragments fragments;
#pragma unroll
        for (int i = 0; i < MMAS; i++) {
            uint32_t low = word_of(raw.low, i);
            uint32_t high = word_of(raw.high, i);
            fragments.a[i][0] = e4m3x2_to_f16x2(static_cast<uint16_t>(low));
            fragments.a[i][1] = e4m3x2_to_f16x2(static_cast<uint16_t>(high));
            fragments.a[i][2] = e4m3x2_to_f16x2(static_cast<uint16_t>(low >> 16));
            fragments.a[i][3] = e4m3x2_to_f16x2(static_cast<uint16_t>(high >> 16));
        }
        return fragments;
    }

    static __device__ __forceinline__ TokenFragments<MMAS> expand_tokens(const uint4 (&chunks)[1]) {
        TokenFragments<MMAS> fragments;
#pragma unroll
        for (int i = 0; i < MMAS; i++) {
            uint32_t values = word_of(chunks[0], i);
            fragments.b[i][0] = e4m3x2_to_f16x2(static_cast<uint16_t>(values));
            fragments.b[i][1] = e4m3x2_to_f16x2(static_cast<uint16_t>(values >> 16));
        }
        return fragments;
    }

    static __device__ __forceinline__ void multiply(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
        mma_m16n8k16_f16(sum, a, b);
    }

    static __device__ __forceinline__ float weight(const uint8_t* row, const uint8_t*, int k) {
        return to_float(e4m3{row[k]});
    }
};

// e4m3 weights, widened exactly to bf16, times bf16 tokens.
struct FormatE4m3Bf16 {
    using Token = bf16;
    using Raw = RawBlock<uint4>;
    struct Fragments {
        uint32_t a[4][4];
    };
    static constexpr int K_BLOCK = 64;
    static constexpr int WEIGHT_BYTES = 16;
    static constexpr int TOKEN_CHUNKS = 2;
    static constexpr int MMAS = 4;
    static constexpr bool BLOCK_SCALES = false;
    static constexpr float SCALE = 1.0f;

    static __host__ __device__ constexpr size_t weight_bytes(size_t values) { return values; }

    static __device__ __forceinline__ Fragments expand(const Raw& raw, uint8_t, uint8_t) {
        Fragments fragments;
#pragma unroll
        for (int i = 0; i < MMAS; i++) {
            uint32_t low = word_of(raw.low, i);
            uint32_t high = word_of(raw.high, i);
            fragments.a[i][0] = e4m3x2_to_bf16x2(static_cast<uint16_t>(low));
            fragments.a[i][1] = e4m3x2_to_bf16x2(static_cast<uint16_t>(high));
            fragments.a[i][2] = e4m3x2_to_bf16x2(static_cast<uint16_t>(low >> 16));
            fragments.a[i][3] = e4m3x2_to_bf16x2(static_cast<uint16_t>(high >> 16));
        }
        return fragments;
    }

    static __device__ __forceinline__ TokenFragments<MMAS> expand_tokens(const uint4 (&chunks)[TOKEN_CHUNKS]) {
        return fragments_of<MMAS>(chunks);
    }

    static __device__ __forceinline__ void multiply(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
        mma_m16n8k16_bf16(sum, a, b);
    }

    static __device__ __forceinline__ float weight(const uint8_t* row, const uint8_t*, int k) {
        return to_float(e4m3{row[k]});
    }
};

// NVFP4 weights (e2m1 codes, low nibble first, one e4m3 scale for 16 values) times bf16 tokens. A lane's quarter of a
// block is one scale block. Code times scale has at most 6 significant bits: exact in bf16. The bits of a code put in the
// place of a bf16's exponent are the value / 2^126; the scale brings 2^118 of that, SCALE the rest, so that the largest
// scale (448) does not overflow. Code 1 is a subnormal float there: kernels are built without flushing them.
struct FormatNvfp4 {
    using Token = bf16;
    using Raw = RawBlock<uint2>;
    using Fragments = FormatE4m3Bf16::Fragments;
    static constexpr int K_BLOCK = 64;
    static constexpr int WEIGHT_BYTES = 8;
    static constexpr int TOKEN_CHUNKS = 2;
    static constexpr int MMAS = 4;
    static constexpr bool BLOCK_SCALES = true;
    static constexpr int SCALED_VALUES = 16;
    static constexpr float SCALE = 256.0f;
    static constexpr float SCALE_FACTOR = 3.3230699894622897e35f;  // 2^118

    static __host__ __device__ constexpr size_t weight_bytes(size_t values) { return values / 2; }

    // Two codes (the low 8 bits) as two bf16, times `scale` and 2^-8.
    static __device__ __forceinline__ uint32_t pair(uint32_t codes, float scale) {
        uint32_t low = (codes & 0x7u) << 22 | (codes & 0x8u) << 28;
        uint32_t high = (codes & 0x70u) << 18 | (codes & 0x80u) << 24;
        return pack_bf16x2(__uint_as_float(low) * scale, __uint_as_float(high) * scale);
    }

    static __device__ __forceinline__ Fragments expand(const Raw& raw, uint8_t low_scale, uint8_t high_scale) {
        float low_factor = to_float(e4m3{low_scale}) * SCALE_FACTOR;
        float high_factor = to_float(e4m3{high_scale}) * SCALE_FACTOR;
        Fragments fragments;
#pragma unroll
        for (int i = 0; i < MMAS; i++) {
            uint32_t low = (i < 2 ? raw.low.x : raw.low.y) >> (i % 2 * 16);
            uint32_t high = (i < 2 ? raw.high.x : raw.high.y) >> (i % 2 * 16);
            fragments.a[i][0] = pair(low, low_factor);
            fragments.a[i][1] = pair(high, high_factor);
            fragments.a[i][2] = pair(low >> 8, low_factor);
            fragments.a[i][3] = pair(high >> 8, high_factor);
        }
        return fragments;
    }

    static __device__ __forceinline__ TokenFragments<MMAS> expand_tokens(const uint4 (&chunks)[TOKEN_CHUNKS]) {
        return fragments_of<MMAS>(chunks);
    }

    static __device__ __forceinline__ void multiply(float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
        mma_m16n8k16_bf16(sum, a, b);
    }

    // Without SCALE's 2^-8.
    static __device__ __forceinline__ float weight(const uint8_t* row, const uint8_t* scales, int k) {
        uint32_t code = k % 2 == 0 ? row[k / 2] & 0xfu : row[k / 2] >> 4;
        float magnitude = (code & 7u) < 2 ? 0.5f * (code & 7u) : __uint_as_float(((code & 7u) << 22) + (126u << 23));
        float value = magnitude * to_float(e4m3{scales[k / SCALED_VALUES]});
        return (code & 8u) != 0 ? -value : value;
    }
};

// The product of one block: 16 rows of weights with 8 tokens.
template <typename FORMAT>
__device__ __forceinline__ void multiply_block(float (&sum)[4], const typename FORMAT::Fragments& rows,
                                               const TokenFragments<FORMAT::MMAS>& tokens) {
#pragma unroll
    for (int i = 0; i < FORMAT::MMAS; i++) {
        FORMAT::multiply(sum, rows.a[i], tokens.b[i]);
    }
}

// Eight bf16 (16 bytes) as eight e4m3 of x * inverse_scale (8 bytes).
__device__ __forceinline__ uint2 quantise_eight(const uint4& values, float inverse_scale) {
    uint32_t packed[4];
#pragma unroll
    for (int i = 0; i < 4; i++) {
        float2 pair = unpack_bf16x2(word_of(values, i));
        packed[i] = pack_e4m3x2(__fmul_rn(pair.x, inverse_scale), __fmul_rn(pair.y, inverse_scale));
    }
    return make_uint2(packed[0] | packed[1] << 16, packed[2] | packed[3] << 16);
}
