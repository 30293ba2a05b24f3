// mamba.cuh: what the four Mamba-2 families share: element access, the two non-linear functions, output forms, and where
// states are kept on the way.
//
// A row of the input projection ("projected") is z | x | B | C | dt: the gate [inner], the convolution channels
// [inner + 2 groups state_dim], the raw time steps [heads]; inner = heads x head_dim. Source: model-spec §3.3.

#pragma once

#include "common.cuh"

// Above this softplus(v) is v in fp32. Source: the published model's own code.
constexpr float SOFTPLUS_THRESHOLD = 20.0f;
// Prompt pieces and state checkpoints lie on this grid, see docs/decisions/0001.
constexpr int GRID_TOKENS = 128;

__device__ __forceinline__ float load_element(const bf16* p) { return to_float(*p); }
__device__ __forceinline__ float load_element(const float* p) { return *p; }

__device__ __forceinline__ void store_element(bf16* p, float value) { *p = to_bf16(value); }
__device__ __forceinline__ void store_element(float* p, float value) { *p = value; }

// Eight neighbouring elements; the address is a multiple of 16 bytes.
__device__ __forceinline__ void load_eight(float (&out)[8], const bf16* p) {
    const uint4 raw = *reinterpret_cast<const uint4*>(p);
    const uint32_t words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float2 pair = unpack_bf16x2(words[i]);
        out[2 * i] = pair.x;
        out[2 * i + 1] = pair.y;
    }
}

__device__ __forceinline__ void load_eight(float (&out)[8], const float* p) {
    const float4 low = *reinterpret_cast<const float4*>(p);
    const float4 high = *reinterpret_cast<const float4*>(p + 4);
    out[0] = low.x, out[1] = low.y, out[2] = low.z, out[3] = low.w;
    out[4] = high.x, out[5] = high.y, out[6] = high.z, out[7] = high.w;
}

__device__ __forceinline__ void store_eight(float* p, const float (&value)[8]) {
    *reinterpret_cast<float4*>(p) = make_float4(value[0], value[1], value[2], value[3]);
    *reinterpret_cast<float4*>(p + 4) = make_float4(value[4], value[5], value[6], value[7]);
}

__device__ __forceinline__ float silu(float v) { return v * fast_rcp(1.0f + fast_exp(-v)); }

__device__ __forceinline__ float softplus(float v) { return v > SOFTPLUS_THRESHOLD ? v : log1pf(expf(v)); }

// What is left of a value after its bf16 part: value = high + low to 16 bits. An infinite value leaves nothing.
__device__ __forceinline__ float bf16_rest(float value, bf16 high) {
    const float rest = value - to_float(high);
    return rest == rest ? rest : 0.0f;
}

// The states that pieces of prompts leave on their way, besides the one at their end: see the headers of the two kernels.
struct KeptStates {
    const int* start;  // null: none
    const int* position;
    const int* slot;

    // The slot that gets the state behind so many tokens of a sequence; -1: none.
    __device__ __forceinline__ int slot_behind(int sequence, int tokens) const {
        if (start == nullptr || tokens % GRID_TOKENS != 0) {
            return -1;
        }
        const int end = start[sequence + 1];
        for (int i = start[sequence]; i < end; i++) {
            if (position[i] == tokens) {
                return slot[i];
            }
        }
        return -1;
    }
};

// Activations on their way into a product: bf16, bf16 with a second bf16 for the rest, or e4m3 with one static scale.
struct ActivationOut {
    bf16* high;
    bf16* low;        // null: bf16 alone
    e4m3* quantised;  // not null: e4m3(value * inverse_scale), and nothing else is written
    float inverse_scale;

    __device__ __forceinline__ void store(size_t at, float value) const {
        if (quantised != nullptr) {
            quantised[at] = to_e4m3(value * inverse_scale);
            return;
        }
        const bf16 top = to_bf16(value);
        high[at] = top;
        if (low != nullptr) {
            low[at] = to_bf16(bf16_rest(value, top));
        }
    }

    // Eight neighbours at a multiple of eight.
    __device__ __forceinline__ void store_eight(size_t at, const float (&value)[8]) const {
        if (quantised != nullptr) {
            uint32_t codes[2];
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const float* four = value + 4 * i;
                codes[i] = pack_e4m3x2(four[0] * inverse_scale, four[1] * inverse_scale) |
                           static_cast<uint32_t>(pack_e4m3x2(four[2] * inverse_scale, four[3] * inverse_scale)) << 16;
            }
            *reinterpret_cast<uint2*>(quantised + at) = make_uint2(codes[0], codes[1]);
            return;
        }
        uint32_t top[4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            top[i] = pack_bf16x2(value[2 * i], value[2 * i + 1]);
        }
        *reinterpret_cast<uint4*>(high + at) = make_uint4(top[0], top[1], top[2], top[3]);
        if (low != nullptr) {
            uint32_t rest[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const bf16 first = {(uint16_t) top[i]};
                const bf16 second = {(uint16_t) (top[i] >> 16)};
                rest[i] = pack_bf16x2(bf16_rest(value[2 * i], first), bf16_rest(value[2 * i + 1], second));
            }
            *reinterpret_cast<uint4*>(low + at) = make_uint4(rest[0], rest[1], rest[2], rest[3]);
        }
    }
};
