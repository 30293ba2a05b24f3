// attention_plan.cuh: the cuts that attention_plan.cu makes and the attention kernels follow.

#pragma once

#include "paged_cache.cuh"

// Partial results are merged in groups of this many, then the groups: nobody reads more than 8 + parts / 8 in a row.
constexpr int MERGE_GROUP = 8;

// The plan of a decode step in memory: see attention_plan.cu.
struct AttentionPlan {
    int* data;
    int sequences;

    __device__ __forceinline__ int& workers() const { return data[0]; }
    __device__ __forceinline__ int& cells() const { return data[1]; }
    __device__ __forceinline__ int* before() const { return data + 2; }
    __device__ __forceinline__ int* owner() const { return data + 3 + sequences; }
};

// Even cut of `cells` cells among `workers`: worker w owns the cells from first_cell(w) up to first_cell(w + 1).
__device__ __forceinline__ int64_t first_cell(int64_t cells, int worker, int workers) { return cells * worker / workers; }

// The worker that owns a cell: the last one with first_cell(worker) <= cell.
__device__ __forceinline__ int owner_of(int64_t cell, int64_t cells, int workers) {
    return static_cast<int>(((cell + 1) * workers - 1) / cells);
}

// KV blocks of an invariant cell of a sequence of `blocks` blocks.
__device__ __forceinline__ int chunk_size(int blocks, int chunk_blocks, int most_chunks) {
    return max(chunk_blocks, ceil_div(blocks, most_chunks));
}

// Tiles of query tokens: each 128 tokens of a sequence are cut into tiles of `tokens` tokens from their start on.
struct QueryTiles {
    int tokens;

    __device__ __forceinline__ int index_of(int position) const {
        return position / BLOCK_TOKENS * ceil_div(BLOCK_TOKENS, tokens) + position % BLOCK_TOKENS / tokens;
    }
    __device__ __forceinline__ int first_position(int index) const {
        int per_block = ceil_div(BLOCK_TOKENS, tokens);
        return index / per_block * BLOCK_TOKENS + index % per_block * tokens;
    }
    // One behind the last position of the tile.
    __device__ __forceinline__ int end_position(int index) const {
        int first = first_position(index);
        return min(first + tokens, first / BLOCK_TOKENS * BLOCK_TOKENS + BLOCK_TOKENS);
    }
};

// Says whether this block is the last of `expected` to come here. What the others wrote before is then visible.
__device__ __forceinline__ bool last_to_arrive(int* counter, int expected) {
    __shared__ bool last;
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        last = atomicAdd(counter, 1) == expected - 1;
        if (last) {
            *counter = 0;  // armed for the next launch
        }
        __threadfence();
    }
    __syncthreads();
    return last;
}
