// prompt_cells.cuh: who does what in attention of prompts, and how the parts of a context become one result.
// Written by attention_plan.cu; followed by the kernels of paged_attention_prompt.cu and sm90_paged_attention_prompt.cu.
//
// What a result is, whoever computes it: the context is cut into segments of `segment_tokens` tokens from the start of the
// sequence. Each is walked with an online softmax of its own, which leaves (weighted values, maximum, sum); these are the
// leaves of a binary tree over the segments' numbers, and its nodes merge their children, left then right. A tree of n
// segments, n no power of two, is what a binary counter leaves after n: complete trees of falling size, merged from the right.
//
// So a block may walk a whole context alone, keeping what its counter holds in a stack of nodes in memory, or take any aligned
// run of 2^k segments and leave one node in a slot: the last block of a tile to arrive merges the slots. The bits are the
// same. A context of one segment needs no node at all.
//
// Segments of 8,192 tokens (the launcher's choice; a power of two from 128 on): each is 537 MFLOP of a tile at head_dim 128, 0.36
// ms for a block of the portable kernel that shares its multiprocessor, 0.14 ms for one on warpgroups; then a node of 68 KiB is
// written, and in the mean once read and merged into another: 272 KiB, mostly in the second-level cache, some 3 us. Half of that
// length would give short pieces behind 16k to 50k tokens twice as many blocks, saving them 0.1 to 0.2 ms a layer, and cost every
// long prompt another 1 to 2 %; twice of it leaves a piece of 200 tokens behind 100k tokens (50 tiles of Nano) 350 cells for 264
// blocks. By arithmetic; not yet measured.

#pragma once

#include "attention_plan.cuh"

// The plan in memory: cells, log2 of the segments of a part, cells before each sequence, slots before each sequence.
struct PromptPlan {
    int* data;
    int sequences;

    __device__ __forceinline__ int& cells() const { return data[0]; }
    __device__ __forceinline__ int& level() const { return data[1]; }
    __device__ __forceinline__ int* before() const { return data + 2; }
    __device__ __forceinline__ int* slots_before() const { return data + 3 + sequences; }
};

struct PromptArguments {
    AttentionOutput output;
    QueryRows query;
    PagedCache cache;
    int heads;          // query heads of a KV head
    float score_scale;  // to base-2 scores, key_scale included
    float value_scale;
};

// Where nodes lie: slots of the parts of tiles, behind them each block's stack.
struct PromptNodes {
    float* slots;
    float* stacks;
    int depth;  // nodes of a stack
};

// Parts of a context of `tokens` tokens.
__device__ __forceinline__ int parts_of(int tokens, int segment_tokens, int level) {
    return ((tokens - 1) / segment_tokens >> level) + 1;
}

// What is the same for all blocks of a launch.
struct PromptWork {
    PromptPlan plan;
    const int* start;
    const int* position;
    int* counters;  // the next ticket, blocks that have ended, arrivals of the parts of a tile at its first slot
    int kv_heads;
    int heads;      // query heads of a KV head
    int tile_tokens;
    int segment_tokens;
};

// What a block takes at a time: a tile of query tokens, one KV head, a part of the context. Row r of the tile is token
// r / heads, head r % heads.
struct PromptCell {
    int sequence;
    int first_position;
    int tokens;
    int first_row;
    int kv_head;
    int heads;
    int first_token;  // of the context; a part begins with a segment
    int end_token;
    int part;
    int parts;
    int slot;  // of the first part, the others' follow; unused where there is one part

    // The segment of the part that ends at or behind `token`, the end of a step.
    __device__ __forceinline__ int segment_before(int token, int segment_tokens) const {
        return (min(token, end_token) - first_token - 1) / segment_tokens;
    }
    __device__ __forceinline__ bool has(int row) const { return row < tokens * heads; }
    __device__ __forceinline__ int position(int row) const { return first_position + row / heads; }
    __device__ __forceinline__ int64_t source_row(int row) const { return first_row + row / heads; }
    __device__ __forceinline__ int head(int row) const { return kv_head * heads + row % heads; }
};

// Whether more than one segment makes the tile's result.
__device__ __forceinline__ bool has_nodes(const PromptCell& cell, const PromptWork& work) {
    return cell.parts > 1 || cell.end_token - cell.first_token > work.segment_tokens;
}

// Cell `number`, which belongs to `sequence`: heads, then parts, then tiles, so that blocks at work at the same time read the same keys.
__device__ __forceinline__ PromptCell cell_at(const PromptWork& work, int sequence, int number) {
    PromptCell cell;
    int from = work.position[sequence];
    int to = from + work.start[sequence + 1] - work.start[sequence];
    int level = work.plan.level();
    int parts = parts_of(to, work.segment_tokens, level);
    int tiles = (work.plan.before()[sequence + 1] - work.plan.before()[sequence]) / (parts * work.kv_heads);
    int local = number - work.plan.before()[sequence];
    int tile = local % tiles;
    QueryTiles cut{work.tile_tokens};
    int index = cut.index_of(from) + tile;
    cell.sequence = sequence;
    cell.first_position = max(from, cut.first_position(index));
    cell.tokens = min(to, cut.end_position(index)) - cell.first_position;
    cell.first_row = work.start[sequence] + cell.first_position - from;
    cell.kv_head = local / (tiles * parts);
    cell.heads = work.heads;
    cell.part = local / tiles % parts;
    // A piece that crosses the end of a part has tiles with fewer parts than the last ones: cells of theirs are empty.
    int end = cell.first_position + cell.tokens;
    cell.parts = parts_of(end, work.segment_tokens, level);
    int64_t span = static_cast<int64_t>(work.segment_tokens) << level;
    cell.first_token = static_cast<int>(min(static_cast<int64_t>(end), cell.part * span));
    cell.end_token = static_cast<int>(min(static_cast<int64_t>(end), (cell.part + 1) * span));
    cell.slot = work.plan.slots_before()[sequence] + (cell.kv_head * tiles + tile) * parts;
    return cell;
}

// Hands every block the next cell that nobody has, late tiles of late sequences first, until none is left. By all threads of
// the block; those that are late may still be at the cell before, until the first barrier.
__device__ __forceinline__ bool next_cell(PromptCell* cell, const PromptWork& work) {
    __shared__ int ticket;
    if (threadIdx.x == 0) {
        ticket = atomicAdd(work.counters, 1);
    }
    __syncthreads();
    int number = work.plan.cells() - 1 - ticket;
    if (number < 0) {
        return false;
    }
    const int* before = work.plan.before();
    for (int sequence = static_cast<int>(threadIdx.x); sequence < work.plan.sequences; sequence += static_cast<int>(blockDim.x)) {
        if (before[sequence] <= number && number < before[sequence + 1]) {
            *cell = cell_at(work, sequence, number);
        }
    }
    __syncthreads();
    return true;
}

// The last block to leave arms the tickets for the next launch.
__device__ __forceinline__ void leave_cells(const PromptWork& work) {
    if (last_to_arrive(work.counters + 1, static_cast<int>(gridDim.x)) && threadIdx.x == 0) {
        work.counters[0] = 0;
    }
}

__device__ __forceinline__ int* arrivals(const PromptWork& work, const PromptCell& cell) { return work.counters + 2 + cell.slot; }

// What walking a segment, or merging some, leaves of a tile, as THREADS threads hold it: FRAGMENTS times VALUES float4 of
// weighted values each (two of row 0, two of row 1 of the thread's rows in the fragment) and one of their maxima and sums. A
// thread's float4 lie THREADS apart. Every thread reads and writes its own.
template <int THREADS, int FRAGMENTS, int VALUES>
struct Node {
    static constexpr int FLOATS = THREADS * FRAGMENTS * (VALUES + 1) * 4;

    float4* first;  // of this thread

    static __device__ __forceinline__ Node at(float* memory, int64_t number, int thread) {
        return Node{reinterpret_cast<float4*>(memory + number * FLOATS) + thread};
    }

    __device__ __forceinline__ float4& values(int fragment, int i) const { return first[(fragment * (VALUES + 1) + i) * THREADS]; }
    __device__ __forceinline__ float4& rows(int fragment) const { return values(fragment, VALUES); }

    // Takes in what follows in the context. Both have seen a token.
    __device__ __forceinline__ void append(const Node& right) const {
#pragma unroll 1
        for (int f = 0; f < FRAGMENTS; f++) {
            float4 mine = rows(f);
            float4 other = right.rows(f);
            float maximum[2] = {fmaxf(mine.x, other.x), fmaxf(mine.y, other.y)};
            float keep[2] = {fast_exp2(mine.x - maximum[0]), fast_exp2(mine.y - maximum[1])};
            float take[2] = {fast_exp2(other.x - maximum[0]), fast_exp2(other.y - maximum[1])};
            rows(f) = make_float4(maximum[0], maximum[1], __fmaf_rn(mine.z, keep[0], __fmul_rn(other.z, take[0])),
                                  __fmaf_rn(mine.w, keep[1], __fmul_rn(other.w, take[1])));
#pragma unroll 4
            for (int i = 0; i < VALUES; i++) {
                float4 left = values(f, i);
                float4 added = right.values(f, i);
                values(f, i) = make_float4(__fmaf_rn(left.x, keep[0], __fmul_rn(added.x, take[0])),
                                           __fmaf_rn(left.y, keep[0], __fmul_rn(added.y, take[0])),
                                           __fmaf_rn(left.z, keep[1], __fmul_rn(added.z, take[1])),
                                           __fmaf_rn(left.w, keep[1], __fmul_rn(added.w, take[1])));
            }
        }
    }
};

// Counts on: leaf `index` has been put where at(index) says, and what that completes is merged; with the last leaf everything
// is, into at(0). at(i) is where the tree that begins with leaf i lies while it is one of the counter's: the counter holds
// one for each bit that is set in i, the trees in front begin where the lower bits are cleared one by one.
template <typename At>
__device__ __forceinline__ void add_leaf(int index, bool last, At at) {
    int merges = last ? __popc(index) : __ffs(~index) - 1;
#pragma unroll 1
    for (int first = index; merges > 0; merges--) {
        int before = first & (first - 1);
        at(before).append(at(first));
        first = before;
    }
}
