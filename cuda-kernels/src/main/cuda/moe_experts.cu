// moe_experts.cu: the routed experts of a layer and its shared expert, over the index maps of moe_route.cu.
//
//   m[s]   = max(0, up_u x[token(s)])^2                                   for each slot s of unit u
//   y[t]   = scale * sum over ranks i of weight[t, i] * down_e m[s(t, i)]  +  sum over pieces j of down_j m[s(t, j)]
//   residual[t] += y[t]        and, where asked for, sum[t] = y[t] in fp32 or bf16 (experts in a latent width)
//
// Units, slots, tiles and ranks: moe_route.cu. Piece j of the shared expert is its rows (up) and columns (down) from
// j * width on, `width` of them or what is left.
//
//   x                bf16 [tokens, hidden]          normalised (or latent) activations
//   up               [experts][width, hidden]       one matrix behind the other, `up_stride` bytes apart
//   down             [experts][hidden, width]
//   shared_up, shared_down  [shared_width, hidden], [hidden, shared_width]
//   *_block_scales   NVFP4: e4m3 [.., k / 16], laid out as the matrix they belong to, strides of their own
//   weight_scale     fp32 [units]                   factor on a product; null = 1. One for up, one for down
//   input_scale      fp32 [units]                   e4m3 tokens only: q = e4m3(x * (1 / input_scale))
//   middle           bf16 or e4m3 [slots, width]    m, re-quantised with down's input_scale where tokens are e4m3
//   rows             fp32 [slots, hidden]           what the grouped and plain down products leave for moe_combine
//
// Formats (moe_formats.cuh): bf16 x bf16, e4m3 x e4m3, e4m3 x bf16, NVFP4 x bf16 (weights x tokens).
//
//   stream   tiles of 8 tokens; up: a warp owns 16 rows of one unit, weights go from memory straight into fragments.
//            down: a block owns 16 outputs, its 8 warps share out the tiles, and the ranks are added in shared memory:
//            no scratch in memory, no combine. At most 8 tokens. hidden and width are multiples of K_BLOCK.
//   tileN    grouped product in tiles of 128 rows x N tokens through a ring of stages in shared memory. moe_combine adds.
//   plain    any size; a warp per output.
//
// stream and tileN give the same bits: one accumulator per output, k in the same order, the same epilogue. No result
// depends on another token, or on how many there are. Without atomics on floats. Rows behind the last one of a unit are
// read from its last row instead, k behind the end is not read: nothing of the next expert enters as data.
//
// Grid: stream up (groups of 128 rows, tiles), stream down (groups of 16 outputs); tileN (groups of 128 rows, tiles);
// plain (slots, groups of 64 rows); combine (tokens, groups of 256 outputs). All grids are bounds; blocks behind
// tile_count or the last slot leave at once. 256 threads, plain 128.
//
// Floor per layer of the 30B shape (hidden 2688, width 1856): an expert's two matrices are 2 * 2688 * 1856 values, 19.96 MB
// in bf16, 9.98 MB in e4m3, 5.61 MB in NVFP4; the shared one twice that. Batch 1 (6 experts and the shared one): 160, 80,
// 45 MB = 53, 26.6, 15 us at 3.0 TB/s. 8,192 tokens: 8192 * 8 * 2 * 2 * 2688 * 1856 = 1.31 TFLOP = 1.66 ms at 790 TFLOP/s
// (bf16), 0.87 ms at 1500 (e4m3); rows cost 8192 * 8 * 2688 * 4 bytes twice = 1.4 GB, 0.47 ms: the price of a fixed order.

#include "moe_formats.cuh"
#include "squared_relu.cuh"

namespace {

constexpr int EXPERT_THREADS = 256;
constexpr int EXPERT_WARPS = EXPERT_THREADS / WARP;
constexpr int PLAIN_THREADS = 128;
constexpr int PLAIN_ROWS = 64;
constexpr int MMA_ROWS = 16;
constexpr int MMA_TOKENS = 8;
constexpr int TILE_ROWS = EXPERT_WARPS * MMA_ROWS;
constexpr int STREAM_BLOCKS = 4;  // blocks of k that a lane has under way beside those it multiplies

// One direction (up or down) of all units.
struct Weights {
    const uint8_t* codes;
    const uint8_t* block_scales;
    const uint8_t* shared_codes;
    const uint8_t* shared_block_scales;
    const float* weight_scale;
    const float* input_scale;
    int64_t stride;
    int64_t block_scale_stride;
};

struct Shape {
    int hidden;
    int width;
    int shared_width;
    int parts;
};

struct Tiles {
    const int32_t* unit_first;
    const int32_t* unit;
    const int32_t* first;
    const int32_t* count;
    const uint32_t* slot_source;
};

// The matrix of one unit.
struct Matrix {
    const uint8_t* codes;
    const uint8_t* block_scales;
    size_t pitch;  // bytes from row to row, of codes and of scales
    size_t scale_pitch;
    int rows;
    int inner;
};

__device__ __forceinline__ int unit_width(const Shape& shape, int unit) {
    int left = shape.shared_width - unit * shape.width;
    return unit >= shape.parts || left > shape.width ? shape.width : left;
}

template <typename FORMAT, bool UP>
__device__ __forceinline__ Matrix matrix_of(const Weights& weights, const Shape& shape, int unit) {
    int width = unit_width(shape, unit);
    bool shared = unit < shape.parts;
    size_t row_values = UP ? shape.hidden : shared ? shape.shared_width : shape.width;
    size_t skipped = !shared ? 0 : static_cast<size_t>(unit) * shape.width * (UP ? shape.hidden : 1);
    int expert = shared ? 0 : unit - shape.parts;
    Matrix matrix;
    matrix.codes = (shared ? weights.shared_codes : weights.codes) + expert * weights.stride + FORMAT::weight_bytes(skipped);
    matrix.block_scales = nullptr;
    if (FORMAT::BLOCK_SCALES) {
        matrix.block_scales = (shared ? weights.shared_block_scales : weights.block_scales)
                + expert * weights.block_scale_stride + skipped / 16;
    }
    matrix.pitch = FORMAT::weight_bytes(row_values);
    matrix.scale_pitch = row_values / 16;
    matrix.rows = UP ? width : shape.hidden;
    matrix.inner = UP ? shape.hidden : width;
    return matrix;
}

template <typename TOKEN>
constexpr bool is_e4m3 = sizeof(TOKEN) == 1;

template <typename FORMAT>
__device__ __forceinline__ float product_scale(const Weights& weights, int unit) {
    float scale = weights.weight_scale == nullptr ? FORMAT::SCALE : __fmul_rn(FORMAT::SCALE, weights.weight_scale[unit]);
    return is_e4m3<typename FORMAT::Token> ? __fmul_rn(scale, weights.input_scale[unit]) : scale;
}

__device__ __forceinline__ float inverse_of(const float* scale, int unit) { return scale == nullptr ? 1.0f : 1.0f / scale[unit]; }

// Squared ReLU, in the form the down product reads.
__device__ __forceinline__ void store_middle(bf16* middle, size_t at, float sum, float scale, float) {
    middle[at] = to_bf16(squared_relu(__fmul_rn(sum, scale)));
}

__device__ __forceinline__ void store_middle(e4m3* middle, size_t at, float sum, float scale, float inverse_scale) {
    middle[at] = to_e4m3(__fmul_rn(squared_relu(__fmul_rn(sum, scale)), inverse_scale));
}

// Adds the rows of one output of one token in the order of ranks; `row(rank)` gives them.
template <typename ROW>
__device__ __forceinline__ float combined(const float* weight, int parts, int active, float scale, ROW row) {
    float routed = 0.0f;
    for (int rank = 0; rank < active; rank++) {
        routed = __fmaf_rn(weight[rank], row(parts + rank), routed);
    }
    float shared = 0.0f;
    for (int part = 0; part < parts; part++) {
        shared = __fadd_rn(shared, row(part));
    }
    return __fmaf_rn(scale, routed, shared);
}

// `before` is what the residual holds.
__device__ __forceinline__ void deliver(float* residual, float before, float* sum, bf16* sum_bf16, size_t at, float value) {
    if (residual != nullptr) {
        residual[at] = __fadd_rn(before, value);
    }
    if (sum != nullptr) {
        sum[at] = value;
    }
    if (sum_bf16 != nullptr) {
        sum_bf16[at] = to_bf16(value);
    }
}

// ---- stream: weights from memory straight into fragments ---------------------------------------------------------------

// A lane's share of STREAM_BLOCKS blocks of k.
template <typename FORMAT>
struct Window {
    typename FORMAT::Raw raw[STREAM_BLOCKS];
    uint8_t low_scale[STREAM_BLOCKS];
    uint8_t high_scale[STREAM_BLOCKS];

    __device__ __forceinline__ void load(const WeightRows& rows, int block, int blocks) {
        using Vector = decltype(raw[0].low);
#pragma unroll
        for (int i = 0; i < STREAM_BLOCKS; i++) {
            if (block + i < blocks) {
                size_t at = static_cast<size_t>(block + i) * 4 * FORMAT::WEIGHT_BYTES;
                raw[i].low = load_weights(reinterpret_cast<const Vector*>(rows.low + at));
                raw[i].high = load_weights(reinterpret_cast<const Vector*>(rows.high + at));
                if (FORMAT::BLOCK_SCALES) {
                    low_scale[i] = load_readonly(rows.low_scales + (block + i) * 4);
                    high_scale[i] = load_readonly(rows.high_scales + (block + i) * 4);
                }
            }
        }
    }

    // `token`: the lane's column at its quarter of block 0; null = a column of zeros.
    __device__ __forceinline__ void multiply(float (&sum)[4], const uint8_t* token, int block, int blocks) const {
#pragma unroll
        for (int i = 0; i < STREAM_BLOCKS; i++) {
            if (block + i < blocks) {
                uint4 chunks[FORMAT::TOKEN_CHUNKS];
#pragma unroll
                for (int c = 0; c < FORMAT::TOKEN_CHUNKS; c++) {
                    chunks[c] = make_uint4(0, 0, 0, 0);
                    if (token != nullptr) {
                        size_t at = (static_cast<size_t>(block + i) * 4 * FORMAT::TOKEN_CHUNKS + c) * 16;
                        chunks[c] = *reinterpret_cast<const uint4*>(token + at);
                    }
                }
                multiply_block<FORMAT>(sum, FORMAT::expand(raw[i], low_scale[i], high_scale[i]),
                                       FORMAT::expand_tokens(chunks));
            }
        }
    }
};

template <typename FORMAT>
__device__ __forceinline__ WeightRows rows_of(const Matrix& matrix, int first_row) {
    int lane = threadIdx.x % WARP;
    int quarter = lane % 4;
    int low = first_row + lane / 4 < matrix.rows ? first_row + lane / 4 : matrix.rows - 1;
    int high = first_row + lane / 4 + 8 < matrix.rows ? first_row + lane / 4 + 8 : matrix.rows - 1;
    WeightRows rows;
    rows.low = matrix.codes + low * matrix.pitch + quarter * FORMAT::WEIGHT_BYTES;
    rows.high = matrix.codes + high * matrix.pitch + quarter * FORMAT::WEIGHT_BYTES;
    rows.low_scales = FORMAT::BLOCK_SCALES ? matrix.block_scales + low * matrix.scale_pitch + quarter : nullptr;
    rows.high_scales = FORMAT::BLOCK_SCALES ? matrix.block_scales + high * matrix.scale_pitch + quarter : nullptr;
    return rows;
}

// The rest of the product when `ahead` holds its first window.
template <typename FORMAT>
__device__ __forceinline__ void stream_product(float (&sum)[4], Window<FORMAT>& ahead, const WeightRows& rows,
                                               const uint8_t* token, int blocks) {
    for (int block = 0; block < blocks; block += STREAM_BLOCKS) {
        Window<FORMAT> here = ahead;
        ahead.load(rows, block + STREAM_BLOCKS, blocks);
        here.multiply(sum, token, block, blocks);
    }
}

// Bytes from token to token in shared memory: lanes of two neighbouring tokens then meet different banks.
template <typename FORMAT>
__device__ __forceinline__ int token_pitch(int hidden) {
    int bytes = hidden * static_cast<int>(sizeof(typename FORMAT::Token));
    return ceil_div(bytes, 128) * 128 + (FORMAT::TOKEN_CHUNKS == 1 ? 64 : 16);
}

// Eight values at a time, from global memory to shared memory in the format's form.
__device__ __forceinline__ void stage_eight(bf16* target, const uint4& values, float) {
    *reinterpret_cast<uint4*>(target) = values;
}

__device__ __forceinline__ void stage_eight(e4m3* target, const uint4& values, float inverse_scale) {
    *reinterpret_cast<uint2*>(target) = quantise_eight(values, inverse_scale);
}

// While the router runs, which takes microseconds and hardly any memory, the shared expert's weights come into the second-level
// cache: those of up by the blocks that will multiply them, those of down by blocks that do not know their expert yet.
constexpr uint32_t AHEAD_BYTES = 1024;

template <typename FORMAT>
__device__ __forceinline__ void fetch_ahead(const Matrix& matrix, int first_row) {
    int row = first_row + static_cast<int>(threadIdx.x) % WARP;
    if (static_cast<int>(threadIdx.x) % WARP < MMA_ROWS && row < matrix.rows) {
        prefetch_l2(matrix.codes + row * matrix.pitch, static_cast<uint32_t>(FORMAT::weight_bytes(matrix.inner)));
    }
}

__device__ __forceinline__ void fetch_ahead(const uint8_t* ahead, int64_t ahead_bytes, int block) {
    int64_t at = (static_cast<int64_t>(block) * EXPERT_THREADS + threadIdx.x) * AHEAD_BYTES;
    if (at < ahead_bytes) {
        int64_t left = ahead_bytes - at;
        prefetch_l2(ahead + at, static_cast<uint32_t>(left < AHEAD_BYTES ? left : AHEAD_BYTES));
    }
}

template <typename FORMAT>
__device__ __forceinline__ void up_stream(typename FORMAT::Token* middle, const bf16* x, const Weights& weights,
                                          const float* down_input_scale, const uint8_t* ahead_codes, int64_t ahead_bytes,
                                          const Tiles& tiles, const Shape& shape) {
    using Token = typename FORMAT::Token;
    DYN_SMEM(uint8_t, staged);
    int tile = blockIdx.y;
    grid_dependency_launch();
    // With at most 8 tokens the first tiles are the shared expert's, whatever the router says: their weights need not wait.
    bool known = tile < shape.parts;
    int unit = tile;
    int first = 0;
    if (!known) {
        fetch_ahead(ahead_codes, ahead_bytes, (tile - shape.parts) * static_cast<int>(gridDim.x) + static_cast<int>(blockIdx.x));
        grid_dependency_wait();
        // All three at once; those of a tile that there is not are not used.
        int count = tiles.count[0];
        unit = tiles.unit[tile];
        first = tiles.first[tile];
        if (tile >= count) {
            return;
        }
    }
    Matrix matrix = matrix_of<FORMAT, true>(weights, shape, unit);
    if (static_cast<int>(blockIdx.x) * TILE_ROWS >= matrix.rows) {
        grid_dependency_wait();  // whoever waits for this kernel waits for the one before it too
        return;
    }
    int first_row = (blockIdx.x * EXPERT_WARPS + threadIdx.x / WARP) * MMA_ROWS;
    int blocks = first_row < matrix.rows ? matrix.inner / FORMAT::K_BLOCK : 0;
    WeightRows rows = rows_of<FORMAT>(matrix, first_row);
    Window<FORMAT> ahead;
    ahead.load(rows, 0, blocks);
    if (known) {
        fetch_ahead<FORMAT>(matrix, first_row);
        grid_dependency_wait();
        int count = tiles.count[0];
        first = tiles.first[tile];
        if (tile >= count) {
            return;
        }
    }

    // The tile's tokens, as the product reads them.
    int tokens = tiles.unit_first[unit + 1] - first;
    tokens = tokens < MMA_TOKENS ? tokens : MMA_TOKENS;
    int pitch = token_pitch<FORMAT>(shape.hidden);
    float inverse_scale = is_e4m3<Token> ? inverse_of(weights.input_scale, unit) : 1.0f;
    int pieces = shape.hidden / 8;
    for (int i = threadIdx.x; i < tokens * pieces; i += EXPERT_THREADS) {
        int column = i / pieces;
        int piece = i % pieces;
        size_t token = tiles.slot_source[first + column] >> 8;
        uint4 values = *reinterpret_cast<const uint4*>(x + token * shape.hidden + 8 * piece);
        stage_eight(reinterpret_cast<Token*>(staged + column * pitch) + 8 * piece, values, inverse_scale);
    }
    __syncthreads();

    int group = threadIdx.x % WARP / 4;
    int quarter = threadIdx.x % 4;
    const uint8_t* token = group < tokens ? staged + group * pitch + quarter * 16 * FORMAT::TOKEN_CHUNKS : nullptr;
    // Asked for before the product, so that nothing is waited for behind it.
    float scale = product_scale<FORMAT>(weights, unit);
    float down_inverse = inverse_of(down_input_scale, unit);
    float sum[4] = {};
    stream_product<FORMAT>(sum, ahead, rows, token, blocks);
#pragma unroll
    for (int i = 0; i < 4; i++) {
        int column = 2 * quarter + i % 2;
        int row = first_row + group + i / 2 * 8;
        if (column < tokens && row < matrix.rows) {
            store_middle(middle, static_cast<size_t>(first + column) * shape.width + row, sum[i], scale, down_inverse);
        }
    }
}

struct Outputs {
    float* residual;
    float* sum;
    bf16* sum_bf16;
};

template <typename FORMAT>
__device__ __forceinline__ void down_stream(const Outputs& outputs, const typename FORMAT::Token* middle,
                                            const Weights& weights, const Tiles& tiles, const int32_t* choice_expert,
                                            const float* choice_weight, const Shape& shape, int tokens, int active,
                                            float scale) {
    DYN_SMEM(float, rows_of_ranks);  // [tokens, ranks, 16]
    int ranks = shape.parts + active;
    int first_row = blockIdx.x * MMA_ROWS;
    int lane = threadIdx.x % WARP;
    int group = lane / 4;
    int quarter = lane % 4;
    grid_dependency_launch();
    // As in up_stream the first tiles are the shared expert's.
    int first_tile = threadIdx.x / WARP;
    bool known = first_tile < shape.parts;
    Window<FORMAT> ahead;
    if (known) {
        Matrix matrix = matrix_of<FORMAT, false>(weights, shape, first_tile);
        ahead.load(rows_of<FORMAT>(matrix, first_row), 0, matrix.inner / FORMAT::K_BLOCK);
    }
    grid_dependency_wait();

    // What the value that this thread finishes needs, asked for before the products.
    static_assert(MMA_TOKENS * MMA_ROWS <= EXPERT_THREADS, "a thread finishes one value at most");
    int my_token = threadIdx.x / MMA_ROWS;
    int my_row = threadIdx.x % MMA_ROWS;
    size_t my_place = static_cast<size_t>(my_token) * shape.hidden + first_row + my_row;
    bool finishing = my_token < tokens && first_row + my_row < shape.hidden && choice_expert[my_token * active] >= 0;
    float before = finishing && outputs.residual != nullptr ? outputs.residual[my_place] : 0.0f;

    int count = tiles.count[0];
    for (int tile = first_tile; tile < count; tile += EXPERT_WARPS) {
        int unit = tiles.unit[tile];
        int first = tiles.first[tile];
        int columns = tiles.unit_first[unit + 1] - first;
        columns = columns < MMA_TOKENS ? columns : MMA_TOKENS;
        Matrix matrix = matrix_of<FORMAT, false>(weights, shape, unit);
        int blocks = matrix.inner / FORMAT::K_BLOCK;
        WeightRows rows = rows_of<FORMAT>(matrix, first_row);
        if (!known || tile != first_tile) {
            ahead.load(rows, 0, blocks);
        }
        const uint8_t* token = nullptr;
        if (group < columns) {
            token = reinterpret_cast<const uint8_t*>(middle + static_cast<size_t>(first + group) * shape.width)
                    + quarter * 16 * FORMAT::TOKEN_CHUNKS;
        }
        float factor = product_scale<FORMAT>(weights, unit);
        uint32_t sources[2];
#pragma unroll
        for (int i = 0; i < 2; i++) {
            sources[i] = 2 * quarter + i < columns ? tiles.slot_source[first + 2 * quarter + i] : 0;
        }
        float sum[4] = {};
        stream_product<FORMAT>(sum, ahead, rows, token, blocks);
#pragma unroll
        for (int i = 0; i < 4; i++) {
            int column = 2 * quarter + i % 2;
            if (column < columns) {
                uint32_t source = sources[i % 2];
                int row = static_cast<int>((source >> 8) * ranks + (source & 0xffu));
                rows_of_ranks[row * MMA_ROWS + group + i / 2 * 8] = __fmul_rn(sum[i], factor);
            }
        }
    }
    __syncthreads();

    if (finishing) {
        float value = combined(choice_weight + my_token * active, shape.parts, active, scale, [&](int rank) {
            return rows_of_ranks[(my_token * ranks + rank) * MMA_ROWS + my_row];
        });
        deliver(outputs.residual, before, outputs.sum, outputs.sum_bf16, my_place, value);
    }
}

// ---- tileN: grouped product through shared memory -----------------------------------------------------------------------

template <typename FORMAT, int TOKENS>
struct Tiling {
    static constexpr int STEP_BLOCKS = FORMAT::TOKEN_CHUNKS == 1 ? 2 : 1;
    static constexpr int WEIGHT_ROW = 4 * FORMAT::WEIGHT_BYTES * STEP_BLOCKS;  // bytes of a row in a stage
    static constexpr int TOKEN_ROW = 64 * FORMAT::TOKEN_CHUNKS * STEP_BLOCKS;
    static constexpr int STAGES = TOKENS > 32 ? 3 : 4;
    static constexpr int STAGE = TILE_ROWS * WEIGHT_ROW + TOKENS * TOKEN_ROW;
    static constexpr int TOKEN_WARPS = TOKENS > 32 ? 2 : 1;
    static constexpr int ROW_TILES = TILE_ROWS / (EXPERT_WARPS / TOKEN_WARPS) / MMA_ROWS;  // mma tiles of a warp
    static constexpr int TOKEN_TILES = TOKENS / TOKEN_WARPS / MMA_TOKENS;
    static constexpr int WEIGHT_COPIES = TILE_ROWS * WEIGHT_ROW / 16 / EXPERT_THREADS;
    static constexpr int TOKEN_COPIES = ceil_div(TOKENS * TOKEN_ROW / 16, EXPERT_THREADS);
    static_assert(TOKEN_ROW == 128, "eight pieces of a token in each stage");
    static_assert(WEIGHT_COPIES * EXPERT_THREADS * 16 == TILE_ROWS * WEIGHT_ROW, "whole copies");

    // Where piece `piece` of a row of 128 bytes lies, so that the lanes of two rows meet different banks.
    static __device__ __forceinline__ int weight_at(int row, int piece) {
        return row * WEIGHT_ROW + (WEIGHT_ROW == 128 ? piece ^ (row & 1) << 2 : piece) * 16;
    }

    static __device__ __forceinline__ int token_at(int token, int piece) {
        return token * TOKEN_ROW + (FORMAT::TOKEN_CHUNKS == 1 ? piece ^ (token & 1) << 2 : piece ^ (token & 1)) * 16;
    }
};

// What a thread copies into the stages: pieces of weight rows, and pieces of token rows that it gathers.
template <typename FORMAT, int TOKENS, bool UP>
struct Loader {
    using Token = typename FORMAT::Token;
    using T = Tiling<FORMAT, TOKENS>;
    // bf16 activations that become e4m3 on their way: they pass through registers instead of cp.async.
    static constexpr bool QUANTISING = UP && is_e4m3<Token>;
    static constexpr int HELD = QUANTISING ? T::TOKEN_COPIES : 1;

    const Matrix& matrix;
    int first_row;
    float inverse_scale;
    const uint8_t* token_row[T::TOKEN_COPIES];  // null = no such token
    uint4 held[HELD][2];

    __device__ __forceinline__ Loader(const Matrix& matrix, int first_row, const Tiles& tiles, int first, int tokens,
                                      const void* source, const Shape& shape, float inverse_scale)
        : matrix(matrix), first_row(first_row), inverse_scale(inverse_scale) {
#pragma unroll
        for (int i = 0; i < T::TOKEN_COPIES; i++) {
            int token = (i * EXPERT_THREADS + threadIdx.x) / 8;
            token_row[i] = nullptr;
            if (token < tokens) {
                size_t row = UP ? tiles.slot_source[first + token] >> 8 : first + token;
                size_t bytes = UP ? static_cast<size_t>(shape.hidden) * 2 : shape.width * sizeof(Token);
                token_row[i] = static_cast<const uint8_t*>(source) + row * bytes;
            }
        }
    }

    __device__ __forceinline__ void copy_weights(uint8_t* stage, int step) const {
        size_t row_bytes = FORMAT::weight_bytes(matrix.inner);
#pragma unroll
        for (int i = 0; i < T::WEIGHT_COPIES; i++) {
            int copy = i * EXPERT_THREADS + threadIdx.x;
            int row = copy / (T::WEIGHT_ROW / 16);
            int piece = copy % (T::WEIGHT_ROW / 16);
            size_t at = static_cast<size_t>(step) * T::WEIGHT_ROW + piece * 16;
            bool valid = first_row + row < matrix.rows && at < row_bytes;
            const uint8_t* from = valid ? matrix.codes + (first_row + row) * matrix.pitch + at : matrix.codes;
            cp_async_16(stage + T::weight_at(row, piece), from, valid);
        }
    }

    // Starts the copy of the step's tokens: into the stage, or (quantising) into registers.
    __device__ __forceinline__ void fetch_tokens(uint8_t* stage, int step) {
        int piece = threadIdx.x % 8;
        int bytes = step * T::TOKEN_ROW + piece * 16;
        bool inside = bytes < matrix.inner * static_cast<int>(sizeof(Token));
#pragma unroll
        for (int i = 0; i < T::TOKEN_COPIES; i++) {
            int token = (i * EXPERT_THREADS + threadIdx.x) / 8;
            bool valid = token_row[i] != nullptr && inside;
            if constexpr (QUANTISING) {
                held[i][0] = make_uint4(0, 0, 0, 0);
                held[i][1] = make_uint4(0, 0, 0, 0);
                if (valid) {
                    const uint4* from = reinterpret_cast<const uint4*>(token_row[i] + 2 * static_cast<size_t>(bytes));
                    held[i][0] = from[0];
                    held[i][1] = from[1];
                }
            } else if (token < TOKENS) {
                uint8_t* to = stage + TILE_ROWS * T::WEIGHT_ROW + T::token_at(token, piece);
                cp_async_16(to, valid ? token_row[i] + bytes : matrix.codes, valid);
            }
        }
    }

    // Writes to the stage what fetch_tokens brought into registers.
    __device__ __forceinline__ void store_tokens(uint8_t* stage) const {
        if constexpr (QUANTISING) {
            int piece = threadIdx.x % 8;
#pragma unroll
            for (int i = 0; i < T::TOKEN_COPIES; i++) {
                int token = (i * EXPERT_THREADS + threadIdx.x) / 8;
                if (token < TOKENS) {
                    uint2 low = quantise_eight(held[i][0], inverse_scale);
                    uint2 high = quantise_eight(held[i][1], inverse_scale);
                    *reinterpret_cast<uint4*>(stage + TILE_ROWS * T::WEIGHT_ROW + T::token_at(token, piece)) =
                            make_uint4(low.x, low.y, high.x, high.y);
                }
            }
        }
    }
};

// Multiplies the blocks of one stage into the warp's sums. `scales`: the lane's quarter of the step's block scales.
template <typename FORMAT, int TOKENS>
__device__ __forceinline__ void multiply_stage(
        float (&sum)[Tiling<FORMAT, TOKENS>::ROW_TILES][Tiling<FORMAT, TOKENS>::TOKEN_TILES][4], const uint8_t* stage,
        const uint8_t (&scales)[Tiling<FORMAT, TOKENS>::ROW_TILES][2], int warp_row, int warp_token, int blocks) {
    using T = Tiling<FORMAT, TOKENS>;
    using Vector = decltype(FORMAT::Raw::low);
    int group = threadIdx.x % WARP / 4;
    int quarter = threadIdx.x % 4;
    const uint8_t* tokens = stage + TILE_ROWS * T::WEIGHT_ROW;
#pragma unroll
    for (int block = 0; block < T::STEP_BLOCKS; block++) {
        if (block < blocks) {
            typename FORMAT::Fragments rows[T::ROW_TILES];
#pragma unroll
            for (int r = 0; r < T::ROW_TILES; r++) {
                int row = warp_row + r * MMA_ROWS + group;
                int byte = (block * 4 + quarter) * FORMAT::WEIGHT_BYTES;
                typename FORMAT::Raw raw;
                raw.low = *reinterpret_cast<const Vector*>(stage + T::weight_at(row, byte / 16) + byte % 16);
                raw.high = *reinterpret_cast<const Vector*>(stage + T::weight_at(row + 8, byte / 16) + byte % 16);
                rows[r] = FORMAT::expand(raw, scales[r][0], scales[r][1]);
            }
#pragma unroll
            for (int t = 0; t < T::TOKEN_TILES; t++) {
                int token = warp_token + t * MMA_TOKENS + group;
                uint4 chunks[FORMAT::TOKEN_CHUNKS];
#pragma unroll
                for (int c = 0; c < FORMAT::TOKEN_CHUNKS; c++) {
                    int piece = (block * 4 + quarter) * FORMAT::TOKEN_CHUNKS + c;
                    chunks[c] = *reinterpret_cast<const uint4*>(tokens + T::token_at(token, piece));
                }
                TokenFragments<FORMAT::MMAS> columns = FORMAT::expand_tokens(chunks);
#pragma unroll
                for (int r = 0; r < T::ROW_TILES; r++) {
                    multiply_block<FORMAT>(sum[r][t], rows[r], columns);
                }
            }
        }
    }
}

// One tile of the grouped product. `source` is x (up) or middle (down); `middle` and `rows` are the two targets.
template <typename FORMAT, int TOKENS, bool UP>
__device__ __forceinline__ void grouped(typename FORMAT::Token* middle, float* target_rows, const void* source,
                                        const Weights& weights, const float* down_input_scale, const Tiles& tiles,
                                        const Shape& shape) {
    using T = Tiling<FORMAT, TOKENS>;
    DYN_SMEM(uint8_t, stages);
    int tile = blockIdx.y;
    grid_dependency_launch();
    grid_dependency_wait();
    if (tile >= tiles.count[0]) {
        return;
    }
    int unit = tiles.unit[tile];
    Matrix matrix = matrix_of<FORMAT, UP>(weights, shape, unit);
    int first_row = blockIdx.x * TILE_ROWS;
    if (first_row >= matrix.rows) {
        return;
    }
    int first = tiles.first[tile];
    int tokens = tiles.unit_first[unit + 1] - first;
    tokens = tokens < TOKENS ? tokens : TOKENS;
    int warp = threadIdx.x / WARP;
    int group = threadIdx.x % WARP / 4;
    int quarter = threadIdx.x % 4;
    int warp_row = warp / T::TOKEN_WARPS * T::ROW_TILES * MMA_ROWS;
    int warp_token = warp % T::TOKEN_WARPS * T::TOKEN_TILES * MMA_TOKENS;
    int blocks = matrix.inner / FORMAT::K_BLOCK;
    int steps = ceil_div(blocks, T::STEP_BLOCKS);

    float inverse_scale = UP && is_e4m3<typename FORMAT::Token> ? inverse_of(weights.input_scale, unit) : 1.0f;
    Loader<FORMAT, TOKENS, UP> loader(matrix, first_row, tiles, first, tokens, source, shape, inverse_scale);
    for (int step = 0; step < T::STAGES - 1; step++) {
        if (step < steps) {
            uint8_t* stage = stages + step * T::STAGE;
            loader.copy_weights(stage, step);
            loader.fetch_tokens(stage, step);
            loader.store_tokens(stage);
        }
        cp_async_commit();
    }

    float sum[T::ROW_TILES][T::TOKEN_TILES][4] = {};
    for (int step = 0; step < steps; step++) {
        uint8_t scales[T::ROW_TILES][2] = {};
        if (FORMAT::BLOCK_SCALES) {
#pragma unroll
            for (int r = 0; r < T::ROW_TILES; r++) {
                WeightRows rows = rows_of<FORMAT>(matrix, first_row + warp_row + r * MMA_ROWS);
                scales[r][0] = load_readonly(rows.low_scales + step * 4);
                scales[r][1] = load_readonly(rows.high_scales + step * 4);
            }
        }
        cp_async_wait<T::STAGES - 2>();
        __syncthreads();
        int next = step + T::STAGES - 1;
        uint8_t* next_stage = stages + next % T::STAGES * T::STAGE;
        if (next < steps) {
            loader.copy_weights(next_stage, next);
            loader.fetch_tokens(next_stage, next);
        }
        cp_async_commit();
        int left = blocks - step * T::STEP_BLOCKS;
        multiply_stage<FORMAT, TOKENS>(sum, stages + step % T::STAGES * T::STAGE, scales, warp_row, warp_token, left);
        if (next < steps) {
            loader.store_tokens(next_stage);
        }
    }

    float scale = product_scale<FORMAT>(weights, unit);
    float down_inverse = UP ? inverse_of(down_input_scale, unit) : 1.0f;
#pragma unroll
    for (int r = 0; r < T::ROW_TILES; r++) {
#pragma unroll
        for (int t = 0; t < T::TOKEN_TILES; t++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int column = warp_token + t * MMA_TOKENS + 2 * quarter + i % 2;
                int row = first_row + warp_row + r * MMA_ROWS + group + i / 2 * 8;
                if (column < tokens && row < matrix.rows) {
                    size_t slot = first + column;
                    if constexpr (UP) {
                        store_middle(middle, slot * shape.width + row, sum[r][t][i], scale, down_inverse);
                    } else {
                        target_rows[slot * shape.hidden + row] = __fmul_rn(sum[r][t][i], scale);
                    }
                }
            }
        }
    }
}

// ---- plain: any size ------------------------------------------------------------------------------------------------------

template <typename FORMAT, bool UP>
__device__ __forceinline__ void plain(typename FORMAT::Token* middle, float* target_rows, const void* source,
                                      const Weights& weights, const float* down_input_scale, const Tiles& tiles,
                                      const int32_t* choice_expert, const Shape& shape, int units, int active) {
    using Token = typename FORMAT::Token;
    int slot = blockIdx.x;
    int lane = threadIdx.x % WARP;
    grid_dependency_launch();
    grid_dependency_wait();
    if (slot >= tiles.unit_first[units]) {
        return;
    }
    size_t token = tiles.slot_source[slot] >> 8;
    int rank = static_cast<int>(tiles.slot_source[slot] & 0xffu);
    int unit = rank < shape.parts ? rank : shape.parts + choice_expert[token * active + rank - shape.parts];
    Matrix matrix = matrix_of<FORMAT, UP>(weights, shape, unit);
    const bf16* x = static_cast<const bf16*>(source) + token * shape.hidden;
    const Token* m = static_cast<const Token*>(source) + static_cast<size_t>(slot) * shape.width;
    float scale = product_scale<FORMAT>(weights, unit) / FORMAT::SCALE;
    float inverse_scale = UP && is_e4m3<Token> ? inverse_of(weights.input_scale, unit) : 1.0f;
    float down_inverse = UP ? inverse_of(down_input_scale, unit) : 1.0f;
    int begin = static_cast<int>(blockIdx.y) * PLAIN_ROWS;
    int end = begin + PLAIN_ROWS < matrix.rows ? begin + PLAIN_ROWS : matrix.rows;
    for (int row = begin + static_cast<int>(threadIdx.x) / WARP; row < end; row += PLAIN_THREADS / WARP) {
        const uint8_t* codes = matrix.codes + row * matrix.pitch;
        const uint8_t* scales = FORMAT::BLOCK_SCALES ? matrix.block_scales + row * matrix.scale_pitch : nullptr;
        float sum = 0.0f;
        for (int k = lane; k < matrix.inner; k += WARP) {
            float value;
            if constexpr (!UP) {
                value = to_float(m[k]);
            } else if constexpr (is_e4m3<Token>) {
                value = to_float(to_e4m3(__fmul_rn(to_float(x[k]), inverse_scale)));
            } else {
                value = to_float(x[k]);
            }
            sum = __fmaf_rn(FORMAT::weight(codes, scales, k), value, sum);
        }
        sum = warp_sum(sum);
        if (lane == 0) {
            if constexpr (UP) {
                store_middle(middle, static_cast<size_t>(slot) * shape.width + row, sum, scale, down_inverse);
            } else {
                target_rows[static_cast<size_t>(slot) * shape.hidden + row] = __fmul_rn(sum, scale);
            }
        }
    }
}

}  // namespace

// ---- kernels ----------------------------------------------------------------------------------------------------------------

#define WEIGHT_ARGUMENTS                                                                                                  \
    const uint8_t *codes, const uint8_t *block_scales, const uint8_t *shared_codes, const uint8_t *shared_block_scales,   \
            const float *weight_scale, const float *input_scale
#define TILE_ARGUMENTS                                                                                                    \
    const int32_t *unit_first, const int32_t *tile_unit, const int32_t *tile_first, const int32_t *tile_count,            \
            const uint32_t *slot_source
#define SIZE_ARGUMENTS int64_t stride, int64_t block_scale_stride, int hidden, int width, int shared_width, int parts
#define WEIGHTS                                                                                                           \
    Weights {                                                                                                             \
        codes, block_scales, shared_codes, shared_block_scales, weight_scale, input_scale, stride, block_scale_stride     \
    }
#define TILES                                                                                                             \
    Tiles { unit_first, tile_unit, tile_first, tile_count, slot_source }
#define SHAPE                                                                                                             \
    Shape { hidden, width, shared_width, parts }

#define STREAM_KERNELS(SUFFIX, FORMAT)                                                                                    \
    extern "C" __global__ __launch_bounds__(EXPERT_THREADS, 2) void moe_experts_up_stream_##SUFFIX(                       \
            FORMAT::Token* middle, const bf16* x, WEIGHT_ARGUMENTS, const float* down_input_scale, TILE_ARGUMENTS,        \
            SIZE_ARGUMENTS, const uint8_t* ahead, int64_t ahead_bytes) {                                                  \
        up_stream<FORMAT>(middle, x, WEIGHTS, down_input_scale, ahead, ahead_bytes, TILES, SHAPE);                        \
    }                                                                                                                     \
    KERNEL(moe_experts_up_stream_##SUFFIX);                                                                               \
    extern "C" __global__ __launch_bounds__(EXPERT_THREADS, 2) void moe_experts_down_stream_##SUFFIX(                     \
            float* residual, float* sum, bf16* sum_bf16, const FORMAT::Token* middle, WEIGHT_ARGUMENTS, TILE_ARGUMENTS,   \
            const int32_t* choice_expert, const float* choice_weight, SIZE_ARGUMENTS, int tokens, int active,             \
            float scale) {                                                                                                \
        down_stream<FORMAT>(Outputs{residual, sum, sum_bf16}, middle, WEIGHTS, TILES, choice_expert, choice_weight,       \
                            SHAPE, tokens, active, scale);                                                                \
    }                                                                                                                     \
    KERNEL(moe_experts_down_stream_##SUFFIX);

#define TILE_KERNELS(SUFFIX, FORMAT, TOKENS)                                                                              \
    extern "C" __global__ __launch_bounds__(EXPERT_THREADS, TOKENS > 32 ? 1 : 2) void                                     \
            moe_experts_up_tile##TOKENS##_##SUFFIX(FORMAT::Token* middle, const bf16* x, WEIGHT_ARGUMENTS,                \
                                                   const float* down_input_scale, TILE_ARGUMENTS, SIZE_ARGUMENTS) {       \
        grouped<FORMAT, TOKENS, true>(middle, nullptr, x, WEIGHTS, down_input_scale, TILES, SHAPE);                       \
    }                                                                                                                     \
    KERNEL(moe_experts_up_tile##TOKENS##_##SUFFIX);                                                                       \
    extern "C" __global__ __launch_bounds__(EXPERT_THREADS, TOKENS > 32 ? 1 : 2) void                                     \
            moe_experts_down_tile##TOKENS##_##SUFFIX(float* rows, const FORMAT::Token* middle, WEIGHT_ARGUMENTS,          \
                                                     TILE_ARGUMENTS, SIZE_ARGUMENTS) {                                    \
        grouped<FORMAT, TOKENS, false>(nullptr, rows, middle, WEIGHTS, nullptr, TILES, SHAPE);                            \
    }                                                                                                                     \
    KERNEL(moe_experts_down_tile##TOKENS##_##SUFFIX);

#define PLAIN_KERNELS(SUFFIX, FORMAT)                                                                                     \
    extern "C" __global__ __launch_bounds__(PLAIN_THREADS) void moe_experts_up_plain_##SUFFIX(                            \
            FORMAT::Token* middle, const bf16* x, WEIGHT_ARGUMENTS, const float* down_input_scale, TILE_ARGUMENTS,        \
            const int32_t* choice_expert, SIZE_ARGUMENTS, int units, int active) {                                        \
        plain<FORMAT, true>(middle, nullptr, x, WEIGHTS, down_input_scale, TILES, choice_expert, SHAPE, units, active);   \
    }                                                                                                                     \
    KERNEL(moe_experts_up_plain_##SUFFIX);                                                                                \
    extern "C" __global__ __launch_bounds__(PLAIN_THREADS) void moe_experts_down_plain_##SUFFIX(                          \
            float* rows, const FORMAT::Token* middle, WEIGHT_ARGUMENTS, TILE_ARGUMENTS, const int32_t* choice_expert,     \
            SIZE_ARGUMENTS, int units, int active) {                                                                      \
        plain<FORMAT, false>(nullptr, rows, middle, WEIGHTS, nullptr, TILES, choice_expert, SHAPE, units, active);        \
    }                                                                                                                     \
    KERNEL(moe_experts_down_plain_##SUFFIX);

#define FORMAT_KERNELS(SUFFIX, FORMAT) \
    STREAM_KERNELS(SUFFIX, FORMAT)     \
    TILE_KERNELS(SUFFIX, FORMAT, 16)   \
    TILE_KERNELS(SUFFIX, FORMAT, 32)   \
    TILE_KERNELS(SUFFIX, FORMAT, 128)  \
    PLAIN_KERNELS(SUFFIX, FORMAT)

FORMAT_KERNELS(bf16, FormatBf16)
FORMAT_KERNELS(e4m3, FormatE4m3)
FORMAT_KERNELS(e4m3_bf16, FormatE4m3Bf16)
FORMAT_KERNELS(nvfp4, FormatNvfp4)

// y[t] from the rows of its ranks. Padded rows are left alone.
extern "C" __global__ __launch_bounds__(EXPERT_THREADS) void moe_combine(
        float* residual, float* sum, bf16* sum_bf16, const float* rows, const int32_t* choice_slot,
        const int32_t* choice_expert, const float* choice_weight, int hidden, int parts, int active, float scale) {
    size_t token = blockIdx.x;
    int column = blockIdx.y * EXPERT_THREADS + threadIdx.x;
    grid_dependency_launch();
    grid_dependency_wait();
    if (column >= hidden || choice_expert[token * active] < 0) {
        return;
    }
    const int32_t* slot = choice_slot + token * (parts + active);
    float value = combined(choice_weight + token * active, parts, active, scale,
                           [&](int rank) { return rows[static_cast<size_t>(slot[rank]) * hidden + column]; });
    size_t at = token * hidden + column;
    deliver(residual, residual == nullptr ? 0.0f : residual[at], sum, sum_bf16, at, value);
}
KERNEL(moe_combine);
