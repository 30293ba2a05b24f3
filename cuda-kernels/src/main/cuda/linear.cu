// linear.cu: products of activation rows with weight matrices.
//
//   y[t, n] = scale * sum over k of x[row(t), k] * w[n, k]
//
//   out0..2          outputs of the columns [0, end0), [end0, end1), [end1, outputs): what `mode` says, row stride in elements
//   x                bf16 or e4m3 [any, inputs]     in; two bf16 tensors where x_low is given: x + x_low stands for the activation
//   rows             int32 [num_tokens] or null     in; which row of x token t takes; -1: token t is neither read nor written
//   weights0..2      [columns of the part, inputs]  in; bf16, e4m3, or NVFP4 (two e2m1 codes a byte, even k in the low nibble)
//   block_scales0..2 e4m3 [columns, inputs / 16]    in; NVFP4 only
//   residual         fp32 [any, inputs] or null     in; not null (linear_skinny only, at most 4 tokens): x is not read, but made
//   norm_weight      fp32 [inputs]                  in; from these rows by their norm (row_norm.cuh, with `norm_threads` for
//                                                   a row), times inverse_source_scale where it becomes e4m3
//   scratch, counters                               fp32 and uint32, for linear_tiled with splits > 1; counters are 0 before and after
//
// Kernels: linear_skinny (1 to 16 tokens; weights go straight from memory into registers), linear_tiled (any number; weights and
// activations through shared memory), linear_plain (sizes that the others do not take). Sums in fp32.
//
// Order of sums. k is cut into segments of `segment` (which depends on the matrix alone). Within a segment the products are added
// by a chain of matrix instructions in one fixed order of k; the segments' sums are added in ascending order, beginning with 0.
// linear_skinny and linear_tiled do exactly this, however the work is spread: a token's bits depend neither on the other tokens
// nor on their number, nor on the grid, the splits or the device's size. (That holds as far as one matrix instruction gives a
// column the same bits wherever it stands.) linear_plain has its own order, and is chosen by the matrix alone.
//
// Fragments. A lane's 16 bytes of a weight row hold VECTOR consecutive k. Their first four are the lane's k of the first
// matrix instruction, the next four of the second, and so on; activations are laid out to match. So the k of one instruction are
// not consecutive, and both operands come by 16-byte loads. e4m3 activations make both operands f16, which holds every e4m3
// value; with bf16 activations weights become bf16, which holds every e4m3 value and every product of e2m1 code and block scale.
//
// Needs sm_80 or later. Source of the number formats: OCP 8-bit floating point 1.0; OCP microscaling formats 1.0 (e2m1).

#include "row_norm.cuh"
#include "squared_relu.cuh"

enum class Numbers { BF16, E4M3, E4M3_BF16, NVFP4 };  // of weights and activations; one name where activations follow from it

enum Mode { STORE_FLOAT, STORE_BF16, ADD_FLOAT, SQUARED_RELU_BF16, SQUARED_RELU_E4M3 };

constexpr int FRAGMENT_ROWS = 16;   // weight rows of a matrix instruction
constexpr int FRAGMENT_TOKENS = 8;  // its tokens
constexpr int PIECE_BYTES = 16;     // what one load or copy moves

template <Numbers NUMBERS>
struct Format {
    static constexpr int WEIGHT_BITS = NUMBERS == Numbers::BF16 ? 16 : NUMBERS == Numbers::NVFP4 ? 4 : 8;
    static constexpr bool NARROW_SOURCE = NUMBERS == Numbers::E4M3;
    static constexpr bool BLOCK_SCALES = NUMBERS == Numbers::NVFP4;
    static constexpr int VECTOR = 128 / WEIGHT_BITS;  // k in a lane's 16 bytes of weights
    static constexpr int STEP = 4 * VECTOR;           // k that a warp covers by one load of each row
    static constexpr int PIECES = VECTOR / 8;         // 16-byte pieces of 16-bit activations that meet a lane's weights
};

struct Problem {
    void* out0;
    void* out1;
    void* out2;
    const void* x;
    const bf16* x_low;
    const int32_t* rows;
    const void* weights0;
    const void* weights1;
    const void* weights2;
    const e4m3* block_scales0;
    const e4m3* block_scales1;
    const e4m3* block_scales2;
    float* scratch;
    uint32_t* counters;
    int64_t stride0;
    int64_t stride1;
    int64_t stride2;
    int num_tokens;
    int end0;
    int end1;
    int outputs;
    int inputs;
    int segment;
    int mode0;
    int mode1;
    int mode2;
    float scale0;
    float scale1;
    float scale2;
    float inverse_out_scale;
    const float* residual;
    const float* norm_weight;
    int norm_threads;
    float inverse_width;
    float epsilon;
    float inverse_source_scale;

    // The row of x that a token takes, or -1.
    __device__ __forceinline__ int source_row(int token) const { return rows == nullptr ? token : rows[token]; }

    __device__ __forceinline__ int part_begin(int column) const { return column < end0 ? 0 : column < end1 ? end0 : end1; }

    template <Numbers NUMBERS>
    __device__ __forceinline__ const unsigned char* weight_row(int column) const {
        const void* weights = column < end0 ? weights0 : column < end1 ? weights1 : weights2;
        size_t row_bytes = static_cast<size_t>(inputs) * Format<NUMBERS>::WEIGHT_BITS / 8;
        return static_cast<const unsigned char*>(weights) + (column - part_begin(column)) * row_bytes;
    }

    __device__ __forceinline__ const e4m3* block_scale_row(int column) const {
        const e4m3* scales = column < end0 ? block_scales0 : column < end1 ? block_scales1 : block_scales2;
        return scales + (column - part_begin(column)) * static_cast<size_t>(inputs / 16);
    }
};

// Finishes one value of the output.
__device__ __forceinline__ void emit(const Problem& p, int token, int column, float sum) {
    if (p.rows != nullptr && p.rows[token] < 0) {
        return;
    }
    bool first = column < p.end0;
    bool second = column < p.end1;
    void* out = first ? p.out0 : second ? p.out1 : p.out2;
    int64_t stride = first ? p.stride0 : second ? p.stride1 : p.stride2;
    float value = sum * (first ? p.scale0 : second ? p.scale1 : p.scale2);
    int64_t at = token * stride + (column - p.part_begin(column));
    switch (first ? p.mode0 : second ? p.mode1 : p.mode2) {
        case STORE_FLOAT: static_cast<float*>(out)[at] = value; break;
        case STORE_BF16: static_cast<bf16*>(out)[at] = to_bf16(value); break;
        case ADD_FLOAT: static_cast<float*>(out)[at] += value; break;
        case SQUARED_RELU_BF16: static_cast<bf16*>(out)[at] = to_bf16(squared_relu(value)); break;
        case SQUARED_RELU_E4M3: static_cast<e4m3*>(out)[at] = to_e4m3(squared_relu(value) * p.inverse_out_scale); break;
    }
}

// ---- fragments ------------------------------------------------------------------------------------------------------

__device__ __forceinline__ uint32_t word(const uint4& vector, int index) {
    return index == 0 ? vector.x : index == 1 ? vector.y : index == 2 ? vector.z : vector.w;
}

// sign, two bits of exponent (bias 1), one of mantissa. At the place of a float's exponent they make a float that is 2^126
// times too small, subnormal for 0.5: the product is exact.
__device__ __forceinline__ float e2m1_to_float(uint32_t code) {
    return __uint_as_float((code & 7u) << 22 | (code & 8u) << 28) * 8.507059173023462e37f;
}

// A lane's weights of one row: 16 bytes, and for NVFP4 the scales of its two blocks.
struct WeightVector {
    uint4 bits;
    uint32_t scales;
};

// The weights 4 * group to 4 * group + 3 of a lane as two words of a fragment.
template <Numbers NUMBERS>
__device__ __forceinline__ void weight_words(const WeightVector& vector, int group, uint32_t& first, uint32_t& second) {
    if constexpr (NUMBERS == Numbers::BF16) {
        first = word(vector.bits, 2 * group);
        second = word(vector.bits, 2 * group + 1);
    } else if constexpr (NUMBERS == Numbers::NVFP4) {
        uint32_t codes = word(vector.bits, group / 2) >> (group % 2 * 16);
        float scale = to_float(e4m3{static_cast<uint8_t>(vector.scales >> (group / 4 * 8))});
        first = pack_bf16x2(e2m1_to_float(codes) * scale, e2m1_to_float(codes >> 4) * scale);
        second = pack_bf16x2(e2m1_to_float(codes >> 8) * scale, e2m1_to_float(codes >> 12) * scale);
    } else {
        uint16_t low = static_cast<uint16_t>(word(vector.bits, group));
        uint16_t high = static_cast<uint16_t>(word(vector.bits, group) >> 16);
        first = NUMBERS == Numbers::E4M3 ? e4m3x2_to_f16x2(low) : e4m3x2_to_bf16x2(low);
        second = NUMBERS == Numbers::E4M3 ? e4m3x2_to_f16x2(high) : e4m3x2_to_bf16x2(high);
    }
}

// The fragment of 16 weight rows, of which the lane holds two.
template <Numbers NUMBERS>
__device__ __forceinline__ void weight_fragment(uint32_t (&a)[4], const WeightVector& low, const WeightVector& high, int group) {
    weight_words<NUMBERS>(low, group, a[0], a[2]);
    weight_words<NUMBERS>(high, group, a[1], a[3]);
}

// Eight e4m3 activations in f16.
__device__ __forceinline__ uint4 widen(uint2 narrow) {
    return make_uint4(e4m3x2_to_f16x2(static_cast<uint16_t>(narrow.x)), e4m3x2_to_f16x2(static_cast<uint16_t>(narrow.x >> 16)),
                      e4m3x2_to_f16x2(static_cast<uint16_t>(narrow.y)), e4m3x2_to_f16x2(static_cast<uint16_t>(narrow.y >> 16)));
}

template <Numbers NUMBERS>
__device__ __forceinline__ void multiply(float (&sums)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    if constexpr (NUMBERS == Numbers::E4M3) {
        mma_m16n8k16_f16(sums, a, b);
    } else {
        mma_m16n8k16_bf16(sums, a, b);
    }
}

// Where a piece of eight 16-bit activations stands among the pieces of its row in shared memory: piece i of lane t's k stands
// at 4 * i + t of its step, so that four lanes read 64 consecutive bytes.
template <Numbers NUMBERS>
__device__ __forceinline__ int piece_place(int piece) {
    constexpr int PIECES = Format<NUMBERS>::PIECES;
    int step = piece / (4 * PIECES);
    int lane = piece % (4 * PIECES) / PIECES;
    return (step * PIECES + piece % PIECES) * 4 + lane;
}

// ---- few tokens -----------------------------------------------------------------------------------------------------

// Grid: any number of blocks; each takes an equal run of tiles of 16 columns. A tile has one unit of work per segment of k. The
// block's warps take its units in turn, each streaming 16 rows x `segment` weights; a warp asks for the weights of its next unit
// while it multiplies the present one. Once per round the partial sums of eight units meet in shared memory.
// Shared memory: partial sums of two rounds, then x (and x_low), each token's row padded to 64 bytes beyond a multiple of 128.
//
// No tile is shared by blocks, so no sums go through memory. All blocks run at once; those with a tile less end earlier, and what
// the others have under way still fills the memory. Bytes of the largest matrix, the head [131072, 2688] in bf16: 704.6 MB, 235 us
// at 3.0 TB/s (H100), 164 us at 4.3 TB/s (H200); 8,192 tiles of 86,016 bytes over 264 blocks on 132 multiprocessors, 31 or 32
// each. Under way: 8 KiB a warp, 128 KiB a multiprocessor; to cover 800 ns of latency a multiprocessor's share of the bandwidth
// needs 18 KiB (H100) or 26 KiB. Registers on sm_90a: 116 to 127, so 2 x 256 threads fill the register file; no spills.
// To be measured on a device.

constexpr int SKINNY_WARPS = 8;
constexpr int SUM_STRIDE = FRAGMENT_ROWS + 4;  // spreads the tokens of a fragment over the banks

// What a lane has to load: its two rows of a unit, from its own k on.
template <Numbers NUMBERS>
struct UnitSource {
    const unsigned char* low;
    const unsigned char* high;
    const e4m3* low_scales;
    const e4m3* high_scales;
    int k;
    int low_end;  // end of k; 0 for a row that does not exist
    int high_end;

    __device__ __forceinline__ UnitSource(const Problem& p, int tile, int segment_index, bool exists) {
        int lane = static_cast<int>(threadIdx.x) % WARP;
        int low_column = tile * FRAGMENT_ROWS + lane / 4;
        int high_column = low_column + 8;
        k = segment_index * p.segment + lane % 4 * Format<NUMBERS>::VECTOR;
        int end = exists ? min(p.inputs, (segment_index + 1) * p.segment) : 0;
        low_end = low_column < p.outputs ? end : 0;
        high_end = high_column < p.outputs ? end : 0;
        low = p.weight_row<NUMBERS>(low_column) + static_cast<size_t>(k) * Format<NUMBERS>::WEIGHT_BITS / 8;
        high = p.weight_row<NUMBERS>(high_column) + static_cast<size_t>(k) * Format<NUMBERS>::WEIGHT_BITS / 8;
        if constexpr (Format<NUMBERS>::BLOCK_SCALES) {
            low_scales = p.block_scale_row(low_column) + k / 16;
            high_scales = p.block_scale_row(high_column) + k / 16;
        }
    }

    __device__ __forceinline__ static WeightVector load(const unsigned char* row, const e4m3* scales, int step, bool valid) {
        WeightVector vector = {make_uint4(0, 0, 0, 0), 0};
        if (valid) {
            vector.bits = load_streaming(reinterpret_cast<const uint4*>(row) + 4 * step);
            if constexpr (Format<NUMBERS>::BLOCK_SCALES) {
                vector.scales = load_readonly(reinterpret_cast<const uint16_t*>(scales) + 4 * step);
            }
        }
        return vector;
    }

    __device__ __forceinline__ WeightVector load_low(int step) const {
        return load(low, low_scales, step, k + step * Format<NUMBERS>::STEP < low_end);
    }

    __device__ __forceinline__ WeightVector load_high(int step) const {
        return load(high, high_scales, step, k + step * Format<NUMBERS>::STEP < high_end);
    }

    __device__ __forceinline__ void advance(int steps) {
        k += steps * Format<NUMBERS>::STEP;
        low += steps * 4 * PIECE_BYTES;
        high += steps * 4 * PIECE_BYTES;
        if constexpr (Format<NUMBERS>::BLOCK_SCALES) {
            low_scales += steps * Format<NUMBERS>::STEP / 16;
            high_scales += steps * Format<NUMBERS>::STEP / 16;
        }
    }
};

// Bytes of a token's activations in shared memory.
template <Numbers NUMBERS>
__device__ __forceinline__ int source_stride(int inputs) {
    int bytes = ceil_div(inputs, Format<NUMBERS>::STEP) * Format<NUMBERS>::STEP * 2;
    return (bytes + 63) / 128 * 128 + 64;
}

// Copies the tokens' activations to shared memory as 16-bit values; zeros beyond `inputs` and for tokens without a row.
template <Numbers NUMBERS>
__device__ __forceinline__ void stage_source(unsigned char* target, const void* x, const Problem& p) {
    int stride = source_stride<NUMBERS>(p.inputs);
    int pieces = ceil_div(p.inputs, Format<NUMBERS>::STEP) * Format<NUMBERS>::STEP / 8;
    for (int i = threadIdx.x; i < p.num_tokens * pieces; i += SKINNY_WARPS * WARP) {
        int token = i / pieces;
        int piece = i % pieces;
        int row = p.source_row(token);
        bool valid = row >= 0 && piece * 8 < p.inputs;
        size_t at = valid ? static_cast<size_t>(row) * p.inputs + piece * 8 : 0;
        unsigned char* place = target + token * stride + piece_place<NUMBERS>(piece) * PIECE_BYTES;
        if constexpr (Format<NUMBERS>::NARROW_SOURCE) {
            uint2 narrow = make_uint2(0, 0);
            if (valid) {
                narrow = *reinterpret_cast<const uint2*>(static_cast<const e4m3*>(x) + at);
            }
            *reinterpret_cast<uint4*>(place) = widen(narrow);
        } else {
            cp_async_16(place, static_cast<const bf16*>(x) + at, valid);
        }
    }
}

constexpr int NORMED_TOKENS = 4;

// Normalises rows of the residual stream into shared memory, as stage_source leaves activations there. Every block does this for
// itself while its first weights are on their way: 10.8 KB a row of 2688 out of the second-level cache, where a kernel of its
// own would cost a boundary and a start. Two walks over the rows, the second one out of the first-level cache: values held
// in registers in between would have to share them with those weights. `scratch` has 8 sums for each token. Ends without a barrier.
template <Numbers NUMBERS>
__device__ __forceinline__ void stage_normed(unsigned char* target, float* scratch, const Problem& p) {
    int stride = source_stride<NUMBERS>(p.inputs);
    int part_bytes = p.num_tokens * stride;
    int thread = static_cast<int>(threadIdx.x) % p.norm_threads;
    int first = static_cast<int>(threadIdx.x) / p.norm_threads;
    int together = SKINNY_WARPS * WARP / p.norm_threads;
    for (int token = first; token < p.num_tokens; token += together) {
        int row = p.source_row(token);
        float squares = 0.0f;
        if (row >= 0) {
            const float* x = p.residual + static_cast<size_t>(row) * p.inputs;
#pragma unroll 4
            for (int column = 4 * thread; column < p.inputs; column += 4 * p.norm_threads) {
                squares = add_squares(squares, *reinterpret_cast<const float4*>(x + column));
            }
        }
        float sum = warp_sum(squares);
        if (thread % WARP == 0) {
            scratch[token * SKINNY_WARPS + thread / WARP] = sum;
        }
    }
    __syncthreads();
    int padded = ceil_div(p.inputs, Format<NUMBERS>::STEP) * Format<NUMBERS>::STEP;
    for (int token = first; token < p.num_tokens; token += together) {
        int row = p.source_row(token);
        float squares = 0.0f;
        for (int warp = 0; warp < p.norm_threads / WARP; warp++) {
            squares += scratch[token * SKINNY_WARPS + warp];
        }
        float scale = row_scale(squares, p.inverse_width, p.epsilon);
        for (int column = 4 * thread; column < padded; column += 4 * p.norm_threads) {
            unsigned char* place = target + token * stride + piece_place<NUMBERS>(column / 8) * PIECE_BYTES + column % 8 * 2;
            float4 y = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (row >= 0 && column < p.inputs) {
                float4 x = *reinterpret_cast<const float4*>(p.residual + static_cast<size_t>(row) * p.inputs + column);
                y = scaled_by(x, scale, load_readonly(reinterpret_cast<const float4*>(p.norm_weight + column)));
            }
            if constexpr (Format<NUMBERS>::NARROW_SOURCE) {
                uint32_t codes = quantised_to_e4m3(y, p.inverse_source_scale);
                *reinterpret_cast<uint2*>(place) = make_uint2(e4m3x2_to_f16x2(static_cast<uint16_t>(codes)),
                                                              e4m3x2_to_f16x2(static_cast<uint16_t>(codes >> 16)));
            } else {
                uint2 rounded = rounded_to_bf16(y);
                *reinterpret_cast<uint2*>(place) = rounded;
                if (p.x_low != nullptr) {
                    *reinterpret_cast<uint2*>(place + part_bytes) = lost_in_bf16(y, rounded);
                }
            }
        }
    }
}

// Adds one step of k to the sums of a unit. `source` is the lane's place in the step's activations of its first token.
template <Numbers NUMBERS, int TOKEN_TILES>
__device__ __forceinline__ void multiply_step(float (&sums)[TOKEN_TILES][4], const WeightVector& low, const WeightVector& high,
                                              const unsigned char* source, const int (&token_bytes)[TOKEN_TILES],
                                              int source_parts, int part_bytes) {
#pragma unroll
    for (int piece = 0; piece < Format<NUMBERS>::PIECES; piece++) {
        uint32_t a[2][4];
        weight_fragment<NUMBERS>(a[0], low, high, 2 * piece);
        weight_fragment<NUMBERS>(a[1], low, high, 2 * piece + 1);
        for (int part = 0; part < source_parts; part++) {
            const unsigned char* pieces = source + part * part_bytes + piece * 4 * PIECE_BYTES;
#pragma unroll
            for (int tile = 0; tile < TOKEN_TILES; tile++) {
                uint4 x = *reinterpret_cast<const uint4*>(pieces + token_bytes[tile]);
                uint32_t first[2] = {x.x, x.y};
                uint32_t second[2] = {x.z, x.w};
                multiply<NUMBERS>(sums[tile], a[0], first);
                multiply<NUMBERS>(sums[tile], a[1], second);
            }
        }
    }
}

template <Numbers NUMBERS, int TOKEN_TILES>
__device__ __forceinline__ void skinny(const Problem& p) {
    constexpr int STEP = Format<NUMBERS>::STEP;
    constexpr int DEPTH = Format<NUMBERS>::BLOCK_SCALES ? 4 : TOKEN_TILES == 1 ? 8 : 6;  // steps under way, of 1 KiB a warp
    constexpr int TOKENS = TOKEN_TILES * FRAGMENT_TOKENS;
    constexpr int UNIT_SUMS = TOKENS * SUM_STRIDE;
    static_assert(TOKENS * FRAGMENT_ROWS <= SKINNY_WARPS * WARP, "a thread adds up one value of a tile");
    DYN_SMEM(unsigned char, shared);
    float* partial_sums = reinterpret_cast<float*>(shared);
    unsigned char* source = shared + 2 * SKINNY_WARPS * UNIT_SUMS * sizeof(float);

    int warp = static_cast<int>(threadIdx.x) / WARP;
    int lane = static_cast<int>(threadIdx.x) % WARP;
    int tiles = ceil_div(p.outputs, FRAGMENT_ROWS);
    int segments = ceil_div(p.inputs, p.segment);
    int first_tile = static_cast<int>(static_cast<int64_t>(tiles) * blockIdx.x / gridDim.x);
    int end_tile = static_cast<int>(static_cast<int64_t>(tiles) * (blockIdx.x + 1) / gridDim.x);
    int units = (end_tile - first_tile) * segments;

    // ask for the first weights, which no earlier kernel writes
    grid_dependency_launch();
    UnitSource<NUMBERS> next(p, first_tile + warp / segments, warp % segments, warp < units);
    WeightVector low[DEPTH];
    WeightVector high[DEPTH];
#pragma unroll
    for (int depth = 0; depth < DEPTH; depth++) {
        low[depth] = next.load_low(depth);
        high[depth] = next.load_high(depth);
    }

    // activations into shared memory
    grid_dependency_wait();
    int part_bytes = p.num_tokens * source_stride<NUMBERS>(p.inputs);
    int source_parts = p.x_low == nullptr ? 1 : 2;
    if (p.residual != nullptr) {
        static_assert(NORMED_TOKENS * SKINNY_WARPS <= 2 * SKINNY_WARPS * UNIT_SUMS, "sums of squares lie where partial sums will");
        stage_normed<NUMBERS>(source, partial_sums, p);
    } else {
        stage_source<NUMBERS>(source, p.x, p);
        if (source_parts == 2) {
            stage_source<NUMBERS>(source + part_bytes, p.x_low, p);
        }
        cp_async_commit();
        cp_async_wait<0>();
    }
    __syncthreads();

    // a lane's token in each fragment; those beyond the last one compute its sums again, which nobody reads
    int token_bytes[TOKEN_TILES];
#pragma unroll
    for (int tile = 0; tile < TOKEN_TILES; tile++) {
        token_bytes[tile] = min(tile * FRAGMENT_TOKENS + lane / 4, p.num_tokens - 1) * source_stride<NUMBERS>(p.inputs)
            + lane % 4 * PIECE_BYTES;
    }

    // the value that this thread adds up, over the segments of the tiles as they come by
    int my_token = static_cast<int>(threadIdx.x) / FRAGMENT_ROWS;
    int my_row = static_cast<int>(threadIdx.x) % FRAGMENT_ROWS;
    int sum_tile = first_tile;
    int sum_segment = 0;
    float total = 0.0f;

    for (int round = 0; round * SKINNY_WARPS < units; round++) {
        int unit = round * SKINNY_WARPS + warp;
        int begin = unit % segments * p.segment;
        int end = unit < units ? min(p.inputs, begin + p.segment) : begin;
        float sums[TOKEN_TILES][4] = {};
        for (int k = begin; k < begin + p.segment; k += DEPTH * STEP) {
            if (k + DEPTH * STEP < begin + p.segment) {
                next.advance(DEPTH);
            } else {
                int following = unit + SKINNY_WARPS;
                next = UnitSource<NUMBERS>(p, first_tile + following / segments, following % segments, following < units);
            }
#pragma unroll
            for (int depth = 0; depth < DEPTH; depth++) {
                int step_k = k + depth * STEP;
                if (step_k < end) {
                    multiply_step<NUMBERS, TOKEN_TILES>(sums, low[depth], high[depth], source + step_k * 2, token_bytes,
                                                        source_parts, part_bytes);
                }
                low[depth] = next.load_low(depth);
                high[depth] = next.load_high(depth);
            }
        }

        // the units' sums meet; the other half of the buffer may still be read for the round before
        float* round_sums = partial_sums + round % 2 * (SKINNY_WARPS * UNIT_SUMS);
        float* unit_sums = round_sums + warp * UNIT_SUMS;
#pragma unroll
        for (int tile = 0; tile < TOKEN_TILES; tile++) {
            float* at = unit_sums + (tile * FRAGMENT_TOKENS + lane % 4 * 2) * SUM_STRIDE + lane / 4;
            at[0] = sums[tile][0];
            at[SUM_STRIDE] = sums[tile][1];
            at[8] = sums[tile][2];
            at[SUM_STRIDE + 8] = sums[tile][3];
        }
        __syncthreads();
        if (my_token < p.num_tokens && my_token < TOKENS) {
            int count = min(SKINNY_WARPS, units - round * SKINNY_WARPS);
            for (int i = 0; i < count; i++) {
                total += round_sums[i * UNIT_SUMS + my_token * SUM_STRIDE + my_row];
                if (++sum_segment == segments) {
                    int column = sum_tile * FRAGMENT_ROWS + my_row;
                    if (column < p.outputs) {
                        emit(p, my_token, column, total);
                    }
                    total = 0.0f;
                    sum_segment = 0;
                    sum_tile++;
                }
            }
        }
    }
}

// ---- many tokens ----------------------------------------------------------------------------------------------------

// Grid: x counts tiles of BLOCK_ROWS columns x BLOCK_TOKENS tokens (eight tiles of columns in a group, so that blocks that run
// together share both operands in the second-level cache), y the splits of k. A split takes whole segments. The first split
// adds up its segments; the others leave each segment's sums in scratch, and the block of a tile that comes last adds them to the
// first split's in order. Shared memory: `STAGES` stages of both operands; at the end the tile of sums.

template <Numbers NUMBERS, int ROWS, int TOKENS, int WARP_ROWS, int WARP_TOKENS, int STAGE_COUNT>
struct Tile {
    static constexpr int BLOCK_ROWS = ROWS;
    static constexpr int BLOCK_TOKENS = TOKENS;
    static constexpr int STAGES = STAGE_COUNT;
    static constexpr int WARPS_DOWN = ROWS / WARP_ROWS;
    static constexpr int THREADS = WARPS_DOWN * (TOKENS / WARP_TOKENS) * WARP;
    static constexpr int ROW_TILES = WARP_ROWS / FRAGMENT_ROWS;
    static constexpr int TOKEN_TILES = WARP_TOKENS / FRAGMENT_TOKENS;
    static constexpr int STAGE_K = Format<NUMBERS>::STEP < 64 ? 64 : Format<NUMBERS>::STEP;
    static constexpr int WEIGHT_PIECES = STAGE_K * Format<NUMBERS>::WEIGHT_BITS / 128;        // of a row, in a stage
    static constexpr int SOURCE_PIECES = STAGE_K * (Format<NUMBERS>::NARROW_SOURCE ? 8 : 16) / 128;
    static constexpr int WEIGHT_BYTES = ROWS * WEIGHT_PIECES * PIECE_BYTES;
    static constexpr int SOURCE_BYTES = TOKENS * SOURCE_PIECES * PIECE_BYTES;
    static constexpr int WEIGHT_COPIES = ROWS * WEIGHT_PIECES / THREADS;
    static constexpr int SOURCE_COPIES = TOKENS * SOURCE_PIECES / THREADS;
    static constexpr int SUM_ROW = ROWS + 4;  // spreads the tokens of a fragment over the banks
    static_assert(WEIGHT_COPIES * THREADS == ROWS * WEIGHT_PIECES && SOURCE_COPIES * THREADS == TOKENS * SOURCE_PIECES,
                  "each thread copies the same number of pieces");
    static_assert(THREADS % WEIGHT_PIECES == 0 && THREADS % SOURCE_PIECES == 0, "a thread keeps its place in the rows");
    static_assert(STAGES * (WEIGHT_BYTES + SOURCE_BYTES) >= TOKENS * SUM_ROW * 4, "the sums take the place of the stages");
};

// Where a piece stands in its row of a stage: rows of 128 bytes and more swap their halves every other row, so that a quarter
// of a warp, which reads four pieces of two rows, meets all banks.
template <int PIECES>
__device__ __forceinline__ int stage_offset(int row, int piece) {
    int place = PIECES >= 8 ? piece ^ (row & 1) << 2 : piece;
    return (row * PIECES + place) * PIECE_BYTES;
}

// Copies the weights of a stage; zeros for columns and k that do not exist.
template <Numbers NUMBERS, typename TILE>
struct WeightCopy {
    const unsigned char* rows[TILE::WEIGHT_COPIES];  // this thread's piece of its rows, at k = 0; null for no row
    int lane_k;

    __device__ __forceinline__ WeightCopy(const Problem& p, int first_column) {
        int thread = static_cast<int>(threadIdx.x);
        lane_k = thread % TILE::WEIGHT_PIECES * Format<NUMBERS>::VECTOR;
#pragma unroll
        for (int i = 0; i < TILE::WEIGHT_COPIES; i++) {
            int column = first_column + (thread + i * TILE::THREADS) / TILE::WEIGHT_PIECES;
            rows[i] = column < p.outputs
                ? p.weight_row<NUMBERS>(column) + thread % TILE::WEIGHT_PIECES * PIECE_BYTES : nullptr;
        }
    }

    __device__ __forceinline__ void copy(unsigned char* stage, const Problem& p, int k) const {
        int thread = static_cast<int>(threadIdx.x);
#pragma unroll
        for (int i = 0; i < TILE::WEIGHT_COPIES; i++) {
            int row = (thread + i * TILE::THREADS) / TILE::WEIGHT_PIECES;
            cp_async_16(stage + stage_offset<TILE::WEIGHT_PIECES>(row, thread % TILE::WEIGHT_PIECES),
                        rows[i] + static_cast<size_t>(k) * Format<NUMBERS>::WEIGHT_BITS / 8,
                        rows[i] != nullptr && k + lane_k < p.inputs);
        }
    }
};

// Copies the activations of a stage; zeros for tokens without a row and k that do not exist.
template <Numbers NUMBERS, typename TILE>
struct SourceCopy {
    int rows[TILE::SOURCE_COPIES];  // of x; -1 for none
    int lane_k;

    __device__ __forceinline__ SourceCopy(const Problem& p, int first_token) {
        int thread = static_cast<int>(threadIdx.x);
        lane_k = thread % TILE::SOURCE_PIECES * (Format<NUMBERS>::NARROW_SOURCE ? 16 : 8);
#pragma unroll
        for (int i = 0; i < TILE::SOURCE_COPIES; i++) {
            int token = first_token + (thread + i * TILE::THREADS) / TILE::SOURCE_PIECES;
            rows[i] = token < p.num_tokens ? p.source_row(token) : -1;
        }
    }

    __device__ __forceinline__ void copy(unsigned char* stage, const void* x, const Problem& p, int k) const {
        constexpr int BYTES = Format<NUMBERS>::NARROW_SOURCE ? 1 : 2;
        int thread = static_cast<int>(threadIdx.x);
        int piece = thread % TILE::SOURCE_PIECES;
        int place = Format<NUMBERS>::NARROW_SOURCE ? piece : piece_place<NUMBERS>(piece);
#pragma unroll
        for (int i = 0; i < TILE::SOURCE_COPIES; i++) {
            int row = (thread + i * TILE::THREADS) / TILE::SOURCE_PIECES;
            int64_t at = static_cast<int64_t>(rows[i]) * p.inputs + k + lane_k;
            cp_async_16(stage + stage_offset<TILE::SOURCE_PIECES>(row, place), static_cast<const unsigned char*>(x) + at * BYTES,
                        rows[i] >= 0 && k + lane_k < p.inputs);
        }
    }
};

// Reads the block scales that a lane needs in a stage, 0 where there are none: two of its lower row in the lower half.
template <Numbers NUMBERS, typename TILE>
__device__ __forceinline__ void load_block_scales(uint32_t (&scales)[TILE::ROW_TILES], const Problem& p, int first_column, int k) {
    int lane = static_cast<int>(threadIdx.x) % WARP;
    int lane_k = k + lane % 4 * Format<NUMBERS>::VECTOR;
#pragma unroll
    for (int i = 0; i < TILE::ROW_TILES * 2; i++) {
        int column = first_column + i * 8 + lane / 4;
        bool valid = column < p.outputs && lane_k < p.inputs;
        uint32_t two = valid ? load_readonly(reinterpret_cast<const uint16_t*>(p.block_scale_row(column) + lane_k / 16)) : 0;
        scales[i / 2] = i % 2 == 0 ? two : scales[i / 2] | two << 16;
    }
}

// Adds one stage to a warp's sums.
template <Numbers NUMBERS, typename TILE>
__device__ __forceinline__ void multiply_stage(float (&sums)[TILE::ROW_TILES][TILE::TOKEN_TILES][4], const unsigned char* weights,
                                               const unsigned char* source, int source_parts,
                                               const uint32_t (&scales)[TILE::ROW_TILES], int warp_row, int warp_token) {
    int lane = static_cast<int>(threadIdx.x) % WARP;
#pragma unroll
    for (int step = 0; step < TILE::STAGE_K / Format<NUMBERS>::STEP; step++) {
        WeightVector rows[TILE::ROW_TILES][2];
#pragma unroll
        for (int i = 0; i < TILE::ROW_TILES * 2; i++) {
            int row = warp_row + i * 8 + lane / 4;
            rows[i / 2][i % 2].bits = *reinterpret_cast<const uint4*>(
                weights + stage_offset<TILE::WEIGHT_PIECES>(row, step * 4 + lane % 4));
            rows[i / 2][i % 2].scales = scales[i / 2] >> (i % 2 * 16);
        }
#pragma unroll
        for (int piece = 0; piece < Format<NUMBERS>::PIECES; piece++) {
            uint32_t a[2][TILE::ROW_TILES][4];
#pragma unroll
            for (int i = 0; i < TILE::ROW_TILES * 2; i++) {
                weight_fragment<NUMBERS>(a[i % 2][i / 2], rows[i / 2][0], rows[i / 2][1], 2 * piece + i % 2);
            }
            for (int part = 0; part < source_parts; part++) {
#pragma unroll
                for (int tile = 0; tile < TILE::TOKEN_TILES; tile++) {
                    int token = warp_token + tile * FRAGMENT_TOKENS + lane / 4;
                    uint4 x;
                    if constexpr (Format<NUMBERS>::NARROW_SOURCE) {
                        x = widen(*reinterpret_cast<const uint2*>(
                            source + stage_offset<TILE::SOURCE_PIECES>(token, step * 4 + lane % 4) + piece * 8));
                    } else {
                        int place = (step * Format<NUMBERS>::PIECES + piece) * 4 + lane % 4;
                        x = *reinterpret_cast<const uint4*>(
                            source + part * TILE::SOURCE_BYTES + stage_offset<TILE::SOURCE_PIECES>(token, place));
                    }
                    uint32_t first[2] = {x.x, x.y};
                    uint32_t second[2] = {x.z, x.w};
#pragma unroll
                    for (int row_tile = 0; row_tile < TILE::ROW_TILES; row_tile++) {
                        multiply<NUMBERS>(sums[row_tile][tile], a[0][row_tile], first);
                    }
#pragma unroll
                    for (int row_tile = 0; row_tile < TILE::ROW_TILES; row_tile++) {
                        multiply<NUMBERS>(sums[row_tile][tile], a[1][row_tile], second);
                    }
                }
            }
        }
    }
}

// A thread's sums of one segment in scratch: consecutive threads write consecutive 16 bytes.
template <typename TILE>
__device__ __forceinline__ float4* segment_sums(const Problem& p, int tile, int segment_index) {
    int64_t slot = static_cast<int64_t>(tile) * ceil_div(p.inputs, p.segment) + segment_index;
    return reinterpret_cast<float4*>(p.scratch) + slot * (TILE::BLOCK_ROWS * TILE::BLOCK_TOKENS / 4) + threadIdx.x;
}

template <typename TILE>
__device__ __forceinline__ void leave_sums(float4* place, const float (&sums)[TILE::ROW_TILES][TILE::TOKEN_TILES][4]) {
#pragma unroll
    for (int i = 0; i < TILE::ROW_TILES * TILE::TOKEN_TILES; i++) {
        const float (&four)[4] = sums[i / TILE::TOKEN_TILES][i % TILE::TOKEN_TILES];
        place[i * TILE::THREADS] = make_float4(four[0], four[1], four[2], four[3]);
    }
}

template <typename TILE>
__device__ __forceinline__ void add_sums(float (&total)[TILE::ROW_TILES][TILE::TOKEN_TILES][4], const float4* place) {
#pragma unroll
    for (int i = 0; i < TILE::ROW_TILES * TILE::TOKEN_TILES; i++) {
        float (&four)[4] = total[i / TILE::TOKEN_TILES][i % TILE::TOKEN_TILES];
        float4 more = place[i * TILE::THREADS];
        four[0] += more.x;
        four[1] += more.y;
        four[2] += more.z;
        four[3] += more.w;
    }
}

template <Numbers NUMBERS, typename TILE>
__device__ __forceinline__ void tiled(const Problem& p) {
    DYN_SMEM(unsigned char, shared);
    int source_parts = p.x_low == nullptr ? 1 : 2;
    int stage_bytes = TILE::WEIGHT_BYTES + source_parts * TILE::SOURCE_BYTES;

    // which tile, which segments
    constexpr int GROUP = 8;
    int column_tiles = ceil_div(p.outputs, TILE::BLOCK_ROWS);
    int token_tiles = ceil_div(p.num_tokens, TILE::BLOCK_TOKENS);
    int group = static_cast<int>(blockIdx.x) / (GROUP * token_tiles);
    int in_group = static_cast<int>(blockIdx.x) % (GROUP * token_tiles);
    int group_width = min(GROUP, column_tiles - group * GROUP);
    int column_tile = group * GROUP + in_group % group_width;
    int first_column = column_tile * TILE::BLOCK_ROWS;
    int first_token = in_group / group_width * TILE::BLOCK_TOKENS;
    int segments = ceil_div(p.inputs, p.segment);
    int splits = static_cast<int>(gridDim.y);
    int split = static_cast<int>(blockIdx.y);
    int first_segment = split * segments / splits;
    int end_segment = (split + 1) * segments / splits;
    int segment_stages = p.segment / TILE::STAGE_K;
    int first_stage = first_segment * segment_stages;
    int end_stage = min(end_segment * segment_stages, ceil_div(p.inputs, TILE::STAGE_K));

    int warp = static_cast<int>(threadIdx.x) / WARP;
    int lane = static_cast<int>(threadIdx.x) % WARP;
    int warp_row = warp % TILE::WARPS_DOWN * (TILE::ROW_TILES * FRAGMENT_ROWS);
    int warp_token = warp / TILE::WARPS_DOWN * (TILE::TOKEN_TILES * FRAGMENT_TOKENS);

    // the weights of the first stages, which no earlier kernel writes, then all the rest
    grid_dependency_launch();
    WeightCopy<NUMBERS, TILE> weights(p, first_column);
    auto place_of = [&](int stage) { return shared + stage % TILE::STAGES * stage_bytes; };
    auto fetch_sources = [&](const SourceCopy<NUMBERS, TILE>& sources, int stage) {
        unsigned char* place = place_of(stage) + TILE::WEIGHT_BYTES;
        sources.copy(place, p.x, p, stage * TILE::STAGE_K);
        if (source_parts == 2) {
            sources.copy(place + TILE::SOURCE_BYTES, p.x_low, p, stage * TILE::STAGE_K);
        }
    };
    for (int stage = first_stage; stage < min(end_stage, first_stage + TILE::STAGES - 1); stage++) {
        weights.copy(place_of(stage), p, stage * TILE::STAGE_K);
    }
    grid_dependency_wait();
    SourceCopy<NUMBERS, TILE> sources(p, first_token);
    for (int stage = first_stage; stage < first_stage + TILE::STAGES - 1; stage++) {
        if (stage < end_stage) {
            fetch_sources(sources, stage);
        }
        cp_async_commit();  // the first group has all those weights; empty ones keep the count for cp_async_wait
    }

    float total[TILE::ROW_TILES][TILE::TOKEN_TILES][4] = {};
    float sums[TILE::ROW_TILES][TILE::TOKEN_TILES][4] = {};
    int segment_index = first_segment;
    for (int stage = first_stage; stage < end_stage; stage++) {
        uint32_t scales[TILE::ROW_TILES] = {};
        if constexpr (Format<NUMBERS>::BLOCK_SCALES) {
            load_block_scales<NUMBERS, TILE>(scales, p, first_column + warp_row, stage * TILE::STAGE_K);
        }
        cp_async_wait<TILE::STAGES - 2>();
        __syncthreads();  // this stage is there for all, and all have left the one that the next copies overwrite
        int ahead = stage + TILE::STAGES - 1;
        if (ahead < end_stage) {
            weights.copy(place_of(ahead), p, ahead * TILE::STAGE_K);
            fetch_sources(sources, ahead);
        }
        cp_async_commit();
        const unsigned char* place = place_of(stage);
        multiply_stage<NUMBERS, TILE>(sums, place, place + TILE::WEIGHT_BYTES, source_parts, scales, warp_row, warp_token);
        if (stage + 1 == end_stage || (stage + 1) % segment_stages == 0) {
            if (split > 0) {
                leave_sums<TILE>(segment_sums<TILE>(p, static_cast<int>(blockIdx.x), segment_index), sums);
            }
#pragma unroll
            for (int i = 0; i < TILE::ROW_TILES * TILE::TOKEN_TILES * 4; i++) {
                float& sum = sums[i / 4 / TILE::TOKEN_TILES][i / 4 % TILE::TOKEN_TILES][i % 4];
                total[i / 4 / TILE::TOKEN_TILES][i / 4 % TILE::TOKEN_TILES][i % 4] += sum;
                sum = 0.0f;
            }
            segment_index++;
        }
    }

    // of several blocks of a tile the last one goes on, with the sums of all
    if (splits > 1) {
        int prefix_end = segments / splits;  // segments of the first split
        if (split == 0) {
            leave_sums<TILE>(segment_sums<TILE>(p, static_cast<int>(blockIdx.x), prefix_end - 1), total);
        }
        uint32_t* arrived = reinterpret_cast<uint32_t*>(shared);
        __threadfence();
        __syncthreads();  // the block's sums are written, and its stages read
        if (threadIdx.x == 0) {
            *arrived = atomicAdd(p.counters + blockIdx.x, 1u);
        }
        __syncthreads();
        if (*arrived + 1 < static_cast<uint32_t>(splits)) {
            return;
        }
        __threadfence();
        if (threadIdx.x == 0) {
            p.counters[blockIdx.x] = 0;
        }
#pragma unroll
        for (int i = 0; i < TILE::ROW_TILES * TILE::TOKEN_TILES * 4; i++) {
            total[i / 4 / TILE::TOKEN_TILES][i / 4 % TILE::TOKEN_TILES][i % 4] = 0.0f;
        }
        for (int i = prefix_end - 1; i < segments; i++) {
            add_sums<TILE>(total, segment_sums<TILE>(p, static_cast<int>(blockIdx.x), i));
        }
    }

    // through shared memory, so that consecutive threads write consecutive columns
    __syncthreads();
    float* tile_sums = reinterpret_cast<float*>(shared);
#pragma unroll
    for (int i = 0; i < TILE::ROW_TILES * TILE::TOKEN_TILES; i++) {
        const float (&four)[4] = total[i / TILE::TOKEN_TILES][i % TILE::TOKEN_TILES];
        int row = warp_row + i / TILE::TOKEN_TILES * FRAGMENT_ROWS + lane / 4;
        int token = warp_token + i % TILE::TOKEN_TILES * FRAGMENT_TOKENS + lane % 4 * 2;
        tile_sums[token * TILE::SUM_ROW + row] = four[0];
        tile_sums[(token + 1) * TILE::SUM_ROW + row] = four[1];
        tile_sums[token * TILE::SUM_ROW + row + 8] = four[2];
        tile_sums[(token + 1) * TILE::SUM_ROW + row + 8] = four[3];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < TILE::BLOCK_ROWS * TILE::BLOCK_TOKENS; i += TILE::THREADS) {
        int token = first_token + i / TILE::BLOCK_ROWS;
        int column = first_column + i % TILE::BLOCK_ROWS;
        if (token < p.num_tokens && column < p.outputs) {
            emit(p, token, column, tile_sums[i / TILE::BLOCK_ROWS * TILE::SUM_ROW + i % TILE::BLOCK_ROWS]);
        }
    }
}

// ---- any size -------------------------------------------------------------------------------------------------------

// Grid: x by PLAIN_WARPS columns, y tokens (each block takes every gridDim.y-th). A warp computes one value; lanes stride over k.

constexpr int PLAIN_WARPS = 4;

template <Numbers NUMBERS>
__device__ __forceinline__ float weight_value(const Problem& p, int column, int k) {
    const unsigned char* row = p.weight_row<NUMBERS>(column);
    if constexpr (NUMBERS == Numbers::BF16) {
        return to_float(reinterpret_cast<const bf16*>(row)[k]);
    } else if constexpr (NUMBERS == Numbers::NVFP4) {
        uint32_t code = row[k / 2] >> (k % 2 * 4) & 15u;
        return e2m1_to_float(code) * to_float(p.block_scale_row(column)[k / 16]);
    } else {
        return to_float(reinterpret_cast<const e4m3*>(row)[k]);
    }
}

template <Numbers NUMBERS>
__device__ __forceinline__ void plain(const Problem& p) {
    grid_dependency_launch();
    grid_dependency_wait();
    int column = static_cast<int>(blockIdx.x) * PLAIN_WARPS + static_cast<int>(threadIdx.x) / WARP;
    int lane = static_cast<int>(threadIdx.x) % WARP;
    for (int token = blockIdx.y; token < p.num_tokens; token += gridDim.y) {
        int row = p.source_row(token);
        if (column >= p.outputs || row < 0) {
            continue;
        }
        size_t at = static_cast<size_t>(row) * p.inputs;
        float sum = 0.0f;
        for (int k = lane; k < p.inputs; k += WARP) {
            float weight = weight_value<NUMBERS>(p, column, k);
            if constexpr (Format<NUMBERS>::NARROW_SOURCE) {
                sum += weight * to_float(static_cast<const e4m3*>(p.x)[at + k]);
            } else {
                sum += weight * to_float(static_cast<const bf16*>(p.x)[at + k]);
                if (p.x_low != nullptr) {
                    sum += weight * to_float(p.x_low[at + k]);
                }
            }
        }
        sum = warp_sum(sum);
        if (lane == 0) {
            emit(p, token, column, sum);
        }
    }
}

// ---- kernels --------------------------------------------------------------------------------------------------------

#define LINEAR_KERNEL(NAME, THREADS, BLOCKS, BODY)                                                                        \
    extern "C" __global__ __launch_bounds__(THREADS, BLOCKS) void NAME(                                                   \
        void* out0, void* out1, void* out2, const void* x, const bf16* x_low, const int32_t* rows, const void* weights0,  \
        const void* weights1, const void* weights2, const e4m3* block_scales0, const e4m3* block_scales1,                 \
        const e4m3* block_scales2, float* scratch, uint32_t* counters, int64_t stride0, int64_t stride1, int64_t stride2, \
        int num_tokens, int end0, int end1, int outputs, int inputs, int segment, int mode0, int mode1, int mode2,        \
        float scale0, float scale1, float scale2, float inverse_out_scale, const float* residual,                         \
        const float* norm_weight, int norm_threads, float inverse_width, float epsilon, float inverse_source_scale) {     \
        BODY({out0, out1, out2, x, x_low, rows, weights0, weights1, weights2, block_scales0, block_scales1,               \
              block_scales2, scratch, counters, stride0, stride1, stride2, num_tokens, end0, end1, outputs, inputs,       \
              segment, mode0, mode1, mode2, scale0, scale1, scale2, inverse_out_scale, residual, norm_weight,             \
              norm_threads, inverse_width, epsilon, inverse_source_scale});                                               \
    }                                                                                                                     \
    KERNEL(NAME);

#define LINEAR_SKINNY(NAME, NUMBERS)                                                              \
    LINEAR_KERNEL(linear_skinny_8_##NAME, SKINNY_WARPS * WARP, 2, (skinny<Numbers::NUMBERS, 1>))  \
    LINEAR_KERNEL(linear_skinny_16_##NAME, SKINNY_WARPS * WARP, 2, (skinny<Numbers::NUMBERS, 2>)) \
    LINEAR_KERNEL(linear_plain_##NAME, PLAIN_WARPS * WARP, 1, (plain<Numbers::NUMBERS>))

LINEAR_SKINNY(bf16, BF16)
LINEAR_SKINNY(e4m3, E4M3)
LINEAR_SKINNY(e4m3_bf16, E4M3_BF16)
LINEAR_SKINNY(nvfp4, NVFP4)

// Columns x tokens of a block, of a warp, and stages, as LinearPlan.java has them too. With few tokens the launch is bound by
// memory: the stages hold 12 to 40 KiB of weights under way in each block. With many, a warp has as many columns as registers
// allow, and few where unpacking weights costs more than reading activations again.
#define LINEAR_TILED(NAME, NUMBERS, WARP_ROWS, STAGES_32, STAGES_64, STAGES_128)                                 \
    using NAME##_32 = Tile<Numbers::NUMBERS, 64, 32, 16, 32, STAGES_32>;                                         \
    using NAME##_64 = Tile<Numbers::NUMBERS, 128, 64, 32, 32, STAGES_64>;                                        \
    using NAME##_128 = Tile<Numbers::NUMBERS, 128, 128, WARP_ROWS, 2048 / WARP_ROWS, STAGES_128>;                \
    LINEAR_KERNEL(linear_tiled_32_##NAME, NAME##_32::THREADS, 2, (tiled<Numbers::NUMBERS, NAME##_32>))           \
    LINEAR_KERNEL(linear_tiled_64_##NAME, NAME##_64::THREADS, 1, (tiled<Numbers::NUMBERS, NAME##_64>))           \
    LINEAR_KERNEL(linear_tiled_128_##NAME, NAME##_128::THREADS, 1, (tiled<Numbers::NUMBERS, NAME##_128>))

LINEAR_TILED(bf16, BF16, 64, 6, 4, 4)
LINEAR_TILED(e4m3, E4M3, 64, 8, 6, 6)
LINEAR_TILED(e4m3_bf16, E4M3_BF16, 32, 8, 6, 4)
LINEAR_TILED(nvfp4, NVFP4, 32, 4, 4, 3)
