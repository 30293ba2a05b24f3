// common.cuh: sums and maxima over a warp, sums over a block. Nothing else.

#pragma once

#include "portable.cuh"

constexpr int WARP = 32;
constexpr uint32_t ALL_LANES = 0xffffffffu;

__host__ __device__ constexpr int ceil_div(int dividend, int divisor) { return (dividend + divisor - 1) / divisor; }

// Sum over the 32 lanes, the same bits in each lane: a butterfly adds in an order that no scheduling changes.
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
        value += __shfl_xor_sync(ALL_LANES, value, offset);
    }
    return value;
}

__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
        value = fmaxf(value, __shfl_xor_sync(ALL_LANES, value, offset));
    }
    return value;
}

// Sum over the block, in every thread: warps by butterfly, then the warps' sums in ascending order. `scratch` is shared
// memory for one float per warp; it may be used again after the next barrier. All threads of the block call it;
// blockDim.x is a multiple of 32, and y and z are 1.
__device__ __forceinline__ float block_sum(float value, float* scratch) {
    float sum = warp_sum(value);
    int warps = static_cast<int>(blockDim.x) / WARP;
    if (warps == 1) {
        return sum;
    }
    if (threadIdx.x % WARP == 0) {
        scratch[threadIdx.x / WARP] = sum;
    }
    __syncthreads();
    float total = 0.0f;
    for (int warp = 0; warp < warps; warp++) {
        total += scratch[warp];
    }
    return total;
}
