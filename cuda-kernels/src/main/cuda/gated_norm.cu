// gated_norm.cu: gate and group-wise root-mean-square norm of the rows of a prompt, before the output projection.
//
//   v[t, c]   = y[t, c] * silu(z[t, c])
//   out[t, c] = v[t, c] / sqrt(mean over the channels of c's group of v^2 + epsilon) * weight[c]
//
//   high, low, quantised   [rows, inner]   out; bf16, bf16 pair (low not null) or e4m3 (quantised not null), see mamba.cuh
//   y                      [rows, inner]   in;  bf16 or fp32
//   projected              [rows, row_width]  in; bf16 or fp32, its first inner columns are z
//   weight                 fp32 [inner]    in
//
// Rows are independent: what a row that nobody reads holds (NaN) reaches no other row.
//
// Grid: 4 warps a block, a warp for each (row, group), groups fastest. No shared memory, no barrier. Sums in fp32: 32
// partial sums, then a butterfly.
// gated_norm_* wants groups of 256 or 512 channels that start at multiples of eight, and keeps them in registers;
// gated_norm_plain_* takes any width and reads its input twice (the second time from the cache).
// Bytes a row and layer at inner = 4096, all bf16: 8,192 y + 8,192 z + 8,192 out = 24.6 KB, 8.2 ns at 3.0 TB/s (6.8 ns
// with e4m3 out, 13.7 ns with fp32 y and z).
// Needs sm_80 or later (e4m3: sm_89). Source: model-spec §3.3 (the gate stands before the norm).

#include "mamba.cuh"

constexpr int NORM_THREADS = 128;

template <typename Y, typename Z, int ROUNDS>
__device__ __forceinline__ void normalise_in_registers(const ActivationOut& out, size_t out_at, const Y* y, const Z* z,
                                                       const float* weight, float epsilon) {
    const int lane = threadIdx.x % WARP;
    float value[ROUNDS][8];
    float squares = 0.0f;
#pragma unroll
    for (int round = 0; round < ROUNDS; round++) {
        const int column = (round * WARP + lane) * 8;
        float gate[8];
        load_eight(value[round], y + column);
        load_eight(gate, z + column);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            value[round][i] *= silu(gate[i]);
            squares = fmaf(value[round][i], value[round][i], squares);
        }
    }
    const float factor = rsqrtf(warp_sum(squares) / (ROUNDS * WARP * 8) + epsilon);
#pragma unroll
    for (int round = 0; round < ROUNDS; round++) {
        const int column = (round * WARP + lane) * 8;
        float scale[8];
        load_eight(scale, weight + column);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            value[round][i] *= factor * scale[i];
        }
        out.store_eight(out_at + column, value[round]);
    }
}

template <typename Y, typename Z>
__device__ __forceinline__ void normalise_plain(const ActivationOut& out, size_t out_at, const Y* y, const Z* z,
                                                const float* weight, int width, float epsilon) {
    const int lane = threadIdx.x % WARP;
    float squares = 0.0f;
    for (int column = lane; column < width; column += WARP) {
        const float value = load_element(y + column) * silu(load_element(z + column));
        squares = fmaf(value, value, squares);
    }
    const float factor = rsqrtf(warp_sum(squares) / width + epsilon);
    for (int column = lane; column < width; column += WARP) {
        const float value = load_element(y + column) * silu(load_element(z + column));
        out.store(out_at + column, value * (factor * weight[column]));
    }
}

template <typename Y, typename Z, bool PLAIN>
__device__ __forceinline__ void gated_norm_body(const ActivationOut& out, const Y* y, const Z* projected,
                                                const float* weight, int rows, int groups, int width, int row_width,
                                                float epsilon) {
    grid_dependency_wait();
    const size_t unit = (size_t) blockIdx.x * (NORM_THREADS / WARP) + threadIdx.x / WARP;
    if (unit >= (size_t) rows * groups) {
        return;
    }
    const size_t row = unit / groups;
    const int first = (int) (unit % groups) * width;
    const size_t at = row * groups * width + first;
    const Z* z = projected + row * row_width + first;
    if (PLAIN) {
        normalise_plain(out, at, y + at, z, weight + first, width, epsilon);
    } else if (width == 512) {
        normalise_in_registers<Y, Z, 2>(out, at, y + at, z, weight + first, epsilon);
    } else {
        normalise_in_registers<Y, Z, 1>(out, at, y + at, z, weight + first, epsilon);
    }
}

#define GATED_NORM(NAME, Y, Z, PLAIN)                                                                                 \
    extern "C" __global__ __launch_bounds__(NORM_THREADS) void NAME(                                                  \
        bf16* high, bf16* low, e4m3* quantised, const Y* y, const Z* projected, const float* weight, int rows,        \
        int groups, int width, int row_width, float epsilon, float inverse_scale) {                                     \
        const ActivationOut out = {high, low, quantised, inverse_scale};                                                \
        gated_norm_body<Y, Z, PLAIN>(out, y, projected, weight, rows, groups, width, row_width, epsilon);             \
    }                                                                                                                 \
    KERNEL(NAME);

// named for the types of y and of z
GATED_NORM(gated_norm_bf16_bf16, bf16, bf16, false)
GATED_NORM(gated_norm_bf16_f32, bf16, float, false)
GATED_NORM(gated_norm_f32_bf16, float, bf16, false)
GATED_NORM(gated_norm_f32_f32, float, float, false)
GATED_NORM(gated_norm_plain_bf16_bf16, bf16, bf16, true)
GATED_NORM(gated_norm_plain_bf16_f32, bf16, float, true)
GATED_NORM(gated_norm_plain_f32_bf16, float, bf16, true)
GATED_NORM(gated_norm_plain_f32_f32, float, float, true)
