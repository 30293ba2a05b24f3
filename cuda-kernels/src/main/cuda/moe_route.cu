// moe_route.cu: which experts a token goes to, and the index maps that group tokens by expert.
//
//   n[t, c]  = r[t, c] * f(t) * norm_weight[c],   f(t) = 1 / sqrt(mean over c of r[t, c]^2 + epsilon)
//   s[t, e]  = 1 / (1 + exp(-sum over c of n[t, c] * gate[e, c]))
//   chosen   = the `active` experts with the largest s + bias; ties go to the lower index, NaN comes last
//   weight   = s, divided by (sum of the chosen s + 1e-20) when normalising
//
// With several routing groups only the best of them keep their s + bias (a group counts as much as its two best experts);
// in the others it becomes 0. `bias` counts for choosing only. Same formulas as engine.cpu.Router.
//
//   residual        fp32 [tokens, hidden]           in
//   norm_weight     bf16 or fp32 [hidden]           in
//   gate            bf16 or fp32 [experts, hidden]  in
//   bias            fp32 [experts]                  in
//   row_slot        int32 [slotted]                 in; of the first rows. A row with slot -1 is padding, all others count
//   x               bf16 [tokens, hidden]           out; n rounded, of padded rows too
//   logits          fp32 [tokens, experts]          scratch
//   arrivals        int32 [1 + row tiles]           counters; zero before the first launch, zero again after each
//   choice_expert   int32 [tokens, active]          out, best first; -1 in padded rows
//   choice_weight   fp32 [tokens, active]           out; 0 in padded rows
//
// Index maps. A unit is what a product runs over: unit u < parts is piece u of the shared expert, cut to the width of a
// routed one, which every row that is not padding takes; unit parts + e is expert e. A slot is one row of one unit. Slots
// are in order of unit, then of token: no atomic decides an order.
//
//   unit_first      int32 [units + 1]               out; slots of unit u are unit_first[u] to unit_first[u + 1]
//   slot_source     uint32 [tokens * ranks]         out; token << 8 | rank, with rank u for piece u of the shared expert
//                                                        and parts + i for the i-th choice; ranks = parts + active
//   choice_slot     int32 [tokens, ranks]           out; untouched in padded rows
//   tile_unit       int32 [tiles]                   out; tiles of at most `tile_tokens` slots of one unit, in slot order
//   tile_first      int32 [tiles]                   out; first slot of the tile
//   tile_count      int32 [1]                       out
//   expert_tokens   uint64 [experts + 2]            in and out: tokens ever routed to each expert, then the work that the busiest
//                                                        and that the mean thread block of the products had; null = do not count
//   chunk_count     int32 [chunks, units]           scratch: tokens of each unit in a chunk of 128 tokens, then before it
//
// Work. A product runs as blocks, `columns` of them for each tile (or slot), on `places` that hold one at a time; a free place
// takes the next block. Blocks cost the same, so the busiest place gets ceil(blocks / places) of them, and the mean one of
// those that get any blocks / min(blocks, places). `cost` is the work of a block: the values of weights that it goes through for
// one tile, whose bytes and products are so many times some constant. What hangs over an edge is counted as if it were there.
// With `takes_all` there are `columns` blocks whatever the tiles are, and each goes through all tiles.
//
// moe_route grid: (tiles of ROWS rows, groups of 8 * EXPERTS experts), 256 threads, shared memory ROWS rows of fp32. The
// last block of a row tile to arrive chooses; with `tile_tokens` > 0 (at most 128 tokens) the last block of all
// builds the maps, so that a decode step needs no further kernel. moe_count: one block per chunk, the last one to arrive
// makes the sums and tiles. moe_place: one block per chunk.
//
// Order of sums, whatever ROWS and the batch: squares of c = 4 i + j (i mod 256 = thread; i, then j ascending) per thread,
// then a butterfly over the lanes, then warps in order. Logits: c = 4 i + j (i mod 32 = lane) per lane, then a butterfly.
//
// Floor: gate bytes (128 x 2688 bf16: 0.69 MB, 0.2 us), 4 + 2 bytes a value of rows; at 8,192 rows 2.8 GFMA on the fp32
// units (about 100 us on an H100 at their full rate). fp32 and not tensor cores because near ties decide experts.
// Source: the published model's own code; DeepSeek-V3 (arXiv:2412.19437), section 2.1.2, for scores and groups.

#include <type_traits>

#include "common.cuh"

namespace {

constexpr int ROUTE_THREADS = 256;
constexpr int ROUTE_WARPS = ROUTE_THREADS / WARP;
constexpr int CHUNK_TOKENS = 128;
constexpr int CHUNK_WORDS = CHUNK_TOKENS / 32;
constexpr int MAX_EXPERTS = 512;
constexpr int MAX_UNITS = MAX_EXPERTS + 32;
constexpr float TINY_SUM = 1e-20f;

// Values of other blocks, behind __threadfence and an arrival counter: never from this multiprocessor's own cache.
template <typename T>
__device__ __forceinline__ T read_shared_result(const T* pointer) {
    return *const_cast<const volatile T*>(pointer);
}

// ---- the router -------------------------------------------------------------------------------------------------------

// Four values from `k` on, zeros behind `length`.
__device__ __forceinline__ float4 four_values(const float* row, int k, int length) {
    if (length % 4 == 0) {
        return load_readonly(reinterpret_cast<const float4*>(row + k));
    }
    return make_float4(row[k], k + 1 < length ? row[k + 1] : 0.0f, k + 2 < length ? row[k + 2] : 0.0f,
                       k + 3 < length ? row[k + 3] : 0.0f);
}

__device__ __forceinline__ float4 four_values(const bf16* row, int k, int length) {
    if (length % 4 == 0) {
        uint2 pairs = load_readonly(reinterpret_cast<const uint2*>(row + k));
        float2 low = unpack_bf16x2(pairs.x);
        float2 high = unpack_bf16x2(pairs.y);
        return make_float4(low.x, low.y, high.x, high.y);
    }
    return make_float4(to_float(row[k]), k + 1 < length ? to_float(row[k + 1]) : 0.0f,
                       k + 2 < length ? to_float(row[k + 2]) : 0.0f, k + 3 < length ? to_float(row[k + 3]) : 0.0f);
}

__device__ __forceinline__ float norm_factor(float squares, int hidden, float epsilon) {
    return static_cast<float>(1.0 / sqrt(static_cast<double>(squares / hidden + epsilon)));
}

__device__ __forceinline__ void store_four(bf16* row, int k, int length, float4 v) {
    if (length % 4 == 0) {
        *reinterpret_cast<uint2*>(row + k) = make_uint2(pack_bf16x2(v.x, v.y), pack_bf16x2(v.z, v.w));
        return;
    }
    float values[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int j = 0; j < 4; j++) {
        if (k + j < length) {
            row[k + j] = to_bf16(values[j]);
        }
    }
}

template <int ROWS, int EXPERTS>
__device__ __forceinline__ void add_products(float (&sum)[ROWS][EXPERTS], const float* rows, int pitch, int k, const float4 (&w)[EXPERTS]) {
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        float4 v = *reinterpret_cast<const float4*>(rows + r * pitch + k);
#pragma unroll
        for (int e = 0; e < EXPERTS; e++) {
            sum[r][e] = __fmaf_rn(v.x, w[e].x, sum[r][e]);
            sum[r][e] = __fmaf_rn(v.y, w[e].y, sum[r][e]);
            sum[r][e] = __fmaf_rn(v.z, w[e].z, sum[r][e]);
            sum[r][e] = __fmaf_rn(v.w, w[e].w, sum[r][e]);
        }
    }
}

// What a block of one row can load before its predecessor has ended: the norm's weight, and the gate of the warp's expert. Both
// would otherwise cost a trip to memory each, one behind the other.
template <typename GATE>
struct HeldWeights {
    static constexpr int NORM = 4;                         // times 4 values a thread: rows of up to 4096
    static constexpr int EXPERT = sizeof(GATE) == 2 ? 24 : 12;  // times 4 values a lane: up to 3072 or 1536; the rest comes later
    using Raw = std::conditional_t<sizeof(GATE) == 2, uint2, float4>;

    float4 norm[NORM];
    Raw gate[EXPERT];

    __device__ __forceinline__ void load(const void* norm_weight, bool norm_is_bf16, const GATE* gate_row, int hidden) {
        if (hidden % 4 != 0) {
            return;
        }
#pragma unroll
        for (int i = 0; i < NORM; i++) {
            int k = 4 * (threadIdx.x + i * ROUTE_THREADS);
            if (k < hidden) {
                norm[i] = norm_is_bf16 ? four_values(static_cast<const bf16*>(norm_weight), k, hidden)
                                       : four_values(static_cast<const float*>(norm_weight), k, hidden);
            }
        }
#pragma unroll
        for (int i = 0; i < EXPERT; i++) {
            int k = 4 * (threadIdx.x % WARP + i * WARP);
            if (k < hidden) {
                gate[i] = load_readonly(reinterpret_cast<const Raw*>(gate_row + k));
            }
        }
    }

    static __device__ __forceinline__ float4 widened(uint2 pairs) {
        float2 low = unpack_bf16x2(pairs.x);
        float2 high = unpack_bf16x2(pairs.y);
        return make_float4(low.x, low.y, high.x, high.y);
    }

    static __device__ __forceinline__ float4 widened(float4 values) { return values; }
};

// A warp's EXPERTS rows of the gate for several rows of activations: loads run ahead of their use, the first ones before the
// predecessor has ended. hidden is a multiple of 4.
template <int EXPERTS, typename GATE>
struct GateStream {
    static constexpr int AHEAD = sizeof(GATE) == 2 ? 4 : 2;
    using Raw = typename HeldWeights<GATE>::Raw;

    const GATE* gate;
    int first_expert;
    int experts;
    int hidden;
    Raw raw[AHEAD][EXPERTS];

    __device__ __forceinline__ void load(int place, int k) {
        if (k < hidden) {
#pragma unroll
            for (int e = 0; e < EXPERTS; e++) {
                int expert = first_expert + e < experts ? first_expert + e : experts - 1;
                raw[place][e] = load_readonly(reinterpret_cast<const Raw*>(gate + static_cast<size_t>(expert) * hidden + k));
            }
        }
    }

    __device__ __forceinline__ void begin() {
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            load(i, 4 * (threadIdx.x % WARP + i * WARP));
        }
    }

    // Adds up in the order of gate_product.
    template <int ROWS>
    __device__ __forceinline__ void multiply(float (&sum)[ROWS][EXPERTS], const float* rows) {
        for (int first = 4 * (threadIdx.x % WARP); first < hidden; first += 4 * WARP * AHEAD) {
#pragma unroll
            for (int i = 0; i < AHEAD; i++) {
                int k = first + 4 * WARP * i;
                if (k < hidden) {
                    float4 w[EXPERTS];
#pragma unroll
                    for (int e = 0; e < EXPERTS; e++) {
                        w[e] = HeldWeights<GATE>::widened(raw[i][e]);
                    }
                    load(i, k + 4 * WARP * AHEAD);
                    add_products<ROWS, EXPERTS>(sum, rows, hidden, k, w);
                }
            }
        }
    }
};

// The normalised row of one block, as `normalise` makes it; hidden is a multiple of 4.
template <typename GATE>
__device__ __forceinline__ void normalise_held(float* row, float* scratch, bf16* x, const float* residual,
                                               const HeldWeights<GATE>& held, int hidden, float epsilon) {
    constexpr int COUNT = HeldWeights<GATE>::NORM;
    float4 values[COUNT];
    float squares = 0.0f;
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        int k = 4 * (threadIdx.x + i * ROUTE_THREADS);
        if (k < hidden) {
            values[i] = four_values(residual, k, hidden);
        }
    }
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        if (4 * static_cast<int>(threadIdx.x + i * ROUTE_THREADS) < hidden) {
            squares = __fmaf_rn(values[i].x, values[i].x, squares);
            squares = __fmaf_rn(values[i].y, values[i].y, squares);
            squares = __fmaf_rn(values[i].z, values[i].z, squares);
            squares = __fmaf_rn(values[i].w, values[i].w, squares);
        }
    }
    float factor = norm_factor(block_sum(squares, scratch), hidden, epsilon);
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        int k = 4 * (threadIdx.x + i * ROUTE_THREADS);
        if (k < hidden) {
            float4 v = values[i];
            v.x = __fmul_rn(__fmul_rn(v.x, factor), held.norm[i].x);
            v.y = __fmul_rn(__fmul_rn(v.y, factor), held.norm[i].y);
            v.z = __fmul_rn(__fmul_rn(v.z, factor), held.norm[i].z);
            v.w = __fmul_rn(__fmul_rn(v.w, factor), held.norm[i].w);
            *reinterpret_cast<float4*>(row + k) = v;
            if (x != nullptr) {
                store_four(x, k, hidden, v);
            }
        }
    }
    __syncthreads();
}

// The warp's logit, in the order of gate_product.
template <typename GATE>
__device__ __forceinline__ float held_product(const float* row, const HeldWeights<GATE>& held, const GATE* gate_row, int hidden) {
    int lane = threadIdx.x % WARP;
    float sum = 0.0f;
    auto add = [&](float4 v, float4 w) {
        sum = __fmaf_rn(v.x, w.x, sum);
        sum = __fmaf_rn(v.y, w.y, sum);
        sum = __fmaf_rn(v.z, w.z, sum);
        sum = __fmaf_rn(v.w, w.w, sum);
    };
#pragma unroll
    for (int i = 0; i < HeldWeights<GATE>::EXPERT; i++) {
        int k = 4 * (lane + i * WARP);
        if (k < hidden) {
            add(*reinterpret_cast<const float4*>(row + k), HeldWeights<GATE>::widened(held.gate[i]));
        }
    }
#pragma unroll 4
    for (int k = 4 * (lane + HeldWeights<GATE>::EXPERT * WARP); k < hidden; k += 4 * WARP) {
        add(*reinterpret_cast<const float4*>(row + k), four_values(gate_row, k, hidden));
    }
    return warp_sum(sum);
}

// Normalises ROWS rows into `rows` (pitch: hidden rounded up to 4, zeros behind) and, in one block of each row tile, to x.
template <int ROWS>
__device__ void normalise(float* rows, float* scratch, bf16* x, const float* residual, const void* norm_weight,
                          bool norm_is_bf16, int first_row, int tokens, int hidden, float epsilon) {
    int pitch = ceil_div(hidden, 4) * 4;
    float squares[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        squares[r] = 0.0f;
        if (first_row + r < tokens) {
            const float* row = residual + static_cast<size_t>(first_row + r) * hidden;
            for (int k = 4 * threadIdx.x; k < hidden; k += 4 * ROUTE_THREADS) {
                float4 v = four_values(row, k, hidden);
                *reinterpret_cast<float4*>(rows + r * pitch + k) = v;
                squares[r] = __fmaf_rn(v.x, v.x, squares[r]);
                squares[r] = __fmaf_rn(v.y, v.y, squares[r]);
                squares[r] = __fmaf_rn(v.z, v.z, squares[r]);
                squares[r] = __fmaf_rn(v.w, v.w, squares[r]);
            }
        }
        float sum = warp_sum(squares[r]);
        if (threadIdx.x % WARP == 0) {
            scratch[r * ROUTE_WARPS + threadIdx.x / WARP] = sum;
        }
    }
    __syncthreads();
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        if (first_row + r >= tokens) {
            break;
        }
        float sum = 0.0f;
        for (int warp = 0; warp < ROUTE_WARPS; warp++) {
            sum = __fadd_rn(sum, scratch[r * ROUTE_WARPS + warp]);
        }
        float factor = norm_factor(sum, hidden, epsilon);
        for (int k = 4 * threadIdx.x; k < hidden; k += 4 * ROUTE_THREADS) {
            float* at = rows + r * pitch + k;
            float4 w = norm_is_bf16 ? four_values(static_cast<const bf16*>(norm_weight), k, hidden)
                                    : four_values(static_cast<const float*>(norm_weight), k, hidden);
            float4 v = *reinterpret_cast<const float4*>(at);
            v.x = __fmul_rn(__fmul_rn(v.x, factor), w.x);
            v.y = __fmul_rn(__fmul_rn(v.y, factor), w.y);
            v.z = __fmul_rn(__fmul_rn(v.z, factor), w.z);
            v.w = __fmul_rn(__fmul_rn(v.w, factor), w.w);
            *reinterpret_cast<float4*>(at) = v;
            if (x != nullptr) {
                store_four(x + static_cast<size_t>(first_row + r) * hidden, k, hidden, v);
            }
        }
    }
    __syncthreads();
}

// Gives the logits of a warp's sums.
template <int ROWS, int EXPERTS>
__device__ __forceinline__ void store_logits(float* logits, const float (&sum)[ROWS][EXPERTS], int first_row, int tokens,
                                             int first_expert, int experts) {
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
#pragma unroll
        for (int e = 0; e < EXPERTS; e++) {
            float logit = warp_sum(sum[r][e]);
            if (threadIdx.x % WARP == 0 && first_row + r < tokens && first_expert + e < experts) {
                logits[static_cast<size_t>(first_row + r) * experts + first_expert + e] = logit;
            }
        }
    }
}

// The warp's EXPERTS products of each row, for any width.
template <int ROWS, int EXPERTS, typename GATE>
__device__ void gate_product(float (&sum)[ROWS][EXPERTS], const float* rows, const GATE* gate, int hidden, int first_expert,
                             int experts) {
    int pitch = ceil_div(hidden, 4) * 4;
    for (int k = 4 * (threadIdx.x % WARP); k < hidden; k += 4 * WARP) {
        float4 w[EXPERTS];
#pragma unroll
        for (int e = 0; e < EXPERTS; e++) {
            int expert = first_expert + e < experts ? first_expert + e : experts - 1;
            w[e] = four_values(gate + static_cast<size_t>(expert) * hidden, k, hidden);
        }
        add_products<ROWS, EXPERTS>(sum, rows, pitch, k, w);
    }
}

// A number whose order is that of the floats: 0 for what is out, 1 for NaN, then -infinity upwards. (-0 does not occur: a
// score is not negative, and +0 + -0 is +0.)
__device__ __forceinline__ uint32_t rank_of(float value) {
    if (value != value) {
        return 1u;
    }
    uint32_t bits = __float_as_uint(value);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// Index of the largest of `keys` [count], the lowest one among equals, in every lane. Lane i looks at i, i + 32, ...
__device__ int best_of(const uint32_t* keys, int count) {
    int lane = threadIdx.x % WARP;
    uint32_t best = 0;
    int index = count;
    for (int i = lane; i < count; i += WARP) {
        if (keys[i] > best) {
            best = keys[i];
            index = i;
        }
    }
    uint32_t largest = warp_max(best);
    return static_cast<int>(warp_min(static_cast<uint32_t>(best == largest ? index : count)));
}

// Sets the values (as bits) of all but the best groups to zero. `keys` is scratch for one number a group.
__device__ void keep_best_groups(uint32_t* choice, uint32_t* keys, int experts, int groups, int active_groups) {
    int lane = threadIdx.x % WARP;
    int size = experts / groups;
    for (int group = lane; group < groups; group += WARP) {
        float best = -INFINITY;
        float second = -INFINITY;
        for (int i = group * size; i < (group + 1) * size; i++) {
            float value = __uint_as_float(choice[i]);
            if (value > best) {
                second = best;
                best = value;
            } else if (value > second) {
                second = value;
            }
        }
        keys[group] = rank_of(size > 1 ? __fadd_rn(best, second) : best);
    }
    for (int kept = 0; kept < active_groups; kept++) {
        // As in choose, a lane looks at its own keys only.
        int group = best_of(keys, groups);
        if (lane == group % WARP) {
            keys[group] = 0;
        }
    }
    __syncwarp();
    for (int i = lane; i < experts; i += WARP) {
        if (keys[i / size] != 0) {
            choice[i] = 0;
        }
    }
}

// One warp chooses for one row. `scores` [experts] and `keys` [experts + groups] are scratch.
__device__ void choose(int32_t* choice_expert, float* choice_weight, const float* logits, const float* bias,
                       float* scores, uint32_t* keys, int experts, int active, int groups, int active_groups,
                       bool normalising) {
    int lane = threadIdx.x % WARP;
    for (int e = lane; e < experts; e += WARP) {
        double logit = read_shared_result(logits + e);
        scores[e] = static_cast<float>(1.0 / (1.0 + exp(-logit)));
        keys[e] = __float_as_uint(__fadd_rn(scores[e], bias[e]));
    }
    __syncwarp();
    if (groups > 1) {
        keep_best_groups(keys, keys + experts, experts, groups, active_groups);
    }
    for (int e = lane; e < experts; e += WARP) {
        keys[e] = rank_of(__uint_as_float(keys[e]));
    }
    float sum = 0.0f;
    int my_expert = 0;
    for (int rank = 0; rank < active; rank++) {
        // A lane reads only keys that it wrote: no barrier between the rounds.
        int expert = best_of(keys, experts);
        sum = __fadd_rn(sum, scores[expert]);
        if (lane == expert % WARP) {
            keys[expert] = 0;
        }
        if (lane == rank) {
            my_expert = expert;
        }
    }
    if (lane < active) {
        choice_expert[lane] = my_expert;
        choice_weight[lane] = normalising ? scores[my_expert] / __fadd_rn(sum, TINY_SUM) : scores[my_expert];
    }
}

// ---- index maps -------------------------------------------------------------------------------------------------------

// What the blocks of one product have to do.
struct Share {
    int columns;
    int places;
    int cost;
    bool takes_all;
};

// Of both products; with no items nothing is counted.
struct Work {
    static constexpr int TILES = 1;
    static constexpr int SLOTS = 2;

    int items;
    Share up;
    Share down;
};

struct Maps {
    int32_t* unit_first;
    uint32_t* slot_source;
    int32_t* choice_slot;
    int32_t* tile_unit;
    int32_t* tile_first;
    int32_t* tile_count;
    unsigned long long* expert_tokens;
    int experts;
    int active;
    int parts;
    int tile_tokens;
    Work work;

    __device__ int units() const { return parts + experts; }
    __device__ int ranks() const { return parts + active; }
};

struct MapScratch {
    uint32_t mask[MAX_UNITS * CHUNK_WORDS];  // which tokens of the chunk a unit has, one bit each
    int32_t total[MAX_UNITS];
    int32_t first[MAX_UNITS];
    int32_t warp_slots[ROUTE_WARPS];
    int32_t warp_tiles[ROUTE_WARPS];
};

// Calls visit(unit, token, rank) once for every unit of every token from `first` to `end` that is not padding.
template <typename VISIT>
__device__ void visit_choices(const int32_t* choice_expert, const Maps& maps, int first, int end, VISIT visit) {
    int count = (end - first) * maps.ranks();
    for (int i = threadIdx.x; i < count; i += ROUTE_THREADS) {
        int token = first + i / maps.ranks();
        int rank = i % maps.ranks();
        int choice = rank < maps.parts ? 0 : rank - maps.parts;
        int expert = read_shared_result(choice_expert + static_cast<size_t>(token) * maps.active + choice);
        if (expert >= 0) {
            visit(rank < maps.parts ? rank : maps.parts + expert, token, rank);
        }
    }
}

// Marks the tokens of each unit in the chunk that begins at `first`. Ends with a barrier.
__device__ void mark_tokens(MapScratch& scratch, const int32_t* choice_expert, const Maps& maps, int first, int end) {
    for (int i = threadIdx.x; i < maps.units() * CHUNK_WORDS; i += ROUTE_THREADS) {
        scratch.mask[i] = 0;
    }
    __syncthreads();
    visit_choices(choice_expert, maps, first, end, [&](int unit, int token, int) {
        // A token has a unit once, so adding its bit is setting it.
        atomicAdd(&scratch.mask[unit * CHUNK_WORDS + (token - first) / 32], 1u << ((token - first) % 32));
    });
    __syncthreads();
}

__device__ __forceinline__ int marked(const MapScratch& scratch, int unit) {
    int count = 0;
    for (int word = 0; word < CHUNK_WORDS; word++) {
        count += __popc(scratch.mask[unit * CHUNK_WORDS + word]);
    }
    return count;
}

__device__ __forceinline__ int marked_before(const MapScratch& scratch, int unit, int position) {
    int count = 0;
    for (int word = 0; word < position / 32; word++) {
        count += __popc(scratch.mask[unit * CHUNK_WORDS + word]);
    }
    return count + __popc(scratch.mask[unit * CHUNK_WORDS + position / 32] & ((1u << (position % 32)) - 1u));
}

// Sum over lower lanes.
__device__ __forceinline__ int warp_sum_before(int value) {
    int lane = threadIdx.x % WARP;
    int sum = value;
#pragma unroll
    for (int offset = 1; offset < WARP; offset *= 2) {
        int other = __shfl_up_sync(ALL_LANES, sum, offset);
        sum += lane >= offset ? other : 0;
    }
    return sum - value;
}

// Adds what a product over so many tiles or slots gives to the busiest and to the mean place.
__device__ __forceinline__ void count_share(unsigned long long* work, const Share& share, int items) {
    int blocks = share.takes_all ? share.columns : items * share.columns;
    int places = blocks < share.places ? blocks : share.places;
    unsigned long long cost = static_cast<unsigned long long>(share.cost) * (share.takes_all ? items : 1);
    atomicAdd(&work[0], cost * ceil_div(blocks, places));
    float mean = static_cast<float>(blocks) / static_cast<float>(places);
    atomicAdd(&work[1], static_cast<unsigned long long>(static_cast<float>(cost) * mean));
}

__device__ __forceinline__ void count_work(const Maps& maps, int tiles, int slots) {
    int items = maps.work.items == Work::SLOTS ? slots : tiles;
    if (maps.expert_tokens != nullptr && maps.work.items != 0 && items > 0) {
        count_share(maps.expert_tokens + maps.experts, maps.work.up, items);
        count_share(maps.expert_tokens + maps.experts, maps.work.down, items);
    }
}

// From scratch.total: where each unit's slots begin (to scratch.first and unit_first), the tiles, and the counters of
// experts and of work. One block; ends with a barrier, behind which only counters are still written.
__device__ void lay_out_units(MapScratch& scratch, const Maps& maps) {
    int units = maps.units();
    int each = ceil_div(units, ROUTE_THREADS);
    int from = threadIdx.x * each;
    int to = from + each < units ? from + each : units;
    int slots = 0;
    int tiles = 0;
    for (int unit = from; unit < to; unit++) {
        slots += scratch.total[unit];
        tiles += ceil_div(scratch.total[unit], maps.tile_tokens);
    }
    int warp = threadIdx.x / WARP;
    int first_slot = warp_sum_before(slots);
    int first_tile = warp_sum_before(tiles);
    if (threadIdx.x % WARP == WARP - 1) {
        scratch.warp_slots[warp] = first_slot + slots;
        scratch.warp_tiles[warp] = first_tile + tiles;
    }
    __syncthreads();
    for (int before = 0; before < warp; before++) {
        first_slot += scratch.warp_slots[before];
        first_tile += scratch.warp_tiles[before];
    }
    for (int unit = from; unit < to; unit++) {
        int count = scratch.total[unit];
        scratch.first[unit] = first_slot;
        maps.unit_first[unit] = first_slot;
        for (int at = 0; at < count; at += maps.tile_tokens) {
            maps.tile_unit[first_tile] = unit;
            maps.tile_first[first_tile] = first_slot + at;
            first_tile++;
        }
        first_slot += count;
        if (unit >= maps.parts && maps.expert_tokens != nullptr) {
            maps.expert_tokens[unit - maps.parts] += count;
        }
    }
    if (threadIdx.x == ROUTE_THREADS - 1) {
        maps.unit_first[units] = first_slot;
        maps.tile_count[0] = first_tile;
    }
    __syncthreads();
    if (threadIdx.x == ROUTE_THREADS - 1) {
        count_work(maps, first_tile, first_slot);
    }
}

// Gives the marked tokens of a chunk their slots. `unit_first` are starts, `before` [units] what earlier chunks hold
// (null = nothing).
__device__ void place_chunk(const MapScratch& scratch, const int32_t* choice_expert, const Maps& maps,
                            const int32_t* unit_first, const int32_t* before, int first, int end) {
    visit_choices(choice_expert, maps, first, end, [&](int unit, int token, int rank) {
        int slot = unit_first[unit] + (before == nullptr ? 0 : before[unit]) + marked_before(scratch, unit, token - first);
        maps.choice_slot[static_cast<size_t>(token) * maps.ranks() + rank] = slot;
        maps.slot_source[slot] = static_cast<uint32_t>(token) << 8 | static_cast<uint32_t>(rank);
    });
}

// The maps of at most 128 tokens, by one block.
__device__ void map_one_chunk(MapScratch& scratch, const int32_t* choice_expert, const Maps& maps, int tokens) {
    mark_tokens(scratch, choice_expert, maps, 0, tokens);
    for (int unit = threadIdx.x; unit < maps.units(); unit += ROUTE_THREADS) {
        scratch.total[unit] = marked(scratch, unit);
    }
    __syncthreads();
    lay_out_units(scratch, maps);
    place_chunk(scratch, choice_expert, maps, scratch.first, nullptr, 0, tokens);
}

// Whether this block is the last of `blocks` to come here; then it sees what the others wrote before, and the counter is
// zero again.
__device__ bool arrives_last(int32_t* counter, int blocks) {
    __shared__ bool last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(counter, 1) == blocks - 1;
        if (last) {
            *counter = 0;
        }
        __threadfence();
    }
    __syncthreads();
    return last;
}

// ---- kernels ----------------------------------------------------------------------------------------------------------

template <int ROWS, int EXPERTS, typename GATE>
__device__ __forceinline__ void route(
        bf16* x, int32_t* choice_expert, float* choice_weight, float* logits, int32_t* arrivals, const Maps& maps,
        const float* residual, const void* norm_weight, bool norm_is_bf16, const GATE* gate, const float* bias,
        const int32_t* row_slot, int slotted, int tokens, int hidden, int groups, int active_groups, bool normalising,
        float epsilon) {
    DYN_SMEM(float, rows);
    __shared__ float warp_sums[ROWS * ROUTE_WARPS];
    int first_row = blockIdx.x * ROWS;
    int warp = threadIdx.x / WARP;
    int experts = maps.experts;
    int first_expert = (blockIdx.y * ROUTE_WARPS + warp) * EXPERTS;
    grid_dependency_launch();
    if (ROWS == 1 && hidden % 4 == 0 && hidden <= 4 * ROUTE_THREADS * HeldWeights<GATE>::NORM) {
        const GATE* gate_row = gate + static_cast<size_t>(first_expert < experts ? first_expert : 0) * hidden;
        HeldWeights<GATE> held;
        held.load(norm_weight, norm_is_bf16, gate_row, hidden);
        grid_dependency_wait();
        size_t at = static_cast<size_t>(first_row) * hidden;
        normalise_held(rows, warp_sums, blockIdx.y == 0 ? x + at : nullptr, residual + at, held, hidden, epsilon);
        if (first_expert < experts) {
            float logit = held_product(rows, held, gate_row, hidden);
            if (threadIdx.x % WARP == 0) {
                logits[static_cast<size_t>(first_row) * experts + first_expert] = logit;
            }
        }
    } else {
        bool streaming = ROWS > 1 && hidden % 4 == 0;
        GateStream<EXPERTS, GATE> stream = {gate, first_expert, experts, hidden};
        if (streaming) {
            stream.begin();
        }
        grid_dependency_wait();
        normalise<ROWS>(rows, warp_sums, blockIdx.y == 0 ? x : nullptr, residual, norm_weight, norm_is_bf16, first_row,
                        tokens, hidden, epsilon);
        if (first_expert < experts) {
            float sum[ROWS][EXPERTS] = {};
            if (streaming) {
                stream.template multiply<ROWS>(sum, rows);
            } else {
                gate_product<ROWS, EXPERTS>(sum, rows, gate, hidden, first_expert, experts);
            }
            store_logits<ROWS, EXPERTS>(logits, sum, first_row, tokens, first_expert, experts);
        }
    }
    if (!arrives_last(arrivals + 1 + blockIdx.x, gridDim.y)) {
        return;
    }
    // The rows are done with: each warp takes its share of them for scores and keys.
    int row = first_row + warp;
    if (warp < ROWS && row < tokens) {
        size_t at = static_cast<size_t>(row) * maps.active;
        if (row < slotted && row_slot[row] < 0) {
            for (int rank = threadIdx.x % WARP; rank < maps.active; rank += WARP) {
                choice_expert[at + rank] = -1;
                choice_weight[at + rank] = 0.0f;
            }
        } else {
            float* scores = rows + warp * (2 * experts + groups);
            choose(choice_expert + at, choice_weight + at, logits + static_cast<size_t>(row) * experts, bias, scores,
                   reinterpret_cast<uint32_t*>(scores + experts), experts, maps.active, groups, active_groups,
                   normalising);
        }
    }
    if (maps.tile_tokens > 0 && arrives_last(arrivals, gridDim.x)) {
        __shared__ MapScratch scratch;
        map_one_chunk(scratch, choice_expert, maps, tokens);
    }
}

}  // namespace

#define WORK_ARGUMENTS                                                                                                  \
    int work_items, int up_columns, int up_places, int up_cost, int down_columns, int down_places, int down_cost,       \
            int down_takes_all
#define WORK                                                                                                            \
    Work {                                                                                                              \
        work_items, {up_columns, up_places, up_cost, false}, {down_columns, down_places, down_cost, down_takes_all != 0} \
    }

#define ROUTE_KERNEL(NAME, ROWS, EXPERTS, GATE)                                                                         \
    extern "C" __global__ __launch_bounds__(ROUTE_THREADS, 2) void NAME(                                                 \
            bf16* x, int32_t* choice_expert, float* choice_weight, float* logits, int32_t* arrivals,                    \
            int32_t* unit_first, uint32_t* slot_source, int32_t* choice_slot, int32_t* tile_unit, int32_t* tile_first,  \
            int32_t* tile_count, unsigned long long* expert_tokens, const float* residual, const void* norm_weight,     \
            const GATE* gate, const float* bias, const int32_t* row_slot, int norm_is_bf16, int slotted, int tokens,    \
            int hidden, int experts, int active, int groups, int active_groups, int normalising, int parts,             \
            int tile_tokens, float epsilon, WORK_ARGUMENTS) {                                                           \
        Maps maps{unit_first, slot_source, choice_slot, tile_unit, tile_first, tile_count, expert_tokens,               \
                  experts,    active,      parts,       tile_tokens, WORK};                                             \
        route<ROWS, EXPERTS, GATE>(x, choice_expert, choice_weight, logits, arrivals, maps, residual, norm_weight,      \
                                   norm_is_bf16 != 0, gate, bias, row_slot, slotted, tokens, hidden, groups,            \
                                   active_groups, normalising != 0, epsilon);                                           \
    }                                                                                                                   \
    KERNEL(NAME)

// Few rows: as many blocks as there are groups of 8 experts, so that the gate's bytes come through many multiprocessors.
ROUTE_KERNEL(moe_route_row_bf16, 1, 1, bf16);
ROUTE_KERNEL(moe_route_row_f32, 1, 1, float);
ROUTE_KERNEL(moe_route_pair_bf16, 2, 4, bf16);
ROUTE_KERNEL(moe_route_pair_f32, 2, 4, float);
// Many rows: 32 sums a lane, each value of the gate serves 8 rows.
ROUTE_KERNEL(moe_route_tile_bf16, 8, 4, bf16);
ROUTE_KERNEL(moe_route_tile_f32, 8, 4, float);

extern "C" __global__ __launch_bounds__(ROUTE_THREADS) void moe_count(
        int32_t* unit_first, int32_t* tile_unit, int32_t* tile_first, int32_t* tile_count,
        unsigned long long* expert_tokens, int32_t* chunk_count, int32_t* arrivals, const int32_t* choice_expert,
        int tokens, int experts, int active, int parts, int tile_tokens, WORK_ARGUMENTS) {
    __shared__ MapScratch scratch;
    Maps maps{unit_first,    nullptr, nullptr, tile_unit, tile_first,  tile_count,
              expert_tokens, experts, active,  parts,     tile_tokens, WORK};
    int first = blockIdx.x * CHUNK_TOKENS;
    int end = first + CHUNK_TOKENS < tokens ? first + CHUNK_TOKENS : tokens;
    grid_dependency_launch();
    grid_dependency_wait();

    mark_tokens(scratch, choice_expert, maps, first, end);
    for (int unit = threadIdx.x; unit < maps.units(); unit += ROUTE_THREADS) {
        chunk_count[static_cast<size_t>(blockIdx.x) * maps.units() + unit] = marked(scratch, unit);
    }
    if (!arrives_last(arrivals, gridDim.x)) {
        return;
    }
    for (int unit = threadIdx.x; unit < maps.units(); unit += ROUTE_THREADS) {
        int total = 0;
        int chunks = gridDim.x;
        int32_t* count = chunk_count + unit;
        // Eight chunks at a time: their loads are under way together.
        for (int chunk = 0; chunk < chunks; chunk += 8) {
            int here[8];
#pragma unroll
            for (int i = 0; i < 8; i++) {
                here[i] = chunk + i < chunks ? read_shared_result(count + static_cast<size_t>(chunk + i) * maps.units()) : 0;
            }
#pragma unroll
            for (int i = 0; i < 8; i++) {
                if (chunk + i < chunks) {
                    count[static_cast<size_t>(chunk + i) * maps.units()] = total;
                    total += here[i];
                }
            }
        }
        scratch.total[unit] = total;
    }
    __syncthreads();
    lay_out_units(scratch, maps);
}
KERNEL(moe_count);

extern "C" __global__ __launch_bounds__(ROUTE_THREADS) void moe_place(
        uint32_t* slot_source, int32_t* choice_slot, const int32_t* unit_first, const int32_t* chunk_count,
        const int32_t* choice_expert, int tokens, int experts, int active, int parts) {
    __shared__ MapScratch scratch;
    Maps maps{nullptr, slot_source, choice_slot, nullptr, nullptr, nullptr, nullptr, experts, active, parts, 0, {}};
    int first = blockIdx.x * CHUNK_TOKENS;
    int end = first + CHUNK_TOKENS < tokens ? first + CHUNK_TOKENS : tokens;
    grid_dependency_launch();
    grid_dependency_wait();

    mark_tokens(scratch, choice_expert, maps, first, end);
    place_chunk(scratch, choice_expert, maps, unit_first, chunk_count + static_cast<size_t>(blockIdx.x) * maps.units(),
                first, end);
}
KERNEL(moe_place);
