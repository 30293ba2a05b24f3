// ssd_chunk_scan.cu: the Mamba-2 recurrence over the prompts of a batch, in chunks.
//
// For a head h of group g and a chunk of tokens i, j (all sums of decays start at the chunk's first token):
//
//   a[i]   = sum over m <= i of dt[m] A                                  <= 0, fp32, in units of log 2
//   y[i]   = sum over j <= i of (C[i] . B[j]) exp(a[i] - a[j]) dt[j] X[j]  +  exp(a[i]) S C[i]  +  D X[i]
//   S     := exp(a[last]) S + sum over j of exp(a[last] - a[j]) dt[j] X[j] (x) B[j]          [head_dim, state_dim]
//
//   y           bf16 or fp32 [rows, inner]     out
//   state       bytes, see below               in and out
//   high, low   bf16 [rows, channels]          in; x | B | C after the convolution; low for the pair form only
//   time_step   fp32 [rows, heads]             in; after softplus
//   decay_rate  fp32 [heads]                   in; A = -exp(A_log)
//   skip        fp32 [heads]                   in; D
//   start       int32 [sequences + 1]          in; first row of each sequence
//   position    int32 [sequences]              in; position of that row, see below; 0: the state is zero
//   slot        int32 [sequences]              in; -1: the sequence's rows are neither read nor written
//   kept_start     int32 [sequences + 1]       in; may be null: nothing is kept. First entry of each sequence in the two below
//   kept_position  int32 [entries]             in; tokens of the sequence: a multiple of 128
//   kept_slot      int32 [entries]             in; slot that gets the state behind so many tokens, besides the sequence's
//                                              own; -1: none. A position that the piece does not reach is passed over
//
// State of a sequence: fp32 [heads, head_dim, state_dim] at state + slot * slot_stride + layer_offset. No two sequences
// share a slot, and none is kept in a slot that another sequence or another entry has.
//
// Two forms of the arithmetic, both with fp32 accumulation and the state in fp32 between chunks:
//   single  operands of the products rounded to bf16 (G after masking and decay, the decayed x, S); y bf16. The error
//           against doubles is about that of rounding x, B and C themselves.
//   pair    every operand as high + low, three products for one: errors near 2^-16 of the values; y fp32.
// The plain kernels walk token by token in fp32, for any head_dim and state_dim, and serve as a yardstick.
//
// Chunks of 64 begin at the first row of a sequence's piece. Pieces begin on the grid of 128, or inside a block of it and
// then end where it ends at the latest (a session goes on wherever it stopped); so a multiple of 128 is the end of a chunk
// or of the piece. The state goes from chunk to chunk as the same fp32 values whether through registers or through the
// slot, and what is kept on the way are these values: what a token computes, and what is kept, does not depend, to the
// bit, on how its prompt was cut, on ROWS, or on the other sequences. A token computed by selective_state_update differs
// from the same token computed here in the last bits.
//
// A kept state costs its writes, 2 MiB a layer at 64 heads of 64 x 128 (0.7 us), out of registers while the other blocks
// go on. To end the prompt's piece there instead costs a step more: all weights are read again.
//
// Why 64 and one kernel: FLOP for a token and head at head_dim 64, state 128, tiles above the diagonal left out:
//   chunk 64:  G 10.2k (recomputed by every head), masked G X 5.1k, C S 16.4k, state 16.4k = 48k
//   chunk 128: G 18.4k, 9.2k, 16.4k, 16.4k = 60k; with G shared by the 8 heads of a group still 44k, at the price of a
//   cluster or a kernel more. So G is recomputed, and chunks of 64 make that cheap.
// Rows of the state (head_dim) are independent: a block owns ROWS of them. One prompt on 132 SMs: 64 heads x 2 slices of
// 32 = 128 blocks, 58k FLOP a token and head (G twice), 28 KF per token and SM, about 11 clocks of mma.sync; the clock
// estimate with loads from shared memory is 40 a token = 22 ns a token and layer (45 M tokens/s). Cutting a prompt into
// segments as well would find no idle SM. From 4 prompts on, ROWS = 64 saves the second G. Traffic out of L2 per token
// and layer: 128 blocks x 576 B = 74 KB = 13 ns at 5.5 TB/s; from memory 12.3 KB in, 8.2 KB out = 7 ns.
//
// Grid: x = heads x (head_dim / ROWS), y = sequences; 4 warps. Warp w computes y of rows 16 w to 16 w + 15 of the chunk
// and keeps a quarter of the state's columns in registers. The next chunk is copied while this one is computed.
// Dynamic shared memory: sizeof(ScanShared), up to 176 KiB (pairs, 32 rows, state 128). Needs sm_80 or later.
// Source: Dao and Gu 2024 (arXiv:2405.21060), §6; model-spec §3.5.

#include "mamba.cuh"

constexpr int SCAN_THREADS = 128;
constexpr int SCAN_WARPS = SCAN_THREADS / WARP;
constexpr int CHUNK = 64;
constexpr float LOG2_E = 1.4426950408889634f;

struct ScanArguments {
    char* state;
    const bf16* high;
    const bf16* low;
    const float* time_step;
    const float* decay_rate;
    const float* skip;
    const int* start;
    const int* position;
    const int* slot;
    KeptStates kept;
    long long slot_stride;
    long long layer_offset;
    int heads;
    int head_dim;
    int groups;
    int state_dim;

    __device__ __forceinline__ int inner() const { return heads * head_dim; }
    __device__ __forceinline__ int channels() const { return inner() + 2 * groups * state_dim; }
    __device__ __forceinline__ int group_of(int head) const { return head / (heads / groups); }

    // First element of a head's state in a slot.
    __device__ __forceinline__ float* state_in(int slot, int head) const {
        return reinterpret_cast<float*>(state + slot * slot_stride + layer_offset) + (size_t) head * head_dim * state_dim;
    }

    // In the slot of a sequence.
    __device__ __forceinline__ float* state_of(int sequence, int head) const { return state_in(slot[sequence], head); }

    // The slot where the state after `done` tokens of the piece is to be kept as well; -1: none.
    __device__ __forceinline__ int kept_slot_of(int sequence, int done) const {
        return kept.slot_behind(sequence, position[sequence] + done);
    }
};

// A chunk's operands. Rows are padded to an odd number of 16-byte units, so that ldmatrix meets no bank twice.
template <int STATE, int ROWS, bool PAIR>
struct ScanStage {
    static constexpr int PLANES = PAIR ? 2 : 1;
    static constexpr int STATE_PITCH = STATE + 8;
    static constexpr int X_PITCH = ROWS + 8;
    bf16 b[PLANES][CHUNK * STATE_PITCH];
    bf16 c[PLANES][CHUNK * STATE_PITCH];
    bf16 x[PLANES][CHUNK * X_PITCH];
};

// Per token of the chunk: a, dt, and exp(a[last] - a) dt. Each warp makes its own copy: no barrier of the block for it.
struct ScanTables {
    float log_decay[CHUNK];
    float time_step[CHUNK];
    float into_state[CHUNK];
};

template <int STATE, int ROWS, bool PAIR>
struct ScanShared {
    ScanStage<STATE, ROWS, PAIR> stage[2];
    bf16 state[PAIR ? 2 : 1][ROWS * (STATE + 8)];
    ScanTables tables[SCAN_WARPS];
};
static_assert(sizeof(ScanShared<128, 32, true>) ==
                  2 * 2 * (2 * (2 * CHUNK * 136 + CHUNK * 40) + 32 * 136) + SCAN_WARPS * 3 * CHUNK * sizeof(float),
              "the launcher counts on it");

// A fragment of fp32 values as bf16, and what the rounding left.
template <int N>
__device__ __forceinline__ void split_fragment(uint32_t (&high)[N], uint32_t (&low)[N], int word, float first,
                                               float second) {
    high[word] = pack_bf16x2(first, second);
    const float2 top = unpack_bf16x2(high[word]);
    low[word] = pack_bf16x2(first - top.x, second - top.y);
}

// d += a b, with a and b as one or two bf16 planes.
template <bool PAIR>
__device__ __forceinline__ void product(float (&d)[4], const uint32_t (&a)[2][4], const uint32_t (&b)[2][2]) {
    if (PAIR) {
        mma_m16n8k16_bf16(d, a[1], b[0]);
        mma_m16n8k16_bf16(d, a[0], b[1]);
    }
    mma_m16n8k16_bf16(d, a[0], b[0]);
}

// Two neighbouring column fragments (16 columns, 16 deep) of a matrix that is stored with the depth fastest.
template <bool PAIR>
__device__ __forceinline__ void load_columns(uint32_t (&b)[2][2][2], const bf16* matrix, int plane_size, int pitch,
                                             int column, int depth) {
    const int lane = threadIdx.x % WARP;
    const bf16* mine = matrix + (column + lane / 16 * 8 + lane % 8) * pitch + depth + lane / 8 % 2 * 8;
#pragma unroll
    for (int plane = 0; plane < (PAIR ? 2 : 1); plane++) {
        uint32_t r[4];
        ldmatrix_x4(r, mine + plane * plane_size);
        b[0][plane][0] = r[0], b[0][plane][1] = r[1];
        b[1][plane][0] = r[2], b[1][plane][1] = r[3];
    }
}

// The same of a matrix that is stored with the columns fastest.
template <bool PAIR>
__device__ __forceinline__ void load_columns_across(uint32_t (&b)[2][2][2], const bf16* matrix, int plane_size, int pitch,
                                                    int column, int depth) {
    const int lane = threadIdx.x % WARP;
    const bf16* mine = matrix + (depth + lane / 8 % 2 * 8 + lane % 8) * pitch + column + lane / 16 * 8;
#pragma unroll
    for (int plane = 0; plane < (PAIR ? 2 : 1); plane++) {
        uint32_t r[4];
        ldmatrix_x4_trans(r, mine + plane * plane_size);
        b[0][plane][0] = r[0], b[0][plane][1] = r[1];
        b[1][plane][0] = r[2], b[1][plane][1] = r[3];
    }
}

template <int STATE, int ROWS, bool PAIR>
struct ChunkScan {
    using Stage = ScanStage<STATE, ROWS, PAIR>;
    using Shared = ScanShared<STATE, ROWS, PAIR>;
    static constexpr int ROW_TILES = ROWS / 16;            // of the state: 16 rows of head_dim
    static constexpr int COLUMN_TILES = STATE / SCAN_WARPS / 8;  // of the state, a warp's own: 8 columns
    static_assert(ROWS % 16 == 0 && STATE % 64 == 0, "whole fragments");

    const ScanArguments& a;
    Shared& shared;
    const int sequence;
    const int head;
    const int slice;  // first row of the state that is ours
    const int lane;
    const int warp;
    const int quad;   // row of a fragment
    const int twin;   // first of the two columns of a fragment
    const int first_row;
    const int rows;
    float carried[ROW_TILES][COLUMN_TILES][4];

    __device__ __forceinline__ ChunkScan(const ScanArguments& arguments, Shared& memory)
        : a(arguments), shared(memory), sequence(blockIdx.y), head(blockIdx.x / (arguments.head_dim / ROWS)),
          slice(blockIdx.x % (arguments.head_dim / ROWS) * ROWS), lane(threadIdx.x % WARP), warp(threadIdx.x / WARP),
          quad(lane / 4), twin(lane % 4 * 2), first_row(arguments.start[sequence]),
          rows(arguments.start[sequence + 1] - first_row) {}

    // Copies B, C and x of a chunk into a stage; rows behind the last become zeros.
    __device__ __forceinline__ void fetch(int chunk) {
        Stage& stage = shared.stage[chunk % 2];
        const int from = chunk * CHUNK;
        const int channels = a.channels();
        const int b_column = a.inner() + a.group_of(head) * STATE;
#pragma unroll
        for (int plane = 0; plane < Stage::PLANES; plane++) {
            const bf16* source = (plane == 0 ? a.high : a.low) + (size_t) first_row * channels;
            for (int i = threadIdx.x; i < CHUNK * STATE / 8; i += SCAN_THREADS) {
                const int row = i / (STATE / 8);
                const int column = i % (STATE / 8) * 8;
                const bool valid = from + row < rows;
                const bf16* b = source + (size_t) (valid ? from + row : 0) * channels + b_column + column;
                cp_async_16(&stage.b[plane][row * Stage::STATE_PITCH + column], b, valid);
                cp_async_16(&stage.c[plane][row * Stage::STATE_PITCH + column], b + a.groups * STATE, valid);
            }
            for (int i = threadIdx.x; i < CHUNK * ROWS / 8; i += SCAN_THREADS) {
                const int row = i / (ROWS / 8);
                const int column = i % (ROWS / 8) * 8;
                const bool valid = from + row < rows;
                const bf16* x = source + (size_t) (valid ? from + row : 0) * channels + head * a.head_dim + slice + column;
                cp_async_16(&stage.x[plane][row * Stage::X_PITCH + column], x, valid);
            }
        }
        cp_async_commit();
    }

    // Time step of the lane's token `half` (lane, or 32 later) of a chunk; zero behind the last row.
    __device__ __forceinline__ float time_step_of(int chunk, int half) const {
        const int row = chunk * CHUNK + half * WARP + lane;
        return row < rows ? a.time_step[(size_t) (first_row + row) * a.heads + head] : 0.0f;
    }

    // Fills the warp's tables; returns the log decay over the whole chunk.
    __device__ __forceinline__ float make_tables(const float (&time_step)[2]) {
        const float rate = a.decay_rate[head] * LOG2_E;
        float sum[2] = {time_step[0] * rate, time_step[1] * rate};
#pragma unroll
        for (int distance = 1; distance < WARP; distance *= 2) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const float earlier = __shfl_up_sync(ALL_LANES, sum[half], distance);
                sum[half] += lane >= distance ? earlier : 0.0f;
            }
        }
        sum[1] += __shfl_sync(ALL_LANES, sum[0], WARP - 1);
        const float last = __shfl_sync(ALL_LANES, sum[1], WARP - 1);
        ScanTables& tables = shared.tables[warp];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int token = half * WARP + lane;
            tables.log_decay[token] = sum[half];
            tables.time_step[token] = time_step[half];
            tables.into_state[token] = decay_between(last, sum[half]) * time_step[half];
        }
        // The products ahead bring the lanes together as well, but only this orders what they wrote before what they read.
        __syncwarp();
        return last;
    }

    // exp of a difference of log decays; rounding may have made it a little positive.
    static __device__ __forceinline__ float decay_between(float later, float earlier) {
        return fast_exp2(fminf(later - earlier, 0.0f));
    }

    // Output of the warp's 16 tokens.
    template <typename Y>
    __device__ __forceinline__ void mix(const Stage& stage, int chunk, Y* y) {
        const ScanTables& tables = shared.tables[warp];
        float mixed[ROWS / 8][4] = {};
        float g[CHUNK / 8][4] = {};
        // C S and G = C B: the fragments of C serve both
#pragma unroll
        for (int depth = 0; depth < STATE; depth += 16) {
            uint32_t c[2][4];
#pragma unroll
            for (int plane = 0; plane < Stage::PLANES; plane++) {
                ldmatrix_x4(c[plane], &stage.c[plane][(warp * 16 + lane % 16) * Stage::STATE_PITCH + depth + lane / 16 * 8]);
            }
#pragma unroll
            for (int tile = 0; tile < CHUNK / 16; tile++) {
                if (tile <= warp) {
                    uint32_t b[2][2][2];
                    load_columns<PAIR>(b, stage.b[0], CHUNK * Stage::STATE_PITCH, Stage::STATE_PITCH, tile * 16, depth);
                    product<PAIR>(g[2 * tile], c, b[0]);
                    product<PAIR>(g[2 * tile + 1], c, b[1]);
                }
            }
#pragma unroll
            for (int tile = 0; tile < ROW_TILES; tile++) {
                uint32_t s[2][2][2];
                load_columns<PAIR>(s, shared.state[0], ROWS * Stage::STATE_PITCH, Stage::STATE_PITCH, tile * 16, depth);
                product<PAIR>(mixed[2 * tile], c, s[0]);
                product<PAIR>(mixed[2 * tile + 1], c, s[1]);
            }
        }
        const int token[2] = {warp * 16 + quad, warp * 16 + quad + 8};
        const float log_decay[2] = {tables.log_decay[token[0]], tables.log_decay[token[1]]};
#pragma unroll
        for (int tile = 0; tile < ROWS / 8; tile++) {
#pragma unroll
            for (int e = 0; e < 4; e++) {
                mixed[tile][e] *= fast_exp2(log_decay[e / 2]);
            }
        }
        // masked and decayed G times x; the accumulators of G have the layout of the next product's operand
#pragma unroll
        for (int tile = 0; tile < CHUNK / 16; tile++) {
            if (tile <= warp) {
                uint32_t m[2][4];
#pragma unroll
                for (int word = 0; word < 4; word++) {
                    const int from = tile * 16 + word / 2 * 8 + twin;
                    const int row = word % 2;
                    float value[2];
#pragma unroll
                    for (int e = 0; e < 2; e++) {
                        const float weight =
                            decay_between(log_decay[row], tables.log_decay[from + e]) * tables.time_step[from + e];
                        value[e] = from + e <= token[row] ? g[2 * tile + word / 2][2 * row + e] * weight : 0.0f;
                    }
                    split_fragment(m[0], m[1], word, value[0], value[1]);
                }
#pragma unroll
                for (int columns = 0; columns < ROW_TILES; columns++) {
                    uint32_t x[2][2][2];
                    load_columns_across<PAIR>(x, stage.x[0], CHUNK * Stage::X_PITCH, Stage::X_PITCH, columns * 16, tile * 16);
                    product<PAIR>(mixed[2 * columns], m, x[0]);
                    product<PAIR>(mixed[2 * columns + 1], m, x[1]);
                }
            }
        }
        write(stage, chunk, token, mixed, y);
    }

    template <typename Y>
    __device__ __forceinline__ void write(const Stage& stage, int chunk, const int (&token)[2],
                                          const float (&mixed)[ROWS / 8][4], Y* y) {
        const float skip = a.skip[head];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = chunk * CHUNK + token[half];
            if (row >= rows) {
                continue;
            }
            Y* target = y + (size_t) (first_row + row) * a.inner() + head * a.head_dim + slice + twin;
#pragma unroll
            for (int tile = 0; tile < ROWS / 8; tile++) {
                const int at = token[half] * Stage::X_PITCH + tile * 8 + twin;
                float2 x = unpack_bf16x2(*reinterpret_cast<const uint32_t*>(&stage.x[0][at]));
                if (PAIR) {
                    const float2 rest = unpack_bf16x2(*reinterpret_cast<const uint32_t*>(&stage.x[Stage::PLANES - 1][at]));
                    x.x += rest.x;
                    x.y += rest.y;
                }
                store_two(target + tile * 8, fmaf(skip, x.x, mixed[tile][2 * half]), fmaf(skip, x.y, mixed[tile][2 * half + 1]));
            }
        }
    }

    static __device__ __forceinline__ void store_two(float* target, float first, float second) {
        *reinterpret_cast<float2*>(target) = make_float2(first, second);
    }

    static __device__ __forceinline__ void store_two(bf16* target, float first, float second) {
        *reinterpret_cast<uint32_t*>(target) = pack_bf16x2(first, second);
    }

    // S := decay S + (weighted x)^T B. The chunk's part is summed from zero and added once: the recurrence itself rounds
    // to nearest in fp32, whatever the tensor cores do inside a sum.
    __device__ __forceinline__ void advance(const Stage& stage, float log_decay) {
        const ScanTables& tables = shared.tables[warp];
        const float decay = fast_exp2(log_decay);
#pragma unroll
        for (int row_tile = 0; row_tile < ROW_TILES; row_tile++) {
            uint32_t x[CHUNK / 16][2][4];
#pragma unroll
            for (int step = 0; step < CHUNK / 16; step++) {
                load_weighted_x(x[step], stage, tables, row_tile, step * 16);
            }
#pragma unroll
            for (int columns = 0; columns < COLUMN_TILES; columns += 2) {
                float added[2][4] = {};
#pragma unroll
                for (int step = 0; step < CHUNK / 16; step++) {
                    uint32_t b[2][2][2];
                    load_columns_across<PAIR>(b, stage.b[0], CHUNK * Stage::STATE_PITCH, Stage::STATE_PITCH,
                                              (warp * COLUMN_TILES + columns) * 8, step * 16);
                    product<PAIR>(added[0], x[step], b[0]);
                    product<PAIR>(added[1], x[step], b[1]);
                }
#pragma unroll
                for (int e = 0; e < 8; e++) {
                    float& value = carried[row_tile][columns + e / 4][e % 4];
                    value = fmaf(decay, value, added[e / 4][e % 4]);
                }
            }
        }
    }

    // x transposed (rows of head_dim, tokens deep), each token times its weight in the state.
    __device__ __forceinline__ void load_weighted_x(uint32_t (&out)[2][4], const Stage& stage, const ScanTables& tables,
                                                    int row_tile, int token) {
        const int at = (token + lane / 16 * 8 + lane % 8) * Stage::X_PITCH + row_tile * 16 + lane / 8 % 2 * 8;
        uint32_t raw[2][4];
#pragma unroll
        for (int plane = 0; plane < Stage::PLANES; plane++) {
            ldmatrix_x4_trans(raw[plane], &stage.x[plane][at]);
        }
#pragma unroll
        for (int word = 0; word < 4; word++) {
            const float* weight = &tables.into_state[token + word / 2 * 8 + twin];
            float2 value = unpack_bf16x2(raw[0][word]);
            if (PAIR) {
                const float2 rest = unpack_bf16x2(raw[Stage::PLANES - 1][word]);
                value.x += rest.x;
                value.y += rest.y;
            }
            split_fragment(out[0], out[1], word, value.x * weight[0], value.y * weight[1]);
        }
    }

    // Calls visit(value, row of the head's state, first of two columns) for the pairs of values that this lane keeps.
    template <typename Visit>
    __device__ __forceinline__ void each_pair(Visit visit) {
#pragma unroll
        for (int row_tile = 0; row_tile < ROW_TILES; row_tile++) {
#pragma unroll
            for (int columns = 0; columns < COLUMN_TILES; columns++) {
#pragma unroll
                for (int half = 0; half < 2; half++) {
                    visit(&carried[row_tile][columns][2 * half], row_tile * 16 + half * 8 + quad,
                          (warp * COLUMN_TILES + columns) * 8 + twin);
                }
            }
        }
    }

    __device__ __forceinline__ void load_state() {
        const float* source = a.state_of(sequence, head) + (size_t) slice * STATE;
        const bool fresh = a.position[sequence] == 0;
        each_pair([&](float* value, int row, int column) {
            const float2 pair = fresh ? make_float2(0.0f, 0.0f)
                                      : *reinterpret_cast<const float2*>(source + (size_t) row * STATE + column);
            value[0] = pair.x;
            value[1] = pair.y;
        });
    }

    __device__ __forceinline__ void save_state(float* head_state) {
        float* target = head_state + (size_t) slice * STATE;
        each_pair([&](float* value, int row, int column) {
            *reinterpret_cast<float2*>(target + (size_t) row * STATE + column) = make_float2(value[0], value[1]);
        });
    }

    // Makes the state an operand of the next chunk's products.
    __device__ __forceinline__ void publish_state() {
        each_pair([&](float* value, int row, int column) {
            uint32_t high[1];
            uint32_t low[1];
            split_fragment(high, low, 0, value[0], value[1]);
            const int at = row * Stage::STATE_PITCH + column;
            *reinterpret_cast<uint32_t*>(&shared.state[0][at]) = high[0];
            if (PAIR) {
                *reinterpret_cast<uint32_t*>(&shared.state[Stage::PLANES - 1][at]) = low[0];
            }
        });
    }

    template <typename Y>
    __device__ __forceinline__ void run(Y* y) {
        const int chunks = ceil_div(rows, CHUNK);
        fetch(0);
        load_state();
        publish_state();
        float time_step[2] = {time_step_of(0, 0), time_step_of(0, 1)};
        for (int chunk = 0; chunk < chunks; chunk++) {
            // this chunk and the state are there, and nobody reads the other stage any more
            cp_async_wait<0>();
            __syncthreads();
            if (chunk + 1 < chunks) {
                fetch(chunk + 1);
            }
            const float log_decay = make_tables(time_step);
            time_step[0] = time_step_of(chunk + 1, 0);
            time_step[1] = time_step_of(chunk + 1, 1);
            const Stage& stage = shared.stage[chunk % 2];
            mix(stage, chunk, y);
            advance(stage, log_decay);
            const int kept_slot = a.kept_slot_of(sequence, min((chunk + 1) * CHUNK, rows));
            if (kept_slot >= 0) {
                save_state(a.state_in(kept_slot, head));
            }
            // every warp has read the old state
            __syncthreads();
            publish_state();
        }
        save_state(a.state_of(sequence, head));
    }
};

template <int STATE, int ROWS, bool PAIR, typename Y>
__device__ __forceinline__ void ssd_chunk_scan_body(const ScanArguments& a, Y* y) {
    using Shared = ScanShared<STATE, ROWS, PAIR>;
    DYN_SMEM(Shared, shared);
    grid_dependency_wait();
    if (a.slot[blockIdx.y] < 0 || a.start[blockIdx.y] == a.start[blockIdx.y + 1]) {
        return;
    }
    ChunkScan<STATE, ROWS, PAIR> scan(a, *shared);
    scan.run(y);
}

// Token by token; a warp owns rows of the state and a lane its columns, so nothing is shared and no barrier is needed.
template <typename Y>
__device__ __forceinline__ void ssd_chunk_scan_plain_body(const ScanArguments& a, Y* y) {
    DYN_SMEM(float, state);  // [head_dim, state_dim]
    grid_dependency_wait();
    const int sequence = blockIdx.y;
    const int head = blockIdx.x;
    if (a.slot[sequence] < 0 || a.start[sequence] == a.start[sequence + 1]) {
        return;
    }
    const int lane = threadIdx.x % WARP;
    const int warp = threadIdx.x / WARP;
    const int first_row = a.start[sequence];
    const int rows = a.start[sequence + 1] - first_row;
    const int channels = a.channels();
    const int b_column = a.inner() + a.group_of(head) * a.state_dim;
    const int c_column = b_column + a.groups * a.state_dim;
    const bool fresh = a.position[sequence] == 0;
    auto read = [&](size_t row, int column) {
        const size_t at = row * channels + column;
        return to_float(a.high[at]) + (a.low == nullptr ? 0.0f : to_float(a.low[at]));
    };
    float* stored = a.state_of(sequence, head);
    for (int p = warp; p < a.head_dim; p += SCAN_WARPS) {
        for (int n = lane; n < a.state_dim; n += WARP) {
            state[p * a.state_dim + n] = fresh ? 0.0f : stored[p * a.state_dim + n];
        }
        for (int token = 0; token < rows; token++) {
            const size_t row = first_row + token;
            const float time_step = a.time_step[row * a.heads + head];
            const float decay = expf(time_step * a.decay_rate[head]);
            const float x = read(row, head * a.head_dim + p);
            const float input = time_step * x;
            float sum = 0.0f;
            for (int n = lane; n < a.state_dim; n += WARP) {
                const float next = fmaf(read(row, b_column + n), input, decay * state[p * a.state_dim + n]);
                state[p * a.state_dim + n] = next;
                sum = fmaf(next, read(row, c_column + n), sum);
            }
            sum = warp_sum(sum);
            if (lane == 0) {
                store_element(y + row * a.inner() + head * a.head_dim + p, fmaf(a.skip[head], x, sum));
            }
            const int kept_slot = a.kept_slot_of(sequence, token + 1);
            if (kept_slot >= 0) {
                float* keep = a.state_in(kept_slot, head);
                for (int n = lane; n < a.state_dim; n += WARP) {
                    keep[p * a.state_dim + n] = state[p * a.state_dim + n];
                }
            }
        }
        for (int n = lane; n < a.state_dim; n += WARP) {
            stored[p * a.state_dim + n] = state[p * a.state_dim + n];
        }
    }
}

#define SSD_CHUNK_SCAN(NAME, Y, BODY)                                                                                 \
    extern "C" __global__ __launch_bounds__(SCAN_THREADS) void NAME(                                                  \
        Y* y, char* state, const bf16* high, const bf16* low, const float* time_step, const float* decay_rate,        \
        const float* skip, const int* start, const int* position, const int* slot, const int* kept_start,             \
        const int* kept_position, const int* kept_slot, long long slot_stride, long long layer_offset, int heads,     \
        int head_dim, int groups, int state_dim) {                                                                    \
        const KeptStates kept = {kept_start, kept_position, kept_slot};                                               \
        const ScanArguments arguments = {state,    high, low,  time_step,   decay_rate,   skip,  start,               \
                                         position, slot, kept, slot_stride, layer_offset, heads, head_dim,            \
                                         groups,   state_dim};                                                        \
        BODY(arguments, y);                                                                                           \
    }                                                                                                                 \
    KERNEL(NAME);

// named for state_dim, rows of head_dim a block owns, and the form of the arithmetic
SSD_CHUNK_SCAN(ssd_chunk_scan_n64_rows16_single, bf16, (ssd_chunk_scan_body<64, 16, false>))
SSD_CHUNK_SCAN(ssd_chunk_scan_n64_rows32_single, bf16, (ssd_chunk_scan_body<64, 32, false>))
SSD_CHUNK_SCAN(ssd_chunk_scan_n64_rows64_single, bf16, (ssd_chunk_scan_body<64, 64, false>))
SSD_CHUNK_SCAN(ssd_chunk_scan_n128_rows16_single, bf16, (ssd_chunk_scan_body<128, 16, false>))
SSD_CHUNK_SCAN(ssd_chunk_scan_n128_rows32_single, bf16, (ssd_chunk_scan_body<128, 32, false>))
SSD_CHUNK_SCAN(ssd_chunk_scan_n128_rows64_single, bf16, (ssd_chunk_scan_body<128, 64, false>))
SSD_CHUNK_SCAN(ssd_chunk_scan_n64_rows16_pair, float, (ssd_chunk_scan_body<64, 16, true>))
SSD_CHUNK_SCAN(ssd_chunk_scan_n64_rows32_pair, float, (ssd_chunk_scan_body<64, 32, true>))
SSD_CHUNK_SCAN(ssd_chunk_scan_n128_rows16_pair, float, (ssd_chunk_scan_body<128, 16, true>))
SSD_CHUNK_SCAN(ssd_chunk_scan_n128_rows32_pair, float, (ssd_chunk_scan_body<128, 32, true>))
SSD_CHUNK_SCAN(ssd_chunk_scan_plain_single, bf16, ssd_chunk_scan_plain_body)
SSD_CHUNK_SCAN(ssd_chunk_scan_plain_pair, float, ssd_chunk_scan_plain_body)
