// paged_attention_prompt.cu: causal attention of pieces of prompts over a long paged cache. On H100 and H200 head_dim 128 has
// sm90_paged_attention_prompt.cu, with the same arguments.
//
//   score[t] = (query[row, h, :] . key[t, g, :]) * key_scale * score_scale    t = 0 .. p, g = h / (heads per KV head)
//   out[row, h, :] = sum over t of softmax(score)[t] * value[t, g, :] * value_scale
//   with p = position[s] + row - start[s] for the rows start[s] <= row < start[s + 1] of sequence s
//
//   out          bf16 [rows, query_heads * head_dim]; null: none                                         out
//   quantised    e4m3 of out / quantised_scale, same shape; null: none                                   out
//   query        bf16 or fp32 [rows, query_heads * head_dim], `query_stride` elements from row to row    in
//   cache        bf16 or e4m3, layout in paged_cache.cuh; the piece's own tokens are already in it       in
//   nodes        fp32: `slots` nodes, then `depth` for each block of the grid (prompt_cells.cuh)         scratch
//   counters     int32 [2 + slots]: zero before the first launch, zero again after each                  scratch
//   plan         from attention_plan_prompt with the same tile_tokens, segment_tokens and slots          in
//   start, position, slot, block_table   int32 [sequences + 1], [sequences], [sequences], [sequences, max_blocks]   in
//
// Rows of sequences in slot -1 and rows behind start[sequences] are neither read nor written.
//
// The 128 rows of a tile are (token, head) pairs: all heads of a KV head times 128 / heads tokens, so the keys are read
// once for all of them, and a short piece still fills its tile. Tiles start at fixed places of the grid of 128 tokens.
// Each of 4 warps owns 32 rows, two fragments of 16, and walks the context 64 tokens at a time, with one online softmax for
// each segment; segments are merged as prompt_cells.cuh says, whoever has walked them. So the bits of a row depend on its own
// sequence up to its own position, neither on where the prompt was cut nor on other rows, nor on how many blocks shared its
// context. Warps that have no rows of a short piece copy and do nothing else.
//
// Grid: as many blocks as the device holds at once, or fewer; they take the plan's cells one after another.
//
// Two stages of 64 tokens through cp.async. An e4m3 cache is widened to f16 on the way from a stage to the tile that the
// products read, by all threads, once for all rows. Products are bf16 x bf16 or f16 x f16 with fp32 sums.
//
// Probabilities are rounded to bf16 (e4m3 cache: f16). Measured with numpy over contexts of 64 to 4,096, random keys and
// values, sharp and flat rows, root mean square relative to the output: bf16 probabilities 0.3e-4 to 17e-4, where rounding
// query, keys and values to bf16 gives 0.4e-4 to 63e-4 and rounding the output 17e-4; f16 probabilities at most 2e-4. Two
// bf16 for one would bring 0.03e-4 for half as many products again: kept for decode, where products are free.
//
// Floor: 4 * query_heads * head_dim * tokens * mean context FLOP: 8k prompt of Nano, one layer: 550 GFLOP, 0.70 ms at
// 790 TFLOP/s; this form is bound by mma.sync and shared memory, about half of that. Shared memory D 128: 102 KiB, two
// blocks a multiprocessor.
//
// ptxas, sm_80 to sm_90a: 252 to 255 registers at D 128, 175 to 255 below, no spills. What keeps it so: rounds of 32 tokens at D
// 128 (see ROUND_TOKENS), results that leave through shared memory, nodes that are merged in memory, the cell in shared
// memory, and thread_index_here() where something would be kept in registers around the loop over cells.
//
// The plain kernels take any head_dim up to 256 and any number of heads: a warp a query row and head, fp32 products in the
// order of columns and tokens, one online softmax in steps of 128 tokens. They serve decode steps too, with the same bits;
// there `start` may be null: row s is sequence s.
//
// Needs sm_80 or later. Source: Dao 2023 (arXiv:2307.08691), algorithm 1.

#include "prompt_cells.cuh"

constexpr int WARPS = 4;
constexpr int THREADS = WARPS * WARP;
constexpr int TILE_ROWS = 128;
constexpr int STEP_TOKENS = 64;
constexpr int STAGES = 2;

// Shared memory: queries [128, head_dim], the keys and values that the products read, and for e4m3 the stages behind.
// An odd number of 16-byte chunks from row to row spreads the eight rows of an ldmatrix over all banks.
template <int HEAD_DIM, typename Element>
struct PromptShape {
    static constexpr bool WIDE = sizeof(Element) == 2;
    static constexpr int ROW_BYTES = HEAD_DIM * static_cast<int>(sizeof(Element));
    static constexpr int CHUNKS = ROW_BYTES / 16;
    static constexpr int PITCH = (HEAD_DIM / 8 | 1) * 16;
    // Tokens of a round of scores: with 64 and head_dim 128 a thread would need more than its 255 registers.
    static constexpr int ROUND_TOKENS = HEAD_DIM > 80 ? 32 : 64;
    static constexpr int SCORE_TILES = ROUND_TOKENS / 8;
    static constexpr int QUERY_BYTES = TILE_ROWS * PITCH;
    static constexpr int HALF_BYTES = STEP_TOKENS * PITCH;  // keys, or values, of one step as 16-bit numbers
    static constexpr int TILE_BYTES = 2 * HALF_BYTES;
    static constexpr int RAW_BYTES = 2 * STEP_TOKENS * ROW_BYTES;
    static constexpr int BYTES = QUERY_BYTES + (WIDE ? STAGES * TILE_BYTES : TILE_BYTES + STAGES * RAW_BYTES);
    static_assert(HEAD_DIM % 16 == 0, "a row of e4m3 is whole 16-byte chunks");
    static_assert(TILE_ROWS * (HEAD_DIM + 4) * 4 <= BYTES, "results leave through the same memory");
};

// Each thread brings one row into shared memory, as bf16 or as f16 times a power of two, which it undoes in `scale`.
template <int HEAD_DIM, typename Element>
__device__ __forceinline__ void load_queries(uint8_t* queries, float* scale, const PromptArguments& arguments,
                                             const PromptCell& tile) {
    using Shape = PromptShape<HEAD_DIM, Element>;
    int row = thread_index_here();
    bool present = tile.has(row);
    int64_t source = present ? tile.source_row(row) : 0;
    int column = present ? tile.head(row) * HEAD_DIM : 0;
    float up = 1.0f;
    scale[row] = arguments.score_scale;
    if constexpr (!Shape::WIDE) {
        float largest = 0.0f;
        for (int i = 0; present && i < HEAD_DIM; i += 2) {
            float2 pair = arguments.query.pair(source, column + i);
            largest = fmaxf(largest, fmaxf(fabsf(pair.x), fabsf(pair.y)));
        }
        QueryScale power = QueryScale::of(largest);
        up = power.up;
        scale[row] = arguments.score_scale * power.back;
    }
    for (int chunk = 0; chunk < HEAD_DIM / 8; chunk++) {
        uint32_t words[4] = {};
        for (int i = 0; present && i < 4; i++) {
            float2 pair = arguments.query.pair(source, column + chunk * 8 + 2 * i);
            words[i] = Arithmetic<Element>::pack(pair.x * up, pair.y * up);
        }
        *reinterpret_cast<uint4*>(queries + row * Shape::PITCH + chunk * 16) = make_uint4(words[0], words[1], words[2], words[3]);
    }
}

// Starts the copy of a step's keys and values. Tokens behind the tile's last one become zeros and are never read: what lies
// there may be NaN, and a probability of zero would not silence it.
template <int HEAD_DIM, typename Element>
__device__ __forceinline__ void copy_step(uint8_t* target, const PagedCache& cache, const PromptCell& tile, int step) {
    using Shape = PromptShape<HEAD_DIM, Element>;
    constexpr int PITCH = Shape::WIDE ? Shape::PITCH : Shape::ROW_BYTES;
    int first = step * STEP_TOKENS;
    const uint8_t* keys = cache.keys(cache.block(tile.sequence, first / BLOCK_TOKENS), tile.kv_head, Shape::ROW_BYTES) +
                          first % BLOCK_TOKENS * Shape::ROW_BYTES;
    int64_t values_offset = cache.values_offset(Shape::ROW_BYTES);
    constexpr int COUNT = STEP_TOKENS * Shape::CHUNKS;
    int thread = thread_index_here();
#pragma unroll
    for (int i = 0; i < ceil_div(COUNT, THREADS); i++) {  // a bound that the compiler knows
        int chunk = thread + i * THREADS;
        int token = chunk / Shape::CHUNKS;
        uint8_t* place = target + token * PITCH + chunk % Shape::CHUNKS * 16;
        bool valid = first + token < tile.end_token;
        if (COUNT % THREADS == 0 || chunk < COUNT) {
            cp_async_16(place, keys + chunk * 16, valid);
            cp_async_16(place + STEP_TOKENS * PITCH, keys + values_offset + chunk * 16, valid);
        }
    }
}

// e4m3 [128, head_dim] (64 keys, 64 values) to f16 with the pitch of the products.
template <int HEAD_DIM>
__device__ __forceinline__ void widen_step(uint8_t* target, const uint8_t* raw) {
    using Shape = PromptShape<HEAD_DIM, e4m3>;
    for (int chunk = thread_index_here(); chunk < 2 * STEP_TOKENS * Shape::CHUNKS; chunk += THREADS) {
        uint4 bytes = *reinterpret_cast<const uint4*>(raw + chunk * 16);
        uint32_t words[4] = {bytes.x, bytes.y, bytes.z, bytes.w};
        uint4* place = reinterpret_cast<uint4*>(target + chunk / Shape::CHUNKS * Shape::PITCH + chunk % Shape::CHUNKS * 32);
        uint32_t wide[8];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            wide[2 * i] = e4m3x2_to_f16x2(static_cast<uint16_t>(words[i]));
            wide[2 * i + 1] = e4m3x2_to_f16x2(static_cast<uint16_t>(words[i] >> 16));
        }
        place[0] = make_uint4(wide[0], wide[1], wide[2], wide[3]);
        place[1] = make_uint4(wide[4], wide[5], wide[6], wide[7]);
    }
}

// What a warp keeps of its 32 rows while it walks: fragment f, rows 16f + lane / 4 and 16f + lane / 4 + 8.
template <int HEAD_DIM>
struct WarpRows {
    using Saved = Node<THREADS, 2, HEAD_DIM / 8>;

    float weighted[2][HEAD_DIM / 8][4];
    float maximum[2][2];
    float sum[2][2];

    __device__ __forceinline__ void save(const Saved& node) const {
#pragma unroll
        for (int f = 0; f < 2; f++) {
#pragma unroll
            for (int n = 0; n < HEAD_DIM / 8; n++) {
                const float(&four)[4] = weighted[f][n];
                node.values(f, n) = make_float4(four[0], four[1], four[2], four[3]);
            }
            node.rows(f) = make_float4(maximum[f][0], maximum[f][1], sum[f][0], sum[f][1]);
        }
    }

    __device__ __forceinline__ void load(const Saved& node) {
#pragma unroll
        for (int f = 0; f < 2; f++) {
#pragma unroll
            for (int n = 0; n < HEAD_DIM / 8; n++) {
                float4 four = node.values(f, n);
                weighted[f][n][0] = four.x;
                weighted[f][n][1] = four.y;
                weighted[f][n][2] = four.z;
                weighted[f][n][3] = four.w;
            }
            float4 rows = node.rows(f);
            maximum[f][0] = rows.x;
            maximum[f][1] = rows.y;
            sum[f][0] = rows.z;
            sum[f][1] = rows.w;
        }
    }
};

// scores[f] of 16 rows and TILES * 8 tokens: tile n holds tokens 8n to 8n + 7.
template <int HEAD_DIM, typename Element, int TILES>
__device__ __forceinline__ void multiply_keys(float (&scores)[2][TILES][4], const uint8_t* queries, const uint8_t* keys) {
    using Shape = PromptShape<HEAD_DIM, Element>;
    int lane = threadIdx.x % WARP;
#pragma unroll
    for (int column = 0; column < HEAD_DIM / 16; column++) {
        uint32_t rows[2][4];
#pragma unroll
        for (int f = 0; f < 2; f++) {
            ldmatrix_x4(rows[f], queries + (16 * f + lane % 16) * Shape::PITCH + (2 * column + lane / 16) * 16);
        }
#pragma unroll
        for (int pair = 0; pair < TILES / 2; pair++) {
            uint32_t words[4];
            int token = pair * 16 + lane / 16 * 8 + lane % 8;
            ldmatrix_x4(words, keys + token * Shape::PITCH + (2 * column + lane / 8 % 2) * 16);
#pragma unroll
            for (int f = 0; f < 2; f++) {
                Arithmetic<Element>::multiply(scores[f][2 * pair], rows[f], {words[0], words[1]});
                Arithmetic<Element>::multiply(scores[f][2 * pair + 1], rows[f], {words[2], words[3]});
            }
        }
    }
}

// weighted += probabilities values, over TILES * 8 tokens.
template <int HEAD_DIM, typename Element, int TILES>
__device__ __forceinline__ void add_values(WarpRows<HEAD_DIM>& mine, const float (&probabilities)[2][TILES][4],
                                           const uint8_t* values) {
    using Shape = PromptShape<HEAD_DIM, Element>;
    int lane = threadIdx.x % WARP;
#pragma unroll
    for (int tokens = 0; tokens < TILES / 2; tokens++) {
        uint32_t rows[2][4];
#pragma unroll
        for (int f = 0; f < 2; f++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const float(&tile)[4] = probabilities[f][2 * tokens + i / 2];
                rows[f][i] = Arithmetic<Element>::pack(tile[i % 2 * 2], tile[i % 2 * 2 + 1]);
            }
        }
#pragma unroll
        for (int pair = 0; pair < HEAD_DIM / 16; pair++) {
            uint32_t words[4];
            ldmatrix_x4_trans(words, values + (tokens * 16 + lane % 16) * Shape::PITCH + (2 * pair + lane / 16) * 16);
#pragma unroll
            for (int f = 0; f < 2; f++) {
                Arithmetic<Element>::multiply(mine.weighted[f][2 * pair], rows[f], {words[0], words[1]});
                Arithmetic<Element>::multiply(mine.weighted[f][2 * pair + 1], rows[f], {words[2], words[3]});
            }
        }
    }
}

// One round of tokens from position `first` on for the warp's rows.
template <int HEAD_DIM, typename Element>
__device__ __forceinline__ void take_round(WarpRows<HEAD_DIM>& mine, const PromptCell& tile, int first, const uint8_t* queries,
                                           const float* scales, const uint8_t* keys, const uint8_t* values) {
    using Shape = PromptShape<HEAD_DIM, Element>;
    int thread = thread_index_here();
    int lane = thread % WARP;
    int warp_row = thread / WARP * 32;
    float scores[2][Shape::SCORE_TILES][4] = {};
    multiply_keys<HEAD_DIM, Element>(scores, queries + warp_row * Shape::PITCH, keys);
    if (first + Shape::ROUND_TOKENS > tile.first_position + 1) {  // some row of the tile must not see all of the round
#pragma unroll
        for (int f = 0; f < 2; f++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int last = tile.position(warp_row + 16 * f + 8 * half + lane / 4) - first - 2 * (lane % 4);
#pragma unroll
                for (int n = 0; n < Shape::SCORE_TILES; n++) {
                    float& left = scores[f][n][2 * half];
                    float& right = scores[f][n][2 * half + 1];
                    left = 8 * n <= last ? left : -INFINITY;
                    right = 8 * n + 1 <= last ? right : -INFINITY;
                }
            }
        }
    }
#pragma unroll
    for (int f = 0; f < 2; f++) {
        float correction[2];
        float scale[2] = {scales[warp_row + 16 * f + lane / 4], scales[warp_row + 16 * f + lane / 4 + 8]};
        take_scores(scores[f], scale, mine.maximum[f], mine.sum[f], correction);
#pragma unroll
        for (int n = 0; n < HEAD_DIM / 8; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                mine.weighted[f][n][i] *= correction[i / 2];
            }
        }
    }
    add_values<HEAD_DIM, Element>(mine, scores, values);
}

// Divides by the sums and writes the rows out, through shared memory: whole lines to the device, and few registers here.
template <int HEAD_DIM>
__device__ __forceinline__ void store_rows(const PromptArguments& arguments, const PromptCell& tile,
                                           const WarpRows<HEAD_DIM>& mine, float* shared) {
    constexpr int PITCH = HEAD_DIM + 4;
    int thread = thread_index_here();
    int lane = thread % WARP;
    int warp_row = thread / WARP * 32;
    float* rows = shared + warp_row * PITCH;
    __syncthreads();  // all have done with queries, keys and values
#pragma unroll
    for (int f = 0; f < 2; f++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float sum = mine.sum[f][half];
            sum += __shfl_xor_sync(ALL_LANES, sum, 1);
            sum += __shfl_xor_sync(ALL_LANES, sum, 2);
            float share = arguments.value_scale / sum;
            float* row = rows + (16 * f + 8 * half + lane / 4) * PITCH;
#pragma unroll
            for (int n = 0; n < HEAD_DIM / 8; n++) {
                *reinterpret_cast<float2*>(row + n * 8 + 2 * (lane % 4)) =
                    make_float2(mine.weighted[f][n][2 * half] * share, mine.weighted[f][n][2 * half + 1] * share);
            }
        }
    }
    __syncwarp();
#pragma unroll 1
    for (int i = lane; i < 32 * HEAD_DIM / 4; i += WARP) {
        int row = i / (HEAD_DIM / 4);
        int column = i % (HEAD_DIM / 4) * 4;
        if (tile.has(warp_row + row)) {
            arguments.output.store_four(tile.source_row(warp_row + row), tile.head(warp_row + row) * HEAD_DIM + column,
                                        *reinterpret_cast<const float4*>(rows + row * PITCH + column));
        }
    }
}

// Whether this warp has rows of the tile.
__device__ __forceinline__ bool is_busy(const PromptCell& cell) { return cell.has(thread_index_here() / WARP * 32); }

// Walks the steps of a segment from `step` on, which is under way, with one online softmax. Returns the next step.
template <int HEAD_DIM, typename Element>
__device__ __forceinline__ int walk(WarpRows<HEAD_DIM>& mine, const PromptArguments& arguments, const PromptCell& cell,
                                    int step, int segment_steps, uint8_t* shared, const float* scales) {
    using Shape = PromptShape<HEAD_DIM, Element>;
    uint8_t* products = shared + Shape::QUERY_BYTES;
    uint8_t* stages = Shape::WIDE ? products : products + Shape::TILE_BYTES;
    constexpr int STAGE_BYTES = Shape::WIDE ? Shape::TILE_BYTES : Shape::RAW_BYTES;
    mine = {};
#pragma unroll
    for (int f = 0; f < 2; f++) {
        mine.maximum[f][0] = -INFINITY;
        mine.maximum[f][1] = -INFINITY;
    }
#pragma unroll 1
    do {
        int first = step * STEP_TOKENS;
        step++;
        cp_async_wait<0>();
        __syncthreads();  // the step is there for all, and all have done with what is filled next
        if (step * STEP_TOKENS < cell.end_token) {
            copy_step<HEAD_DIM, Element>(stages + step % STAGES * STAGE_BYTES, arguments.cache, cell, step);
        }
        cp_async_commit();
        const uint8_t* keys = stages + (step - 1) % STAGES * STAGE_BYTES;
        if constexpr (!Shape::WIDE) {
            widen_step<HEAD_DIM>(products, keys);
            __syncthreads();
            keys = products;
        }
        int visible = is_busy(cell) ? min(STEP_TOKENS, cell.end_token - first) : 0;
#pragma unroll 1
        for (int token = 0; token < visible; token += Shape::ROUND_TOKENS) {
            const uint8_t* round = keys + token * Shape::PITCH;
            take_round<HEAD_DIM, Element>(mine, cell, first + token, shared, scales, round, round + Shape::HALF_BYTES);
        }
    } while (step * STEP_TOKENS < cell.end_token && (step & (segment_steps - 1)) != 0);
    return step;
}

template <int HEAD_DIM, typename Element>
__device__ __forceinline__ void attend(const PromptArguments& arguments, const PromptWork& work, const PromptNodes& nodes) {
    using Shape = PromptShape<HEAD_DIM, Element>;
    using Saved = typename WarpRows<HEAD_DIM>::Saved;
    DYN_SMEM(uint8_t, shared);
    __shared__ float scales[TILE_ROWS];
    __shared__ PromptCell cell;
    __shared__ int resting[WARPS];  // the warps' next steps while nodes are merged: a register less, and none spills
    auto slot = [&](int part) { return Saved::at(nodes.slots, cell.slot + part, thread_index_here()); };
    // Nodes of this block's walk; the one that is left in the end lies where others look for it.
    auto kept = [&](int segment) {
        if (segment == 0 && cell.parts > 1) {
            return slot(cell.part);
        }
        return Saved::at(nodes.stacks, static_cast<int>(blockIdx.x) * nodes.depth + __popc(segment), thread_index_here());
    };
    while (next_cell(&cell, work)) {
        if (cell.first_token == cell.end_token) {
            continue;
        }
        WarpRows<HEAD_DIM> mine;
        int step = cell.first_token / STEP_TOKENS;
        uint8_t* stages = shared + Shape::QUERY_BYTES + (Shape::WIDE ? 0 : Shape::TILE_BYTES);
        copy_step<HEAD_DIM, Element>(stages, arguments.cache, cell, step);  // into stage 0: parts begin with an even step
        cp_async_commit();
        load_queries<HEAD_DIM, Element>(shared, scales, arguments, cell);
#pragma unroll 1
        for (bool last = false; !last;) {
            step = walk<HEAD_DIM, Element>(mine, arguments, cell, step, work.segment_tokens / STEP_TOKENS, shared, scales);
            last = step * STEP_TOKENS >= cell.end_token;
            if (is_busy(cell) && has_nodes(cell, work)) {
                resting[thread_index_here() / WARP] = step;
                int segment = cell.segment_before(step * STEP_TOKENS, work.segment_tokens);
                mine.save(kept(segment));
                add_leaf(segment, last, kept);
                step = resting[thread_index_here() / WARP];
            }
        }
        if (cell.parts > 1) {
            if (!last_to_arrive(arrivals(work, cell), cell.parts)) {
                continue;
            }
            for (int part = 1; is_busy(cell) && part < cell.parts; part++) {
                add_leaf(part, part + 1 == cell.parts, slot);
            }
        }
        if (is_busy(cell) && has_nodes(cell, work)) {
            mine.load(cell.parts > 1 ? slot(0) : kept(0));
        }
        store_rows(arguments, cell, mine, reinterpret_cast<float*>(shared));
    }
    leave_cells(work);
}

#define PAGED_ATTENTION_PROMPT(name, HEAD_DIM, Element)                                                                   \
    extern "C" __global__ __launch_bounds__(THREADS) void name(                                                           \
        bf16* out, e4m3* quantised, float* nodes, int* counters, const void* query, const uint8_t* cache, int* plan,      \
        const int* start, const int* position, const int* block_table, int64_t block_stride, int64_t layer_offset,        \
        int64_t query_stride, int sequences, int max_blocks, int kv_heads, int heads, int query_is_float,                 \
        int tile_tokens, int segment_tokens, int slots, int depth, float score_scale, float key_scale,                   \
        float value_scale, float quantised_scale) {                                                                       \
        grid_dependency_launch();                                                                                         \
        grid_dependency_wait();                                                                                           \
        PromptArguments arguments{                                                                                        \
            AttentionOutput{out, quantised, quantised_scale, static_cast<int64_t>(kv_heads) * heads * HEAD_DIM},          \
            QueryRows{query, query_stride, query_is_float != 0},                                                          \
            PagedCache{cache, block_table, block_stride, layer_offset, max_blocks, kv_heads}, heads,                      \
            score_scale * key_scale * LOG2_E, value_scale};                                                               \
        PromptWork work{PromptPlan{plan, sequences}, start, position, counters, kv_heads, heads, tile_tokens,             \
                        segment_tokens};                                                                                  \
        int64_t behind_slots = static_cast<int64_t>(slots) * WarpRows<HEAD_DIM>::Saved::FLOATS;                           \
        attend<HEAD_DIM, Element>(arguments, work, PromptNodes{nodes, nodes + behind_slots, depth});                      \
    }                                                                                                                     \
    KERNEL(name)

PAGED_ATTENTION_PROMPT(paged_attention_prompt_64_bf16, 64, bf16);
PAGED_ATTENTION_PROMPT(paged_attention_prompt_80_bf16, 80, bf16);
PAGED_ATTENTION_PROMPT(paged_attention_prompt_128_bf16, 128, bf16);
PAGED_ATTENTION_PROMPT(paged_attention_prompt_64_e4m3, 64, e4m3);
PAGED_ATTENTION_PROMPT(paged_attention_prompt_80_e4m3, 80, e4m3);
PAGED_ATTENTION_PROMPT(paged_attention_prompt_128_e4m3, 128, e4m3);

// ---- plain -------------------------------------------------------------------------------------------------------------

constexpr int PLAIN_COLUMNS = 8;  // of a lane: head_dim up to 256

template <typename Element>
__device__ __forceinline__ void attend_plain(const PromptArguments& arguments, const int* start, const int* position,
                                             const int* slot, int sequences, int head_dim) {
    __shared__ float query[PLAIN_COLUMNS * WARP];
    __shared__ float probabilities[BLOCK_TOKENS];
    int lane = static_cast<int>(threadIdx.x);
    int row = static_cast<int>(blockIdx.x);
    int head = static_cast<int>(blockIdx.y);
    int sequence = start == nullptr ? row : sequence_of_row(start, sequences, row);
    if (slot[sequence] < 0 || (start != nullptr && row >= start[sequences])) {
        return;
    }
    const PagedCache& cache = arguments.cache;
    int row_bytes = head_dim * static_cast<int>(sizeof(Element));
    int length = position[sequence] + (start == nullptr ? 0 : row - start[sequence]) + 1;
    for (int column = lane; column < head_dim; column += WARP) {
        query[column] = arguments.query.at(row, head * head_dim + column);
    }
    __syncwarp();

    float weighted[PLAIN_COLUMNS] = {};
    float maximum = -INFINITY;
    float sum = 0.0f;
    for (int first = 0; first < length; first += BLOCK_TOKENS) {
        const uint8_t* keys = cache.keys(cache.block(sequence, first / BLOCK_TOKENS), head / arguments.heads, row_bytes);
        const Element* values = reinterpret_cast<const Element*>(keys + cache.values_offset(row_bytes));
        int visible = min(BLOCK_TOKENS, length - first);
        float scores[BLOCK_TOKENS / WARP];
        float largest = -INFINITY;
#pragma unroll
        for (int i = 0; i < BLOCK_TOKENS / WARP; i++) {
            int token = lane + WARP * i;
            scores[i] = -INFINITY;
            if (token < visible) {
                const Element* key = reinterpret_cast<const Element*>(keys) + token * head_dim;
                float product = 0.0f;
                for (int column = 0; column < head_dim; column++) {
                    product = __fmaf_rn(query[column], to_float(key[column]), product);
                }
                scores[i] = product * arguments.score_scale;
            }
            largest = fmaxf(largest, scores[i]);
        }
        float next = fmaxf(maximum, warp_max(largest));
        float correction = fast_exp2(maximum - next);
        maximum = next;
        float total = 0.0f;
#pragma unroll
        for (int i = 0; i < BLOCK_TOKENS / WARP; i++) {
            float probability = fast_exp2(scores[i] - next);
            probabilities[lane + WARP * i] = probability;
            total += probability;
        }
        sum = __fmaf_rn(sum, correction, warp_sum(total));
        __syncwarp();  // here and below: a shuffle keeps lanes together, in the emulator too, but does not order memory
#pragma unroll
        for (int i = 0; i < PLAIN_COLUMNS; i++) {
            int column = lane + WARP * i;
            if (column < head_dim) {
                float added = 0.0f;
                for (int token = 0; token < visible; token++) {
                    added = __fmaf_rn(probabilities[token], to_float(values[token * head_dim + column]), added);
                }
                weighted[i] = __fmaf_rn(weighted[i], correction, added);
            }
        }
        __syncwarp();  // before the next block's probabilities
    }
    float share = arguments.value_scale / sum;
#pragma unroll
    for (int i = 0; i < PLAIN_COLUMNS; i++) {
        int column = lane + WARP * i;
        if (column < head_dim) {
            arguments.output.store(row, head * head_dim + column, weighted[i] * share);
        }
    }
}

#define PAGED_ATTENTION_PLAIN(name, Element)                                                                              \
    extern "C" __global__ __launch_bounds__(WARP) void name(                                                              \
        bf16* out, e4m3* quantised, const void* query, const uint8_t* cache, const int* start, const int* position,       \
        const int* slot, const int* block_table, int64_t block_stride, int64_t layer_offset, int64_t query_stride,        \
        int sequences, int max_blocks, int kv_heads, int heads, int head_dim, int query_is_float, float score_scale,      \
        float key_scale, float value_scale, float quantised_scale) {                                                      \
        grid_dependency_launch();                                                                                         \
        grid_dependency_wait();                                                                                           \
        PromptArguments arguments{                                                                                        \
            AttentionOutput{out, quantised, quantised_scale, static_cast<int64_t>(kv_heads) * heads * head_dim},          \
            QueryRows{query, query_stride, query_is_float != 0},                                                          \
            PagedCache{cache, block_table, block_stride, layer_offset, max_blocks, kv_heads}, heads,                      \
            score_scale * key_scale * LOG2_E, value_scale};                                                               \
        attend_plain<Element>(arguments, start, position, slot, sequences, head_dim);                                     \
    }                                                                                                                     \
    KERNEL(name)

PAGED_ATTENTION_PLAIN(paged_attention_plain_bf16, bf16);
PAGED_ATTENTION_PLAIN(paged_attention_plain_e4m3, e4m3);
