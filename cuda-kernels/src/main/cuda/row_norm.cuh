// row_norm.cuh: how a row of the residual stream is normalised by a block, whichever kernel does it.
//
//   y[c] = x[c] / sqrt(mean over c of x[c]^2 + epsilon) * weight[c]
//
// `threads` threads (a power of two from 64 to 256, by the width alone: RmsNorm.java) take a row four values at a time: thread i
// the columns 4 i, 4 (i + threads), ... in ascending order. Sums of squares: each thread its own, then a butterfly over the
// lanes, then warps in ascending order. rms_norm.cu and linear.cu share this, so that a row has the same bits whether a kernel
// of its own normalises it or the product that reads it.

#pragma once

#include "common.cuh"

__device__ __forceinline__ float add_squares(float squares, float4 x) {
    return __fmaf_rn(x.w, x.w, __fmaf_rn(x.z, x.z, __fmaf_rn(x.y, x.y, __fmaf_rn(x.x, x.x, squares))));
}

__device__ __forceinline__ float row_scale(float squares, float inverse_width, float epsilon) {
    return rsqrtf(__fmaf_rn(squares, inverse_width, epsilon));
}

__device__ __forceinline__ float4 scaled_by(float4 x, float scale, float4 weight) {
    return make_float4(__fmul_rn(__fmul_rn(x.x, scale), weight.x), __fmul_rn(__fmul_rn(x.y, scale), weight.y),
                       __fmul_rn(__fmul_rn(x.z, scale), weight.z), __fmul_rn(__fmul_rn(x.w, scale), weight.w));
}

__device__ __forceinline__ uint2 rounded_to_bf16(float4 y) { return make_uint2(pack_bf16x2(y.x, y.y), pack_bf16x2(y.z, y.w)); }

// What `rounded`, the same values in bf16, has lost.
__device__ __forceinline__ uint2 lost_in_bf16(float4 y, uint2 rounded) {
    float2 first = unpack_bf16x2(rounded.x);
    float2 second = unpack_bf16x2(rounded.y);
    return make_uint2(pack_bf16x2(__fadd_rn(y.x, -first.x), __fadd_rn(y.y, -first.y)),
                      pack_bf16x2(__fadd_rn(y.z, -second.x), __fadd_rn(y.w, -second.y)));
}

// Four codes in a word, the first in its lowest byte.
__device__ __forceinline__ uint32_t quantised_to_e4m3(float4 y, float inverse_scale) {
    uint32_t first = pack_e4m3x2(__fmul_rn(y.x, inverse_scale), __fmul_rn(y.y, inverse_scale));
    uint32_t second = pack_e4m3x2(__fmul_rn(y.z, inverse_scale), __fmul_rn(y.w, inverse_scale));
    return first | second << 16;
}
