// attention_plan.cu: cuts the attention work of a step into cells, once for all its layers.
//
// Lengths are known on the device only (a captured graph replays with other lengths), so who does what is settled there.
// A cell is the smallest piece of work that has an owner:
//
//   prompt     a tile of query tokens, one KV head, and a part of the context: see prompt_cells.cuh. The grid of 128 tokens
//              from the start of the sequence is cut into tiles of `tile_tokens`, the last of each 128 being shorter where
//              that does not divide 128. Blocks take cells one after another.
//   balanced   a KV block of a decoded token (throughput). The flat list of all cells of all sequences and head tiles
//              is cut evenly among the workers, whatever the lengths: see paged_attention_decode.cu.
//   invariant  a run of KV blocks of a decoded token, of max(chunk_blocks, blocks / most_chunks) blocks: cuts depend on the
//              length of the sequence itself and on nothing else.
//
//   plan       int32 [2 + sequences + 1 + most_workers]: workers in use, cells, cells before each sequence (the
//              last entry: of all), the sequence where each worker begins                                    out
//              prompt: int32 [2 + 2 * (sequences + 1)], PromptPlan of prompt_cells.cuh                       out
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
// Prompt: parts of 2^k segments of the context, the same k for all sequences. Blocks take cells as they come free, so a step
// takes about (all work) / workers and at worst the longest cell on top; a cell of a split tile costs a node written (a
// quarter of the time of 128 tokens), the last one to arrive reads as many as there are parts. The k with the least sum is
// taken, among those whose nodes find room in the slots; the one at which nothing is split always does. Many tiles need no
// split, few tiles behind long contexts get as many blocks as there are.
//
// Grid: one block of 256 threads. Needs sm_80 or later.

#include "prompt_cells.cuh"

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

// before[s] = what `count_of` says of the sequences before s, all together; before[sequences]: of all, also returned.
template <typename CountOf>
__device__ __forceinline__ int sum_before(int* before, int sequences, CountOf count_of) {
    __shared__ int warp_totals[WARPS];
    __shared__ int chunk_total;
    int total = 0;
    for (int first = 0; first < sequences; first += THREADS) {
        int sequence = first + static_cast<int>(threadIdx.x);
        int mine = sequence < sequences ? count_of(sequence) : 0;
        int through = block_scan(mine, warp_totals);
        if (sequence < sequences) {
            before[sequence] = total + through - mine;
        }
        if (threadIdx.x == THREADS - 1) {
            chunk_total = through;
        }
        __syncthreads();
        total += chunk_total;  // written again only behind the barrier of the next scan
    }
    if (threadIdx.x == 0) {
        before[sequences] = total;
    }
    return total;
}

// `cells_of(sequence)` says how many cells a sequence has.
template <bool BALANCED, typename CellsOf>
__device__ __forceinline__ void plan_work(int* plan, int sequences, int units, int most_workers, CellsOf cells_of) {
    __shared__ int longest;
    __shared__ int used;
    AttentionPlan target{plan, sequences};
    if (threadIdx.x == 0) {
        longest = 0;
    }
    __syncthreads();
    int total = sum_before(target.before(), sequences, [&](int sequence) {
        int cells = cells_of(sequence);
        atomicMax(&longest, cells);
        return cells;
    });
    int64_t cells = static_cast<int64_t>(total) * units;
    if (threadIdx.x < WARP) {
        int share = BALANCED && cells > 0 ? cells_a_worker(cells, longest, most_workers) : 1;
        if (threadIdx.x == 0) {
            int64_t wanted = (cells + share - 1) / share;
            used = static_cast<int>(wanted < most_workers ? wanted : most_workers);
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

// ---- prompts -----------------------------------------------------------------------------------------------------------

constexpr int LEVELS = 25;  // 2^31 tokens in segments of 128 are one part of 2^24

// A sequence's piece in a step: tiles of all KV heads, and tokens of the context; no tiles where there is nothing to do.
struct PromptPiece {
    int tiles;
    int tokens;

    static __device__ __forceinline__ PromptPiece of(const int* start, const int* position, const int* slot, int sequence,
                                                     int kv_heads, int tile_tokens) {
        int count = start[sequence + 1] - start[sequence];
        if (slot[sequence] < 0 || count <= 0) {
            return {0, 1};
        }
        QueryTiles cut{tile_tokens};
        int from = position[sequence];
        return {(cut.index_of(from + count - 1) + 1 - cut.index_of(from)) * kv_heads, from + count};
    }
};

// What a plan is chosen by: sums over all pieces.
struct PromptTotals {
    unsigned long long work;                 // tiles * blocks of 128 tokens
    unsigned long long split_cells[LEVELS];  // cells of tiles that have several parts
    int longest;                             // blocks of the longest context
};

// log2 of the segments of a part: see the head of this file. By one thread.
__device__ __forceinline__ int choose_level(const PromptTotals& totals, int workers, int slots, int segment_tokens) {
    int segment_blocks = segment_tokens / BLOCK_TOKENS;
    int segments = ceil_div(totals.longest, segment_blocks);
    int best = 0;
    unsigned long long best_cost = ~0ull;
    for (int level = 0; level < LEVELS; level++) {
        int parts = segments == 0 ? 1 : ((segments - 1) >> level) + 1;
        unsigned long long cells = totals.split_cells[level];
        unsigned long long span = static_cast<unsigned long long>(segment_blocks) << level;
        unsigned long long longest = static_cast<unsigned long long>(totals.longest);
        unsigned long long cost = 4 * (totals.work / workers + (span < longest ? span : longest));
        cost += parts > 1 ? parts + cells / workers : 0;
        if (cells <= static_cast<unsigned long long>(slots) && cost < best_cost) {
            best = level;
            best_cost = cost;
        }
        if (parts == 1) {
            break;
        }
    }
    return best;
}

extern "C" __global__ __launch_bounds__(THREADS)
void attention_plan_prompt(int* plan, const int* start, const int* position, const int* slot, int sequences, int kv_heads,
                           int workers, int slots, int tile_tokens, int segment_tokens) {
    __shared__ PromptTotals totals;
    __shared__ int level;
    grid_dependency_wait();
    if (threadIdx.x == 0) {
        totals = {};
    }
    __syncthreads();
    auto piece = [&](int sequence) { return PromptPiece::of(start, position, slot, sequence, kv_heads, tile_tokens); };
    for (int sequence = threadIdx.x; sequence < sequences; sequence += THREADS) {
        auto [tiles, tokens] = piece(sequence);
        if (tiles > 0) {
            unsigned long long each = static_cast<unsigned long long>(tiles);
            int blocks = (tokens - 1) / BLOCK_TOKENS + 1;
            atomicMax(&totals.longest, blocks);
            atomicAdd(&totals.work, each * blocks);
            for (int k = 0; parts_of(tokens, segment_tokens, k) > 1; k++) {
                atomicAdd(&totals.split_cells[k], each * parts_of(tokens, segment_tokens, k));
            }
        }
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        level = choose_level(totals, workers, slots, segment_tokens);
    }
    __syncthreads();
    PromptPlan target{plan, sequences};
    int cells = sum_before(target.before(), sequences, [&](int sequence) {
        auto [tiles, tokens] = piece(sequence);
        return tiles * parts_of(tokens, segment_tokens, level);
    });
    sum_before(target.slots_before(), sequences, [&](int sequence) {
        auto [tiles, tokens] = piece(sequence);
        int parts = parts_of(tokens, segment_tokens, level);
        return parts > 1 ? tiles * parts : 0;
    });
    if (threadIdx.x == 0) {
        target.cells() = cells;
        target.level() = level;
    }
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
