// attention_plan.cu: cuts the attention work of a step into cells, once for all its layers.
//
// Lengths are known on the device only (a captured graph replays with other lengths), so who does what is settled there.
// A cell is the smallest piece of work that has an owner:
//
//   prompt     a tile of query tokens. The grid of 128 tokens from the start of the sequence is cut into tiles of
//              `tile_tokens`, the last of each 128 being shorter where that does not divide 128. One block owns one cell.
//   balanced   a KV block of a decoded token (throughput). The flat list of all cells of all sequences and head tiles
//              is cut evenly among the workers, whatever the lengths: see paged_attention_decode.cu.
//   invariant  a run of KV blocks of a decoded token, of max(chunk_blocks, blocks / most_chunks) blocks: cuts depend on the
//              length of the sequence itself and on nothing else.
//
//   plan       int32 [2 + sequences + 1 + most_workers]: workers in use, cells, cells before each sequence (the
//              last entry: of all), the sequence where each worker begins                                    out
//   start      int32 [sequences + 1], first row of each sequence (prompt only)                               in
//   position   int32 [sequences], position of the first row                                                  in
//   slot       int32 [sequences]; -1: no cells                                                               in
//
// Cells count once for all `units` (head tiles) of a sequence; a worker's share is cut from cells * units.
//
// Balanced: as few workers as pay. More workers read faster and leave more partial results to merge. The cost of giving
// every worker q cells is estimated as q cells of 0.4 us (32 KB at 80 GB/s a multiprocessor), 0.7 us for each level of
// merging and 0.1 us for each partial result merged in a row; the q from the smallest possible one on that makes the
// longest sequence finish first is taken. The three figures are estimates, not yet measured.
//
// Grid: one block of 256 threads. Needs sm_80 or later.

#include "paged_cache.cuh"
#include "attention_plan.cuh"

constexpr int THREADS = 256;
constexpr int WARPS = THREADS / WARP;

// Inclusive sum over the block; the last thread has the total.
__device__ __forceinline__ int block_scan(int value, int* warp_totals) {
    int lane = threadIdx.x % WARP;
    int warp = threadIdx.x / WARP;
#pragma unroll
    for (int offset = 1; offset < WARP; offset *= 2) {
        int below = __shfl_up_sync(ALL_LANES, value, offset);
        value += lane >= offset ? below : 0;
    }
    if (lane == WARP - 1) {
        warp_totals[warp] = value;
    }
    __syncthreads();
    for (int i = 0; i < warp; i++) {
        value += warp_totals[i];
    }
    return value;
}

__device__ __forceinline__ int merge_cost(int parts) {
    if (parts <= 1) {
        return 0;
    }
    return parts <= MERGE_GROUP ? 7 + parts : 14 + MERGE_GROUP + ceil_div(parts, MERGE_GROUP);
}

// Cells of a worker under the balanced policy; called by a whole warp.
__device__ __forceinline__ int cells_a_worker(int64_t cells, int longest, int most_workers) {
    int lane = threadIdx.x % WARP;
    int candidate = static_cast<int>((cells + most_workers - 1) / most_workers) + lane;
    int cost = 4 * candidate + merge_cost(ceil_div(longest, candidate));
    int best = cost;
#pragma unroll
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
        best = min(best, __shfl_xor_sync(ALL_LANES, best, offset));
    }
    unsigned winners = __ballot_sync(ALL_LANES, cost == best);
    return candidate - lane + __ffs(static_cast<int>(winners)) - 1;
}

// `cells_of(sequence)` says how many cells a sequence has.
template <bool BALANCED, typename CellsOf>
__device__ __forceinline__ void plan_work(int* plan, int sequences, int units, int most_workers, CellsOf cells_of) {
    __shared__ int warp_totals[WARPS];
    __shared__ int chunk_total;
    __shared__ int longest;
    __shared__ int used;
    AttentionPlan target{plan, sequences};
    int total = 0;
    if (threadIdx.x == 0) {
        longest = 0;  // seen by all behind the barrier of the first scan
    }
    for (int first = 0; first < sequences; first += THREADS) {
        int sequence = first + static_cast<int>(threadIdx.x);
        int mine = sequence < sequences ? cells_of(sequence) : 0;
        int through = block_scan(mine, warp_totals);
        if (sequence < sequences) {
            target.before()[sequence] = total + through - mine;
        }
        atomicMax(&longest, mine);
        if (threadIdx.x == THREADS - 1) {
            chunk_total = through;
        }
        __syncthreads();
        total += chunk_total;  // written again only behind the barrier of the next scan
    }
    int64_t cells = static_cast<int64_t>(total) * units;
    if (threadIdx.x < WARP) {
        int share = BALANCED && cells > 0 ? cells_a_worker(cells, longest, most_workers) : 1;
        if (threadIdx.x == 0) {
            int64_t wanted = (cells + share - 1) / share;
            used = static_cast<int>(wanted < most_workers ? wanted : most_workers);
            target.before()[sequences] = total;
            target.workers() = used;
            target.cells() = total;
        }
    }
    __syncthreads();
    for (int worker = threadIdx.x; worker < used; worker += THREADS) {
        int cell = static_cast<int>(first_cell(cells, worker, used) / units);
        int low = 0;
        int high = sequences;
        while (high - low > 1) {  // the last sequence that begins at or before the cell: it is not empty
            int middle = (low + high) / 2;
            if (target.before()[middle] <= cell) {
                low = middle;
            } else {
                high = middle;
            }
        }
        target.owner()[worker] = low;
    }
}

extern "C" __global__ __launch_bounds__(THREADS)
void attention_plan_prompt(int* plan, const int* start, const int* position, const int* slot, int sequences,
                           int most_workers, int tile_tokens) {
    grid_dependency_wait();
    plan_work<false>(plan, sequences, 1, most_workers, [&](int sequence) {
        int count = start[sequence + 1] - start[sequence];
        if (slot[sequence] < 0 || count <= 0) {
            return 0;
        }
        QueryTiles tiles{tile_tokens};
        return tiles.index_of(position[sequence] + count - 1) + 1 - tiles.index_of(position[sequence]);
    });
}
KERNEL(attention_plan_prompt);

extern "C" __global__ __launch_bounds__(THREADS)
void attention_plan_balanced(int* plan, const int* position, const int* slot, int sequences, int units, int most_workers) {
    grid_dependency_wait();
    plan_work<true>(plan, sequences, units, most_workers, [&](int sequence) {
        return slot[sequence] < 0 ? 0 : position[sequence] / BLOCK_TOKENS + 1;
    });
}
KERNEL(attention_plan_balanced);

extern "C" __global__ __launch_bounds__(THREADS)
void attention_plan_invariant(int* plan, const int* position, const int* slot, int sequences, int units, int most_workers,
                              int chunk_blocks, int most_chunks) {
    grid_dependency_wait();
    plan_work<false>(plan, sequences, units, most_workers, [&](int sequence) {
        if (slot[sequence] < 0) {
            return 0;
        }
        int blocks = position[sequence] / BLOCK_TOKENS + 1;
        return ceil_div(blocks, chunk_size(blocks, chunk_blocks, most_chunks));
    });
}
KERNEL(attention_plan_invariant);
