// embedding.cu: rows of the embedding table to rows of the residual stream.
//
//   residual[t, c] = table[token[t], c]
//
//   residual  fp32 [rows, width]                out
//   token     int32 [rows]                      in   -1: a padded row, which becomes zeros
//   table     bf16 or fp32 [vocabulary, width]  in
//
// Whoever writes the tokens has checked them. One outside the table reads nothing and gives a row of NaN: a mistake shows
// and harms no other row.
//
// Grid: a block of 128 threads per row, y counts parts of 4096 columns. _by_four copies four values at a time: width a
// multiple of 4, all addresses of 16 bytes. Needs sm_80 or later. Waits for the grid dependency before it reads.

#include "common.cuh"

constexpr int BLOCK = 128;
constexpr int COLUMNS = 4096;

__device__ __forceinline__ float4 values_at(const float* table, size_t at) {
    return *reinterpret_cast<const float4*>(table + at);
}

__device__ __forceinline__ float4 values_at(const bf16* table, size_t at) {
    uint2 bits = *reinterpret_cast<const uint2*>(table + at);
    float2 first = unpack_bf16x2(bits.x);
    float2 second = unpack_bf16x2(bits.y);
    return make_float4(first.x, first.y, second.x, second.y);
}

__device__ __forceinline__ float value_at(const float* table, size_t at) { return table[at]; }

__device__ __forceinline__ float value_at(const bf16* table, size_t at) { return to_float(table[at]); }

template <typename T>
__device__ __forceinline__ void embed(float* residual, const int* token, const T* table, int width, int vocabulary) {
    grid_dependency_wait();
    grid_dependency_launch();
    int id = token[blockIdx.x];
    bool inside = id >= 0 && id < vocabulary;
    float otherwise = id == -1 ? 0.0f : __uint_as_float(0x7fffffffu);
    size_t from = static_cast<size_t>(inside ? id : 0) * width;
    size_t to = static_cast<size_t>(blockIdx.x) * width;
    int end = min(width, (static_cast<int>(blockIdx.y) + 1) * COLUMNS);
    for (int column = static_cast<int>(blockIdx.y) * COLUMNS + static_cast<int>(threadIdx.x); column < end; column += BLOCK) {
        residual[to + column] = inside ? value_at(table, from + column) : otherwise;
    }
}

template <typename T>
__device__ __forceinline__ void embed_by_four(float* residual, const int* token, const T* table, int width, int vocabulary) {
    grid_dependency_wait();
    grid_dependency_launch();
    int id = token[blockIdx.x];
    bool inside = id >= 0 && id < vocabulary;
    float otherwise = id == -1 ? 0.0f : __uint_as_float(0x7fffffffu);
    size_t from = static_cast<size_t>(inside ? id : 0) * width;
    size_t to = static_cast<size_t>(blockIdx.x) * width;
    int end = min(width, (static_cast<int>(blockIdx.y) + 1) * COLUMNS);
    int first = static_cast<int>(blockIdx.y) * COLUMNS + static_cast<int>(threadIdx.x) * 4;
    for (int column = first; column < end; column += BLOCK * 4) {
        float4 values = inside ? values_at(table, from + column) : make_float4(otherwise, otherwise, otherwise, otherwise);
        *reinterpret_cast<float4*>(residual + to + column) = values;
    }
}

extern "C" __global__ __launch_bounds__(BLOCK)
void embedding_bf16(float* residual, const int* token, const bf16* table, int width, int vocabulary) {
    embed(residual, token, table, width, vocabulary);
}
KERNEL(embedding_bf16);

extern "C" __global__ __launch_bounds__(BLOCK)
void embedding_f32(float* residual, const int* token, const float* table, int width, int vocabulary) {
    embed(residual, token, table, width, vocabulary);
}
KERNEL(embedding_f32);

extern "C" __global__ __launch_bounds__(BLOCK)
void embedding_by_four_bf16(float* residual, const int* token, const bf16* table, int width, int vocabulary) {
    embed_by_four(residual, token, table, width, vocabulary);
}
KERNEL(embedding_by_four_bf16);

extern "C" __global__ __launch_bounds__(BLOCK)
void embedding_by_four_f32(float* residual, const int* token, const float* table, int width, int vocabulary) {
    embed_by_four(residual, token, table, width, vocabulary);
}
KERNEL(embedding_by_four_f32);
