// rms_norm.cu: root-mean-square normalisation of rows of the residual stream, after adding to them.
//
//   x = residual[row[t]]  (+ added[row[t]], written back to residual[row[t]])
//   y[t, c] = x[c] / sqrt(mean over c of x[c]^2 + epsilon) * weight[c]
//
//   y         [rows, width]  out   bf16, with y_low also bf16(y - bf16(y)) where y_low is not null; e4m3(y * inverse_scale); fp32
//   residual  fp32 [.., width]  in; out where added is not null
//   added     fp32 [.., width]  in, may be null
//   row       int32 [rows]   in    which row of the residual each row of y comes from; null: its own. -1: a padded row,
//                                  nothing is read or written. No two rows are the same where added is not null
//   weight    bf16 or fp32 [width]  in
//   inverse_width, inverse_scale    1 / width, 1 / input scale: a division here would cost every kernel registers
//
// Two forms, chosen by width alone, so that a row's order of sums depends on nothing else:
//   _by_block  a block per row, blockDim.x <= 256, four values at a time: width a multiple of 4, all addresses of 16 bytes.
//              Order of sums: row_norm.cuh. Rows of up to 16 values per thread are read once and held in registers. Shared memory: 8 floats.
//   _by_warp   a warp per row, 4 rows per block of 128 threads, any width. No shared memory.
// Grid: ceil(rows / rows per block). Sums in fp32. Needs sm_80 or later. Waits for the grid dependency before it reads.
// Source: Zhang and Sennrich 2019 (arXiv:1910.07467), the definition of RMSNorm.

#include "row_norm.cuh"

constexpr int BLOCK = 256;
constexpr int WARP_ROWS = 4;
// How many times four values a thread holds; more are read again. A row of 4096 fits a block of 256.
constexpr int HELD = 4;

struct Bf16Rows {
    bf16* high;
    bf16* low;

    __device__ __forceinline__ void store(size_t at, float y) const {
        bf16 rounded = to_bf16(y);
        high[at] = rounded;
        if (low != nullptr) {
            low[at] = to_bf16(y - to_float(rounded));
        }
    }

    __device__ __forceinline__ void store4(size_t at, float4 y) const {
        uint2 rounded = rounded_to_bf16(y);
        *reinterpret_cast<uint2*>(high + at) = rounded;
        if (low != nullptr) {
            *reinterpret_cast<uint2*>(low + at) = lost_in_bf16(y, rounded);
        }
    }
};

struct E4m3Rows {
    e4m3* quantised;
    float inverse_scale;

    __device__ __forceinline__ void store(size_t at, float y) const { quantised[at] = to_e4m3(y * inverse_scale); }

    __device__ __forceinline__ void store4(size_t at, float4 y) const {
        *reinterpret_cast<uint32_t*>(quantised + at) = quantised_to_e4m3(y, inverse_scale);
    }
};

struct F32Rows {
    float* exact;

    __device__ __forceinline__ void store(size_t at, float y) const { exact[at] = y; }

    __device__ __forceinline__ void store4(size_t at, float4 y) const { *reinterpret_cast<float4*>(exact + at) = y; }
};

__device__ __forceinline__ float4 weights_at(const float* weight, int at) {
    return *reinterpret_cast<const float4*>(weight + at);
}

__device__ __forceinline__ float4 weights_at(const bf16* weight, int at) {
    uint2 bits = *reinterpret_cast<const uint2*>(weight + at);
    float2 first = unpack_bf16x2(bits.x);
    float2 second = unpack_bf16x2(bits.y);
    return make_float4(first.x, first.y, second.x, second.y);
}

__device__ __forceinline__ float weight_at(const float* weight, int at) { return weight[at]; }

__device__ __forceinline__ float weight_at(const bf16* weight, int at) { return to_float(weight[at]); }

// Four values of the residual row, with what is to be added, which is written back.
__device__ __forceinline__ float4 take4(float* residual, const float* added, size_t at) {
    float4 x = *reinterpret_cast<const float4*>(residual + at);
    if (added != nullptr) {
        float4 more = *reinterpret_cast<const float4*>(added + at);
        x = make_float4(x.x + more.x, x.y + more.y, x.z + more.z, x.w + more.w);
        *reinterpret_cast<float4*>(residual + at) = x;
    }
    return x;
}

template <typename Weight, typename Out>
__device__ __forceinline__ void store_scaled4(Out out, size_t at, float4 x, float scale, const Weight* weight, int column) {
    out.store4(at, scaled_by(x, scale, weights_at(weight, column)));
}

template <typename Weight, typename Out>
__device__ __forceinline__ void norm_by_block(Out out, float* residual, const float* added, const int* row,
                                              const Weight* weight, int width, float inverse_width, float epsilon) {
    __shared__ float scratch[BLOCK / WARP];
    grid_dependency_wait();
    grid_dependency_launch();
    int source = row == nullptr ? static_cast<int>(blockIdx.x) : row[blockIdx.x];
    if (source < 0) {
        return;
    }
    size_t from = static_cast<size_t>(source) * width;
    size_t to = static_cast<size_t>(blockIdx.x) * width;
    int first = static_cast<int>(threadIdx.x) * 4;
    int stride = static_cast<int>(blockDim.x) * 4;

    // Take the row and sum its squares; what a thread wrote back it alone reads again.
    float4 held[HELD];
    float squares = 0.0f;
#pragma unroll
    for (int k = 0; k < HELD; k++) {
        int column = first + k * stride;
        if (column < width) {
            held[k] = take4(residual, added, from + column);
            squares = add_squares(squares, held[k]);
        }
    }
    for (int column = first + HELD * stride; column < width; column += stride) {
        squares = add_squares(squares, take4(residual, added, from + column));
    }
    float scale = row_scale(block_sum(squares, scratch), inverse_width, epsilon);

    // Scale and store.
#pragma unroll
    for (int k = 0; k < HELD; k++) {
        int column = first + k * stride;
        if (column < width) {
            store_scaled4(out, to + column, held[k], scale, weight, column);
        }
    }
    for (int column = first + HELD * stride; column < width; column += stride) {
        float4 x = *reinterpret_cast<const float4*>(residual + from + column);
        store_scaled4(out, to + column, x, scale, weight, column);
    }
}

template <typename Weight, typename Out>
__device__ __forceinline__ void norm_by_warp(Out out, float* residual, const float* added, const int* row,
                                             const Weight* weight, int rows, int width, float inverse_width,
                                             float epsilon) {
    grid_dependency_wait();
    grid_dependency_launch();
    int target = static_cast<int>(blockIdx.x) * WARP_ROWS + static_cast<int>(threadIdx.x) / WARP;
    if (target >= rows) {
        return;
    }
    int source = row == nullptr ? target : row[target];
    if (source < 0) {
        return;
    }
    size_t from = static_cast<size_t>(source) * width;
    size_t to = static_cast<size_t>(target) * width;
    int lane = static_cast<int>(threadIdx.x) % WARP;

    float squares = 0.0f;
    for (int column = lane; column < width; column += WARP) {
        float x = residual[from + column];
        if (added != nullptr) {
            x += added[from + column];
            residual[from + column] = x;
        }
        squares = __fmaf_rn(x, x, squares);
    }
    float scale = row_scale(warp_sum(squares), inverse_width, epsilon);
    for (int column = lane; column < width; column += WARP) {
        out.store(to + column, residual[from + column] * scale * weight_at(weight, column));
    }
}

#define RMS_NORM(SUFFIX, WEIGHT)                                                                                       \
    extern "C" __global__ __launch_bounds__(BLOCK)                                                                     \
    void rms_norm_by_block_bf16_##SUFFIX(bf16* y, bf16* y_low, float* residual, const float* added, const int* row,    \
        const WEIGHT* weight, int width, float inverse_width, float epsilon) {                                         \
        norm_by_block(Bf16Rows{y, y_low}, residual, added, row, weight, width, inverse_width, epsilon);                \
    }                                                                                                                  \
    KERNEL(rms_norm_by_block_bf16_##SUFFIX);                                                                           \
    extern "C" __global__ __launch_bounds__(BLOCK)                                                                     \
    void rms_norm_by_block_e4m3_##SUFFIX(e4m3* y, float* residual, const float* added, const int* row,                 \
        const WEIGHT* weight, int width, float inverse_width, float epsilon, float inverse_scale) {                    \
        norm_by_block(E4m3Rows{y, inverse_scale}, residual, added, row, weight, width, inverse_width, epsilon);        \
    }                                                                                                                  \
    KERNEL(rms_norm_by_block_e4m3_##SUFFIX);                                                                           \
    extern "C" __global__ __launch_bounds__(BLOCK)                                                                     \
    void rms_norm_by_block_f32_##SUFFIX(float* y, float* residual, const float* added, const int* row,                 \
        const WEIGHT* weight, int width, float inverse_width, float epsilon) {                                         \
        norm_by_block(F32Rows{y}, residual, added, row, weight, width, inverse_width, epsilon);                        \
    }                                                                                                                  \
    KERNEL(rms_norm_by_block_f32_##SUFFIX);                                                                            \
    extern "C" __global__ __launch_bounds__(WARP_ROWS * WARP)                                                          \
    void rms_norm_by_warp_bf16_##SUFFIX(bf16* y, bf16* y_low, float* residual, const float* added, const int* row,     \
        const WEIGHT* weight, int rows, int width, float inverse_width, float epsilon) {                               \
        norm_by_warp(Bf16Rows{y, y_low}, residual, added, row, weight, rows, width, inverse_width, epsilon);           \
    }                                                                                                                  \
    KERNEL(rms_norm_by_warp_bf16_##SUFFIX);                                                                            \
    extern "C" __global__ __launch_bounds__(WARP_ROWS * WARP)                                                          \
    void rms_norm_by_warp_e4m3_##SUFFIX(e4m3* y, float* residual, const float* added, const int* row,                  \
        const WEIGHT* weight, int rows, int width, float inverse_width, float epsilon, float inverse_scale) {          \
        norm_by_warp(E4m3Rows{y, inverse_scale}, residual, added, row, weight, rows, width, inverse_width, epsilon);   \
    }                                                                                                                  \
    KERNEL(rms_norm_by_warp_e4m3_##SUFFIX);                                                                            \
    extern "C" __global__ __launch_bounds__(WARP_ROWS * WARP)                                                          \
    void rms_norm_by_warp_f32_##SUFFIX(float* y, float* residual, const float* added, const int* row,                  \
        const WEIGHT* weight, int rows, int width, float inverse_width, float epsilon) {                               \
        norm_by_warp(F32Rows{y}, residual, added, row, weight, rows, width, inverse_width, epsilon);                   \
    }                                                                                                                  \
    KERNEL(rms_norm_by_warp_f32_##SUFFIX);

RMS_NORM(weight_bf16, bf16)
RMS_NORM(weight_f32, float)
