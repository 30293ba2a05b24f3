// wrong_embedding.cu: embedding.cu with a mistake, the last column of each row is the one before it: for tests of what finds
// mistakes.

#include "common.cuh"

__device__ __forceinline__ float to_float(float value) { return value; }

template <typename T>
__device__ __forceinline__ void embed_wrongly(float* residual, const int* token, const T* table, int width, int vocabulary) {
    int id = token[blockIdx.x];
    bool inside = id >= 0 && id < vocabulary;
    float otherwise = id == -1 ? 0.0f : __uint_as_float(0x7fffffffu);
    int first = static_cast<int>(blockIdx.y) * 4096;
    for (int column = first + static_cast<int>(threadIdx.x); column < min(width, first + 4096); column += 128) {
        size_t from = static_cast<size_t>(inside ? id : 0) * width + (column == width - 1 ? max(0, column - 1) : column);
        residual[static_cast<size_t>(blockIdx.x) * width + column] = inside ? to_float(table[from]) : otherwise;
    }
}

extern "C" __global__ __launch_bounds__(128)
void embedding_bf16(float* residual, const int* token, const bf16* table, int width, int vocabulary) {
    embed_wrongly(residual, token, table, width, vocabulary);
}
KERNEL(embedding_bf16);

extern "C" __global__ __launch_bounds__(128)
void embedding_f32(float* residual, const int* token, const float* table, int width, int vocabulary) {
    embed_wrongly(residual, token, table, width, vocabulary);
}
KERNEL(embedding_f32);

extern "C" __global__ __launch_bounds__(128)
void embedding_by_four_bf16(float* residual, const int* token, const bf16* table, int width, int vocabulary) {
    embed_wrongly(residual, token, table, width, vocabulary);
}
KERNEL(embedding_by_four_bf16);

extern "C" __global__ __launch_bounds__(128)
void embedding_by_four_f32(float* residual, const int* token, const float* table, int width, int vocabulary) {
    embed_wrongly(residual, token, table, width, vocabulary);
}
KERNEL(embedding_by_four_f32);
