// sm90_paged_attention_prompt.cu: causal attention of pieces of prompts on the warpgroup instructions of sm_90a, head_dim 128.
//
// Computes what paged_attention_prompt.cu computes, from the same arguments, plan, cells, segments and nodes (see there and in
// prompt_cells.cuh); the tile of 128 rows is the same, (token, head) pairs of all heads of a KV head. Steps are whole blocks of
// 128 tokens, so a row's online softmax takes other steps than there: which of the two computes a row follows from shape, device
// and setting, never from a step's work. No row meets a block that it sees nothing of: a tile never crosses a block's end.
//
// A block of threads is three warpgroups. The first copies: it takes cells ahead of the others, two at most, and brings
// keys and values of each block of tokens into a ring of operands. The others multiply 64 rows each:
//
//   scores of the next block = query keys^T          64 x 128 x 128, both operands in shared memory
//   weighted += probabilities values                 64 x 128 x 128, probabilities in registers, values as rows of tokens
//   softmax of the next block's scores               while the second product is under way
//
// An operand, keys or values, is two tiles of 64 columns, [128 tokens][128 bytes] with the swizzle of the products
// (warpgroup.cuh): keys are read with the columns as K, values with the tokens as K. It is `full` when each of the four copying
// warps has arrived behind its copies, and `empty` when each of the eight multiplying warps has behind its products; a warpgroup that
// has no rows of a short piece only passes on. Tokens behind the tile's last one become zeros and are never read.
//
// bf16 caches are copied 16 bytes at a time (cp.async, six operands, three under way). Of e4m3 caches each copying thread
// brings its own 16 bytes into a slot of its own (three, two under way), widens them to f16 and writes them where the products read;
// nobody else looks at the slots. Four operands. Maps of the copy engine bring neither zeros behind a sequence's end nor f16.
//
// Order of sums: a score is one chain over head_dim, 16 at a time; a value is one chain over the tokens of a segment, 16 at a
// time, rescaled at each block of 128. Probabilities are rounded to bf16 (e4m3: f16) as there.
//
// Shared memory: queries 32 KiB; bf16: 6 operands of 32 KiB, 224 KiB; e4m3: 4 operands and 3 slots of 16 KiB, 208 KiB. One block
// a multiprocessor. Registers: 168 a thread at the start (65,536 / 384); the copying warpgroup keeps 56, the others take 224:
// (56 + 2 * 224) * 128 = 64,512. A multiplying thread holds 64 scores, 64 weighted values and 32 pairs of probabilities.
//
// A tile's step (128 rows, 128 tokens) is 8.4 MFLOP, 2,048 cycles of the tensor cores at their peak. Shared memory at 128 bytes a
// cycle: products read keys and values twice and queries, 160 KiB, 1,280 cycles; copies write 64 KiB, 512 (bf16), or 32 + 64 KiB and
// read 32, 1,024 (e4m3). Exponentials: 16,384 at 16 a cycle, 1,024, beside the products. So bf16 is bound by the tensor
// cores with shared memory at 88 %, e4m3 by shared memory at 2,304 cycles. By arithmetic; to be measured on a device.
//
// Floor: 4 * query_heads * head_dim * tokens * mean context FLOP at 790 TFLOP/s.
//
// Needs sm_90a. Source: Shah and others 2024 (arXiv:2407.08608), sections 3.1 and 3.2, without its ping-pong of warpgroups.

#include "prompt_cells.cuh"
#include "warpgroup.cuh"

constexpr int WARPGROUP = 4 * WARP;
constexpr int THREADS = 3 * WARPGROUP;

#if defined(HOPPER)

constexpr int HEAD_DIM = 128;
constexpr int STEP_TOKENS = BLOCK_TOKENS;
constexpr int ROW_BYTES = 128;                                // of an operand's tile: 64 columns
constexpr int GROUP_ROWS = 64;                                // query rows of a multiplying warpgroup
constexpr int MULTIPLYING_THREADS = 2 * WARPGROUP;
constexpr int COPYING_WARPS = 4;
constexpr int MULTIPLYING_WARPS = 8;
constexpr int COPYING_REGISTERS = 56;
constexpr int MULTIPLYING_REGISTERS = 224;
constexpr int QUERY_TILE_BYTES = GROUP_ROWS * ROW_BYTES;
constexpr int GROUP_QUERY_BYTES = 2 * QUERY_TILE_BYTES;
constexpr int QUERY_BYTES = 2 * GROUP_QUERY_BYTES;
constexpr int TILE_BYTES = STEP_TOKENS * ROW_BYTES;
constexpr int OPERAND_BYTES = 2 * TILE_BYTES;
constexpr int PRODUCTS = HEAD_DIM / 16;                       // of a step, for scores and for values alike
constexpr int SCORE_TILES = STEP_TOKENS / 8;
constexpr int VALUE_TILES = HEAD_DIM / 8;
constexpr int CELLS = 2;                                      // known ahead of the multiplying warpgroups, the present one included
constexpr int STAGED_COLUMNS = 32;                            // of a warp's 16 rows on their way out
constexpr int STAGED_STRIDE = 40;                             // floats: rows of four lanes' pairs meet different banks
static_assert(GROUP_ROWS / 4 * STAGED_STRIDE * 4 <= GROUP_QUERY_BYTES / 4, "rows leave through their warp's quarter of the queries");

// Barriers by number.
constexpr int COPYING_BARRIER = 1;
constexpr int MULTIPLYING_BARRIER = 2;
constexpr int GROUP_BARRIER = 3;  // and 4

// ---- number formats of the cache ------------------------------------------------------------------------------------------

template <typename Element>
struct CacheForm;

template <>
struct CacheForm<bf16> {
    static constexpr int OPERANDS = 6;
    static constexpr int AHEAD = 3;  // copies under way while an operand is handed over
    static constexpr int SLOTS = 0;
    static __device__ __forceinline__ void multiply_keys(float (&d)[64], uint64_t a, uint64_t b, bool accumulate) {
        wgmma_bf16<128>(d, a, b, accumulate);
    }
    static __device__ __forceinline__ void add_values(float (&d)[64], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
        wgmma_bf16_by_rows<128>(d, a, b, accumulate);
    }
};

template <>
struct CacheForm<e4m3> {
    static constexpr int OPERANDS = 4;
    static constexpr int AHEAD = 2;
    static constexpr int SLOTS = AHEAD + 1;
    static __device__ __forceinline__ void multiply_keys(float (&d)[64], uint64_t a, uint64_t b, bool accumulate) {
        wgmma_f16<128>(d, a, b, accumulate);
    }
    static __device__ __forceinline__ void add_values(float (&d)[64], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
        wgmma_f16_by_rows<128>(d, a, b, accumulate);
    }
};

// ---- what the warpgroups share ----------------------------------------------------------------------------------------------

struct Control {
    uint64_t full[6];
    uint64_t empty[6];
    uint64_t cell_known[CELLS];
    uint64_t cell_free[CELLS];
    PromptCell cells[CELLS];  // no parts: there is none left
    float scales[2 * GROUP_ROWS];
    int ticket;
    bool last;
};

// Whose turn it is among COUNT of something that is used in a circle.
template <int COUNT>
struct Turn {
    int index = 0;
    uint32_t parity = 0;

    __device__ __forceinline__ void advance() {
        index++;
        if (index == COUNT) {
            index = 0;
            parity ^= 1;
        }
    }
};

template <typename Element>
struct Ring {
    static constexpr int OPERANDS = CacheForm<Element>::OPERANDS;
    static constexpr int SLOTS_AT = QUERY_BYTES + OPERANDS * OPERAND_BYTES;
    static constexpr int SLOT_BYTES = STEP_TOKENS * HEAD_DIM;  // e4m3
    static constexpr int BYTES = SLOTS_AT + CacheForm<Element>::SLOTS * SLOT_BYTES;
    static_assert(OPERANDS % 2 == 0, "keys and values in turn");

    uint8_t* shared;
    Control* control;

    __device__ __forceinline__ uint8_t* operand(int index) const { return shared + QUERY_BYTES + index * OPERAND_BYTES; }
    __device__ __forceinline__ uint8_t* slot(int index) const { return shared + SLOTS_AT + index * SLOT_BYTES; }

    // By all threads of the block, before anything else.
    __device__ __forceinline__ void prepare() const {
        if (threadIdx.x == 0) {
            for (int i = 0; i < OPERANDS; i++) {
                mbarrier_init(&control->full[i], COPYING_WARPS);
                mbarrier_init(&control->empty[i], MULTIPLYING_WARPS);
            }
            for (int i = 0; i < CELLS; i++) {
                mbarrier_init(&control->cell_known[i], 1);
                mbarrier_init(&control->cell_free[i], MULTIPLYING_WARPS);
            }
            fence_barrier_init();
        }
        __syncthreads();
    }
};

// One arrival for a warp whose lanes have all come here.
__device__ __forceinline__ void arrive_as_warp(uint64_t* barrier) {
    __syncwarp();
    if (threadIdx.x % WARP == 0) {
        mbarrier_arrive(barrier);
    }
}

// ---- the copying warpgroup ---------------------------------------------------------------------------------------------------

// Takes the next cell that has something in it; false: there is none left.
__device__ __forceinline__ bool take_cell(PromptCell* cell, int* ticket, const PromptWork& work) {
    int thread = static_cast<int>(threadIdx.x);
    do {
        if (thread == 0) {
            *ticket = atomicAdd(work.counters, 1);
        }
        named_barrier_sync(COPYING_BARRIER, WARPGROUP);
        int number = work.plan.cells() - 1 - *ticket;
        if (number < 0) {
            return false;
        }
        const int* before = work.plan.before();
        for (int sequence = thread; sequence < work.plan.sequences; sequence += WARPGROUP) {
            if (before[sequence] <= number && number < before[sequence + 1]) {
                *cell = cell_at(work, sequence, number);
            }
        }
        named_barrier_sync(COPYING_BARRIER, WARPGROUP);
    } while (cell->first_token == cell->end_token);
    return true;
}

// A thread's part of an operand: chunk i is the 16 bytes at `source` + i * 128 * 16 of the cache's [128 tokens][128 columns].
template <typename Element>
struct CopiedChunks {
    static constexpr int TOKEN_CHUNKS = HEAD_DIM * static_cast<int>(sizeof(Element)) / 16;
    static constexpr int TOKENS_APART = WARPGROUP / TOKEN_CHUNKS;  // a multiple of 8: all chunks of a thread have one swizzle
    static constexpr int COUNT = STEP_TOKENS / TOKENS_APART;
    static_assert(TOKENS_APART % 8 == 0 && STEP_TOKENS % TOKENS_APART == 0, "whole groups of rows");

    static __device__ __forceinline__ int token() { return static_cast<int>(threadIdx.x) / TOKEN_CHUNKS; }
    static __device__ __forceinline__ int chunk() { return static_cast<int>(threadIdx.x) % TOKEN_CHUNKS; }

    // Offset in an operand of piece `piece` of 16 bytes, 0 to 15, of the thread's first row.
    static __device__ __forceinline__ uint32_t place(int piece) {
        return piece / 8 * TILE_BYTES + swizzled(token() * ROW_BYTES + piece % 8 * 16);
    }
};

// Asks for a thread's part of `tokens` tokens, all that there are in the block at most; zeros behind them.
__device__ __forceinline__ void copy_operand(uint8_t* operand, const bf16*, const uint8_t* source, int tokens) {
    using Chunks = CopiedChunks<bf16>;
    uint8_t* place = operand + Chunks::place(Chunks::chunk());
    const uint8_t* from = source + threadIdx.x * 16;
    int left = tokens - Chunks::token();
#pragma unroll
    for (int i = 0; i < Chunks::COUNT; i++) {
        cp_async_16(place + i * Chunks::TOKENS_APART * ROW_BYTES, from + i * WARPGROUP * 16, i * Chunks::TOKENS_APART < left);
    }
}

__device__ __forceinline__ void copy_slot(uint8_t* slot, const uint8_t* source, int tokens) {
    using Chunks = CopiedChunks<e4m3>;
    int left = tokens - Chunks::token();
#pragma unroll
    for (int i = 0; i < Chunks::COUNT; i++) {
        uint32_t at = threadIdx.x * 16 + i * WARPGROUP * 16;
        cp_async_16(slot + at, source + at, i * Chunks::TOKENS_APART < left);
    }
}

// e4m3 of a thread's own chunks to f16 where the products read it. A chunk is two pieces; lanes of the second half of a row write
// the second of theirs first, so that the eight lanes of a row meet all banks.
__device__ __forceinline__ void widen_slot(uint8_t* operand, const uint8_t* slot) {
    using Chunks = CopiedChunks<e4m3>;
    bool turned = Chunks::chunk() >= 4;
    uint8_t* first = operand + Chunks::place(2 * Chunks::chunk() + (turned ? 1 : 0));
    uint8_t* second = operand + Chunks::place(2 * Chunks::chunk() + (turned ? 0 : 1));
#pragma unroll
    for (int i = 0; i < Chunks::COUNT; i++) {
        uint4 bytes = *reinterpret_cast<const uint4*>(slot + threadIdx.x * 16 + i * WARPGROUP * 16);
        uint32_t words[4] = {bytes.x, bytes.y, bytes.z, bytes.w};
        uint32_t wide[8];
#pragma unroll
        for (int j = 0; j < 4; j++) {
            wide[2 * j] = e4m3x2_to_f16x2(static_cast<uint16_t>(words[j]));
            wide[2 * j + 1] = e4m3x2_to_f16x2(static_cast<uint16_t>(words[j] >> 16));
        }
        uint4 low = make_uint4(wide[0], wide[1], wide[2], wide[3]);
        uint4 high = make_uint4(wide[4], wide[5], wide[6], wide[7]);
        *reinterpret_cast<uint4*>(first + i * Chunks::TOKENS_APART * ROW_BYTES) = turned ? high : low;
        *reinterpret_cast<uint4*>(second + i * Chunks::TOKENS_APART * ROW_BYTES) = turned ? low : high;
    }
}

// What the copying warpgroup remembers from cell to cell.
template <typename Element>
struct Feeder {
    using Form = CacheForm<Element>;

    Ring<Element> ring;
    Turn<Form::OPERANDS> filled;    // the next operand to be copied (bf16)
    Turn<Form::OPERANDS> handed;    // the next one to be handed over
    int slot_filled = 0;            // e4m3
    int slot_widened = 0;

    __device__ __forceinline__ void wait_for_room(const Turn<Form::OPERANDS>& turn) const {
        mbarrier_wait(&ring.control->empty[turn.index], turn.parity ^ 1);
    }

    __device__ __forceinline__ void begin(const uint8_t* source, int tokens) {
        if constexpr (Form::SLOTS == 0) {
            wait_for_room(filled);
            copy_operand(ring.operand(filled.index), static_cast<const Element*>(nullptr), source, tokens);
            filled.advance();
        } else {
            copy_slot(ring.slot(slot_filled), source, tokens);
            slot_filled = slot_filled + 1 == Form::SLOTS ? 0 : slot_filled + 1;
        }
    }

    __device__ __forceinline__ void hand_over() {
        if constexpr (Form::SLOTS != 0) {
            wait_for_room(handed);
            widen_slot(ring.operand(handed.index), ring.slot(slot_widened));
            slot_widened = slot_widened + 1 == Form::SLOTS ? 0 : slot_widened + 1;
        }
        fence_async_proxy();
        arrive_as_warp(&ring.control->full[handed.index]);
        handed.advance();
    }

    // Brings keys and values of a cell, block by block.
    __device__ __forceinline__ void feed(const PromptCell& cell, const PagedCache& cache) {
        constexpr int CACHE_ROW_BYTES = HEAD_DIM * static_cast<int>(sizeof(Element));
        int first_block = cell.first_token / STEP_TOKENS;
        int count = 2 * ceil_div(cell.end_token - cell.first_token, STEP_TOKENS);
        int64_t values = cache.values_offset(CACHE_ROW_BYTES);
        const uint8_t* keys = nullptr;
        int following = cache.block(cell.sequence, first_block);
#pragma unroll 1
        for (int i = -Form::AHEAD; i < count; i++) {
            int next = i + Form::AHEAD;
            if (next < count) {
                if (next % 2 == 0) {
                    keys = cache.keys(following, cell.kv_head, CACHE_ROW_BYTES);
                    following = next + 2 < count ? cache.block(cell.sequence, first_block + next / 2 + 1) : 0;
                }
                begin(next % 2 == 0 ? keys : keys + values, cell.end_token - (first_block + next / 2) * STEP_TOKENS);
            }
            cp_async_commit();
            if (i >= 0) {
                cp_async_wait<Form::AHEAD>();
                hand_over();
            }
        }
    }
};

template <typename Element>
__device__ __forceinline__ void copy_cells(const Ring<Element>& ring, const PagedCache& cache, const PromptWork& work) {
    Control& control = *ring.control;
    Feeder<Element> feeder{ring};
#pragma unroll 1
    for (Turn<CELLS> turn;; turn.advance()) {
        mbarrier_wait(&control.cell_free[turn.index], turn.parity ^ 1);
        PromptCell& cell = control.cells[turn.index];
        bool more = take_cell(&cell, &control.ticket, work);
        if (threadIdx.x == 0) {
            if (!more) {
                cell.parts = 0;
            }
            mbarrier_arrive(&control.cell_known[turn.index]);
        }
        if (!more) {
            break;
        }
        feeder.feed(cell, cache);
    }
}

// ---- the multiplying warpgroups -------------------------------------------------------------------------------------------------

__device__ __forceinline__ int multiplying_thread() { return thread_index_here() - WARPGROUP; }

// 0 or 1.
__device__ __forceinline__ int group_here() { return multiplying_thread() / WARPGROUP; }

__device__ __forceinline__ void sync_group() { named_barrier_sync(GROUP_BARRIER + group_here(), WARPGROUP); }

// What a thread keeps of its two rows while it walks: 16 * warp + lane / 4 of its group, and 8 further down.
struct TwoRows {
    using Saved = Node<MULTIPLYING_THREADS, 1, VALUE_TILES>;

    float weighted[VALUE_TILES][4];
    float maximum[2];
    float sum[2];

    __device__ __forceinline__ void save(const Saved& node) const {
#pragma unroll
        for (int n = 0; n < VALUE_TILES; n++) {
            node.values(0, n) = make_float4(weighted[n][0], weighted[n][1], weighted[n][2], weighted[n][3]);
        }
        node.rows(0) = make_float4(maximum[0], maximum[1], sum[0], sum[1]);
    }

    __device__ __forceinline__ void load(const Saved& node) {
#pragma unroll
        for (int n = 0; n < VALUE_TILES; n++) {
            float4 four = node.values(0, n);
            weighted[n][0] = four.x;
            weighted[n][1] = four.y;
            weighted[n][2] = four.z;
            weighted[n][3] = four.w;
        }
        float4 rows = node.rows(0);
        maximum[0] = rows.x;
        maximum[1] = rows.y;
        sum[0] = rows.z;
        sum[1] = rows.w;
    }
};

// As the products name them: one after the other.
template <int TILES>
__device__ __forceinline__ float (&flat(float (&tiles)[TILES][4]))[TILES * 4] {
    return reinterpret_cast<float(&)[TILES * 4]>(tiles);
}

// Brings a group's rows into shared memory, as bf16 or as f16 times a power of two, which is undone in `scales`. 16 lanes a row; a
// thread asks for all its pieces before it uses one.
template <typename Element>
__device__ __forceinline__ void load_queries(uint8_t* queries, float* scales, const PromptArguments& arguments, const PromptCell& cell) {
    constexpr int ROWS = GROUP_ROWS / 8;  // of a thread
    int thread = multiplying_thread() % WARPGROUP;
    int first = group_here() * GROUP_ROWS;
    int first_row = thread / WARP * 16 + thread % WARP / 16;
    int piece = thread % 16;
    float2 pairs[ROWS][4];
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        int row = first + first_row + 2 * i;
        bool present = cell.has(row);
        int64_t source = present ? cell.source_row(row) : 0;
        int column = (present ? cell.head(row) * HEAD_DIM : 0) + piece * 8;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            pairs[i][j] = present ? arguments.query.pair(source, column + 2 * j) : make_float2(0.0f, 0.0f);
        }
    }
    sync_group();  // all have done with the rows before, and with what left through their memory
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        int row = first_row + 2 * i;
        float up = 1.0f;
        float scale = arguments.score_scale;
        if constexpr (sizeof(Element) == 1) {
            float largest = 0.0f;
#pragma unroll
            for (int j = 0; j < 4; j++) {
                largest = fmaxf(largest, fmaxf(fabsf(pairs[i][j].x), fabsf(pairs[i][j].y)));
            }
#pragma unroll
            for (int offset = 8; offset > 0; offset /= 2) {
                largest = fmaxf(largest, __shfl_xor_sync(ALL_LANES, largest, offset));
            }
            QueryScale power = QueryScale::of(largest);
            up = power.up;
            scale *= power.back;
        }
        uint32_t words[4];
#pragma unroll
        for (int j = 0; j < 4; j++) {
            words[j] = Arithmetic<Element>::pack(pairs[i][j].x * up, pairs[i][j].y * up);
        }
        *reinterpret_cast<uint4*>(queries + piece / 8 * QUERY_TILE_BYTES + swizzled(row * ROW_BYTES + piece % 8 * 16)) =
            make_uint4(words[0], words[1], words[2], words[3]);
        if (piece == 0) {
            scales[first + row] = scale;
        }
    }
    fence_async_proxy();
    sync_group();
}

// Starts the scores of a group's rows with 128 keys.
template <typename Element>
__device__ __forceinline__ void multiply_keys(float (&scores)[SCORE_TILES][4], const uint8_t* queries, const uint8_t* keys) {
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < PRODUCTS; i++) {
        CacheForm<Element>::multiply_keys(flat(scores), wgmma_operand(queries + i / 4 * QUERY_TILE_BYTES + i % 4 * 32),
                                          wgmma_operand(keys + i / 4 * TILE_BYTES + i % 4 * 32), i > 0);
    }
    wgmma_commit();
}

// Starts adding the values of 128 tokens, weighted; `first`: in place of what is there.
template <typename Element>
__device__ __forceinline__ void add_values(float (&weighted)[VALUE_TILES][4], const uint32_t (&probabilities)[PRODUCTS][4],
                                           const uint8_t* values, bool first) {
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < PRODUCTS; i++) {
        CacheForm<Element>::add_values(flat(weighted), probabilities[i],
                                       wgmma_operand_by_rows(values + i * 16 * ROW_BYTES, TILE_BYTES), i > 0 || !first);
    }
    wgmma_commit();
}

// Hides from each row what lies behind its position; `first` is the position of the block's first token.
__device__ __forceinline__ void mask(float (&scores)[SCORE_TILES][4], const PromptCell& cell, int first) {
    int thread = multiplying_thread();
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int row = thread / WARP * 16 + thread % WARP / 4 + 8 * half;
        int last = cell.position(row) - first - 2 * (thread % 4);
#pragma unroll
        for (int n = 0; n < SCORE_TILES; n++) {
            float& left = scores[n][2 * half];
            float& right = scores[n][2 * half + 1];
            left = 8 * n <= last ? left : -INFINITY;
            right = 8 * n + 1 <= last ? right : -INFINITY;
        }
    }
}

// Scores of a block to probabilities, raw to 2^(score * scale - maximum).
__device__ __forceinline__ void take_block(float (&scores)[SCORE_TILES][4], TwoRows& mine, float (&correction)[2], const PromptCell& cell,
                                           int first, const float (&scale)[2]) {
    if (first + STEP_TOKENS > cell.first_position + 1) {  // some row of the tile must not see all of the block
        mask(scores, cell, first);
    }
    take_scores(scores, scale, mine.maximum, mine.sum, correction);
}

// A chain of products takes the tokens of an accumulator's tiles as K: tiles 2i and 2i + 1 are its step i.
template <typename Element>
__device__ __forceinline__ void pack(uint32_t (&probabilities)[PRODUCTS][4], const float (&scores)[SCORE_TILES][4]) {
#pragma unroll
    for (int i = 0; i < PRODUCTS; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const float(&tile)[4] = scores[2 * i + j / 2];
            probabilities[i][j] = Arithmetic<Element>::pack(tile[j % 2 * 2], tile[j % 2 * 2 + 1]);
        }
    }
}

// Where a multiplying warpgroup is in the ring: the pair of keys and values of a block.
template <typename Element>
struct Pairs {
    Ring<Element> ring;
    Turn<CacheForm<Element>::OPERANDS / 2> turn;

    __device__ __forceinline__ int keys() const { return 2 * turn.index; }
    __device__ __forceinline__ int values() const { return 2 * turn.index + 1; }
    __device__ __forceinline__ const uint8_t* wait(int operand) const {
        mbarrier_wait(&ring.control->full[operand], turn.parity);
        return ring.operand(operand);
    }
    __device__ __forceinline__ void release(int operand) const { arrive_as_warp(&ring.control->empty[operand]); }
};

// Walks `blocks` blocks of the context from position `first` on with one online softmax.
template <typename Element>
__device__ __forceinline__ void walk(TwoRows& mine, Pairs<Element>& pairs, const PromptCell& cell, int first, int blocks,
                                     const uint8_t* queries, const float (&scale)[2]) {
    float scores[SCORE_TILES][4];
    uint32_t probabilities[PRODUCTS][4];
    float correction[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        mine.maximum[half] = -INFINITY;
        mine.sum[half] = 0.0f;
    }
    const uint8_t* keys = pairs.wait(pairs.keys());
    multiply_keys<Element>(scores, queries, keys);
    wgmma_wait<0>();
    hold_registers(flat(scores));
    pairs.release(pairs.keys());
    take_block(scores, mine, correction, cell, first, scale);
    pack<Element>(probabilities, scores);
    hold_registers(probabilities);
#pragma unroll 1
    for (int block = 1; block < blocks; block++) {
        Pairs<Element> next = pairs;
        next.turn.advance();
        keys = next.wait(next.keys());
        multiply_keys<Element>(scores, queries, keys);
        add_values<Element>(mine.weighted, probabilities, pairs.wait(pairs.values()), block == 1);
        wgmma_wait<1>();
        hold_registers(flat(scores));
        next.release(next.keys());
        take_block(scores, mine, correction, cell, first + block * STEP_TOKENS, scale);
        hold_registers(flat(scores));
        stay_behind(mine.sum[0] + mine.sum[1]);  // the softmax belongs in front of the wait
        wgmma_wait<0>();
        hold_registers(flat(mine.weighted));
        hold_registers(flat(scores));  // and packing behind it: until now products read the probabilities' registers
        pairs.release(pairs.values());
#pragma unroll
        for (int n = 0; n < VALUE_TILES; n++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                mine.weighted[n][i] *= correction[i / 2];
            }
        }
        hold_registers(flat(mine.weighted));
        pack<Element>(probabilities, scores);
        hold_registers(probabilities);
        pairs = next;
    }
    const uint8_t* values = pairs.wait(pairs.values());
    add_values<Element>(mine.weighted, probabilities, values, blocks == 1);
    wgmma_wait<0>();
    hold_registers(flat(mine.weighted));
    pairs.release(pairs.values());
    pairs.turn.advance();
}

// For a warpgroup without rows: lets blocks go by.
template <typename Element>
__device__ __forceinline__ void pass(Pairs<Element>& pairs, int blocks) {
#pragma unroll 1
    for (int block = 0; block < blocks; block++) {
        pairs.wait(pairs.keys());
        pairs.release(pairs.keys());
        pairs.wait(pairs.values());
        pairs.release(pairs.values());
        pairs.turn.advance();
    }
}

// Divides by the sums and writes a warp's rows out, through the memory of the queries: whole lines to the device.
__device__ __forceinline__ void store_rows(const PromptArguments& arguments, const PromptCell& cell, const TwoRows& mine, uint8_t* queries) {
    int thread = multiplying_thread();
    int lane = thread % WARP;
    int first_row = thread / WARP * 16;
    float* staged = reinterpret_cast<float*>(queries + thread / WARP % 4 * (GROUP_QUERY_BYTES / 4));
    int pair_at = lane / 4 * STAGED_STRIDE + lane % 4 * 2;
    float share[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        float sum = mine.sum[half];
        sum += __shfl_xor_sync(ALL_LANES, sum, 1);
        sum += __shfl_xor_sync(ALL_LANES, sum, 2);
        share[half] = arguments.value_scale / sum;
    }
    sync_group();  // all have done with the queries
#pragma unroll
    for (int chunk = 0; chunk < HEAD_DIM / STAGED_COLUMNS; chunk++) {
#pragma unroll
        for (int j = 0; j < STAGED_COLUMNS / 8; j++) {
            const float(&four)[4] = mine.weighted[chunk * (STAGED_COLUMNS / 8) + j];
            *reinterpret_cast<float2*>(staged + pair_at + 8 * j) = make_float2(four[0] * share[0], four[1] * share[0]);
            *reinterpret_cast<float2*>(staged + pair_at + 8 * STAGED_STRIDE + 8 * j) = make_float2(four[2] * share[1], four[3] * share[1]);
        }
        __syncwarp();
        int column = chunk * STAGED_COLUMNS + lane % 8 * 4;
#pragma unroll 1
        for (int row = lane / 8; row < 16; row += 4) {
            if (cell.has(first_row + row)) {
                arguments.output.store_four(cell.source_row(first_row + row), cell.head(first_row + row) * HEAD_DIM + column,
                                            *reinterpret_cast<const float4*>(staged + row * STAGED_STRIDE + lane % 8 * 4));
            }
        }
        __syncwarp();  // before the next columns
    }
}

// Says whether this block is the last of `expected` to come here, among the multiplying warpgroups: see last_to_arrive.
__device__ __forceinline__ bool last_part_to_arrive(int* counter, int expected, bool* last) {
    named_barrier_sync(MULTIPLYING_BARRIER, MULTIPLYING_THREADS);
    if (multiplying_thread() == 0) {
        __threadfence();
        *last = atomicAdd(counter, 1) == expected - 1;
        if (*last) {
            *counter = 0;  // armed for the next launch
        }
        __threadfence();
    }
    named_barrier_sync(MULTIPLYING_BARRIER, MULTIPLYING_THREADS);
    return *last;
}

template <typename Element>
__device__ __forceinline__ void attend_cell(Pairs<Element>& pairs, const PromptCell& cell, const PromptArguments& arguments,
                                            const PromptWork& work, const PromptNodes& nodes) {
    using Saved = TwoRows::Saved;
    Control& control = *pairs.ring.control;
    uint8_t* queries = pairs.ring.shared + group_here() * GROUP_QUERY_BYTES;
    auto slot = [&](int part) { return Saved::at(nodes.slots, cell.slot + part, multiplying_thread()); };
    // Nodes of this block's walk; the one that is left in the end lies where others look for it.
    auto kept = [&](int segment) {
        if (segment == 0 && cell.parts > 1) {
            return slot(cell.part);
        }
        return Saved::at(nodes.stacks, static_cast<int>(blockIdx.x) * nodes.depth + __popc(segment), multiplying_thread());
    };
    bool busy = cell.has(group_here() * GROUP_ROWS);
    if (busy) {
        load_queries<Element>(queries, control.scales, arguments, cell);
    }
    TwoRows mine;
    int segment_blocks = work.segment_tokens / STEP_TOKENS;
#pragma unroll 1
    for (int first = cell.first_token; first < cell.end_token; first += work.segment_tokens) {
        int blocks = min(segment_blocks, ceil_div(cell.end_token - first, STEP_TOKENS));
        if (!busy) {
            pass(pairs, blocks);
            continue;
        }
        const float* scales = control.scales + multiplying_thread() / WARP * 16 + multiplying_thread() % WARP / 4;
        float scale[2] = {scales[0], scales[8]};
        walk<Element>(mine, pairs, cell, first, blocks, queries, scale);
        if (has_nodes(cell, work)) {
            int segment = (first - cell.first_token) / work.segment_tokens;
            mine.save(kept(segment));
            add_leaf(segment, cell.end_token - first <= work.segment_tokens, kept);
        }
    }
    if (cell.parts > 1) {
        if (!last_part_to_arrive(arrivals(work, cell), cell.parts, &control.last)) {
            return;
        }
        for (int part = 1; busy && part < cell.parts; part++) {
            add_leaf(part, part + 1 == cell.parts, slot);
        }
    }
    if (busy && has_nodes(cell, work)) {
        mine.load(cell.parts > 1 ? slot(0) : kept(0));
    }
    if (busy) {
        store_rows(arguments, cell, mine, queries);
    }
}

template <typename Element>
__device__ __forceinline__ void attend(const PromptArguments& arguments, const PromptWork& work, const PromptNodes& nodes) {
    DYN_SMEM(uint8_t, shared);
    __shared__ Control control;
    Ring<Element> ring{shared, &control};
    ring.prepare();
    if (threadIdx.x < WARPGROUP) {
        warpgroup_release_registers<COPYING_REGISTERS>();
        copy_cells(ring, arguments.cache, work);
    } else {
        warpgroup_take_registers<MULTIPLYING_REGISTERS>();
        Pairs<Element> pairs{ring};
#pragma unroll 1
        for (Turn<CELLS> turn;; turn.advance()) {
            mbarrier_wait(&control.cell_known[turn.index], turn.parity);
            const PromptCell& cell = control.cells[turn.index];
            if (cell.parts == 0) {
                break;
            }
            attend_cell(pairs, cell, arguments, work, nodes);
            arrive_as_warp(&control.cell_free[turn.index]);
        }
    }
    leave_cells(work);
}

#define ATTEND(Element)                                                                                                   \
    grid_dependency_launch();                                                                                             \
    grid_dependency_wait();                                                                                               \
    PromptArguments arguments{                                                                                            \
        AttentionOutput{out, quantised, quantised_scale, static_cast<int64_t>(kv_heads) * heads * HEAD_DIM},              \
        QueryRows{query, query_stride, query_is_float != 0},                                                              \
        PagedCache{cache, block_table, block_stride, layer_offset, max_blocks, kv_heads}, heads,                          \
        score_scale * key_scale * LOG2_E, value_scale};                                                                   \
    PromptWork work{PromptPlan{plan, sequences}, start, position, counters, kv_heads, heads, tile_tokens, segment_tokens}; \
    int64_t behind_slots = static_cast<int64_t>(slots) * TwoRows::Saved::FLOATS;                                          \
    attend<Element>(arguments, work, PromptNodes{nodes, nodes + behind_slots, depth})
#else
#define ATTEND(Element) __trap()
#endif

#define SM90_PAGED_ATTENTION_PROMPT(name, Element)                                                                        \
    extern "C" __global__ __launch_bounds__(THREADS, 1) void name(                                                        \
        bf16* out, e4m3* quantised, float* nodes, int* counters, const void* query, const uint8_t* cache, int* plan,      \
        const int* start, const int* position, const int* block_table, int64_t block_stride, int64_t layer_offset,        \
        int64_t query_stride, int sequences, int max_blocks, int kv_heads, int heads, int query_is_float,                 \
        int tile_tokens, int segment_tokens, int slots, int depth, float score_scale, float key_scale,                    \
        float value_scale, float quantised_scale) {                                                                       \
        ATTEND(Element);                                                                                                  \
    }                                                                                                                     \
    KERNEL(name)

SM90_PAGED_ATTENTION_PROMPT(sm90_paged_attention_prompt_128_bf16, bf16);
SM90_PAGED_ATTENTION_PROMPT(sm90_paged_attention_prompt_128_e4m3, e4m3);
