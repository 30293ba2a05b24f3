// sm90_linear.cu: products of many activation rows with weight matrices, on the warpgroup instructions of sm_90a.
//
//   y[t, n] = scale * sum over k of x[t, k] * w[n, k]
//
//   out0..2       outputs of each part, its columns from 0 on: what `finish` says; row stride in elements
//   x             bf16 or e4m3 [num_tokens, inputs]  in, through a map with boxes of 64 rows
//   x_low         bf16, as x                         in; parts_of_x = 2: x + x_low stands for the activation. Else the map of x
//   weights0..2   bf16 or e4m3 [columns, inputs]     in, through maps with boxes of COLUMNS rows; the same numbers as x
//
// A part is a matrix, or rows of one. Inputs need not fill steps of 128 bytes, nor columns or tokens fill tiles: the copies
// bring zeros for what lies outside a map, and outputs that do not exist are not stored. Two parts of x are multiplied step by
// step in turn, x first.
//
// Grid: any number of blocks, one a multiprocessor; each takes every gridDim.x-th tile of 128 tokens x COLUMNS columns. Tiles
// go through the tokens within groups of 8 columns of tiles, so the 132 under way at a time share 17 rows of tiles and 8
// columns: 2,176 rows of x and 2,048 of w, 11 MB in e4m3 for 2,688 inputs, which the second-level cache holds.
//
// Tiles, ring, order of sums, shared memory, registers and floor: sm90_products.cuh. For an 8,192-token prompt in e4m3 the
// in-projection (10304 x 2688) has 2,624 tiles of 128 x 256, 20 rounds; 454 GFLOP = 0.30 ms at 1,500 TFLOP/s; the
// out-projection (2688 x 4096) 704 tiles, 6 rounds of which the last is a third full: 180 GFLOP = 0.12 ms, at most 89 % of it.
//
// Needs sm_90a: other code of these kernels traps, and no launcher asks for it.

#include "sm90_products.cuh"

#if defined(HOPPER)

struct LinearTiles {
    void* out0;
    void* out1;
    void* out2;
    const TensorMap* x;
    const TensorMap* x_low;
    const TensorMap* weights0;
    const TensorMap* weights1;
    const TensorMap* weights2;
    int64_t stride0;
    int64_t stride1;
    int64_t stride2;
    int num_tokens;
    int columns0;
    int columns1;
    int columns2;
    int input_bytes;
    int parts_of_x;
    int finish0;
    int finish1;
    int finish2;
    float scale0;
    float scale1;
    float scale2;
    float inverse_out_scale;
    int wide;  // bit i: the outputs of part i take four values at a time

    __device__ __forceinline__ int columns(int part) const { return part == 0 ? columns0 : part == 1 ? columns1 : columns2; }

    __device__ __forceinline__ const TensorMap* weights(int part) const {
        return part == 0 ? weights0 : part == 1 ? weights1 : weights2;
    }

    __device__ __forceinline__ Target target(int part, int first_token) const {
        Target result;
        result.stride = part == 0 ? stride0 : part == 1 ? stride1 : stride2;
        result.columns = columns(part);
        result.stored = result.columns;
        result.wide = (wide >> part & 1) != 0;
        result.finish = static_cast<Finish>(part == 0 ? finish0 : part == 1 ? finish1 : finish2);
        result.scale = part == 0 ? scale0 : part == 1 ? scale1 : scale2;
        result.inverse_out_scale = inverse_out_scale;
        int64_t skipped = first_token * result.stride;
        unsigned char* out = static_cast<unsigned char*>(part == 0 ? out0 : part == 1 ? out1 : out2);
        bool four = result.finish == Finish::STORE_FLOAT || result.finish == Finish::ADD_FLOAT;
        result.out = out + skipped * (four ? 4 : result.finish == Finish::SQUARED_RELU_E4M3 ? 1 : 2);
        return result;
    }
};

// The tile with this number.
template <int COLUMNS>
struct LinearTile {
    int part;
    int first_column;
    int first_token;
    int tokens;

    static __device__ __forceinline__ int column_tiles(const LinearTiles& p) {
        return ceil_div(p.columns0, COLUMNS) + ceil_div(p.columns1, COLUMNS) + ceil_div(p.columns2, COLUMNS);
    }

    static __device__ __forceinline__ int count(const LinearTiles& p) {
        return column_tiles(p) * ceil_div(p.num_tokens, TILE_TOKENS);
    }

    __device__ __forceinline__ LinearTile(const LinearTiles& p, int number) {
        constexpr int GROUP = 8;
        int token_tiles = ceil_div(p.num_tokens, TILE_TOKENS);
        int group = number / (GROUP * token_tiles);
        int in_group = number % (GROUP * token_tiles);
        int width = min(GROUP, column_tiles(p) - group * GROUP);
        int column_tile = group * GROUP + in_group % width;
        first_token = in_group / width * TILE_TOKENS;
        tokens = min(TILE_TOKENS, p.num_tokens - first_token);
        for (part = 0; part < 2 && column_tile >= ceil_div(p.columns(part), COLUMNS); part++) {
            column_tile -= ceil_div(p.columns(part), COLUMNS);
        }
        first_column = column_tile * COLUMNS;
    }
};

template <typename FORMAT, int COLUMNS>
__device__ __forceinline__ void linear(const LinearTiles& p) {
    DYN_SMEM(unsigned char, shared);
    Ring<COLUMNS> ring{shared};
    ring.prepare();
    int tiles = LinearTile<COLUMNS>::count(p);
    int steps = ceil_div(p.input_bytes, STEP_BYTES) * p.parts_of_x;
    RingPlace place;
    if (threadIdx.x < WARPGROUP) {
        warpgroup_release_registers<COPYING_REGISTERS>();
        if (threadIdx.x == 0) {
            for (int number = blockIdx.x; number < tiles; number += gridDim.x) {
                LinearTile<COLUMNS> tile(p, number);
                TileSource source{tile.first_token, tile.tokens, tile.first_column, 0};
                for (int step = 0; step < steps; step++) {
                    int byte = step / p.parts_of_x * STEP_BYTES;
                    copy_step(ring, place, source, step % p.parts_of_x == 0 ? p.x : p.x_low, byte, p.weights(tile.part), byte);
                }
            }
        }
    } else {
        warpgroup_take_registers<MULTIPLYING_REGISTERS>();
        for (int number = blockIdx.x; number < tiles; number += gridDim.x) {
            LinearTile<COLUMNS> tile(p, number);
            compute_tile<FORMAT>(ring, place, steps, tile.tokens, tile.first_column, p.target(tile.part, tile.first_token));
        }
    }
}

#define LINEAR_BODY(FORMAT, COLUMNS)                                                                                         \
    linear<FORMAT, COLUMNS>({out0, out1, out2, &x, &x_low, &weights0, &weights1, &weights2, stride0, stride1, stride2,       \
                             num_tokens, columns0, columns1, columns2, input_bytes, parts_of_x, finish0, finish1, finish2,   \
                             scale0, scale1, scale2, inverse_out_scale, wide})
#else
#define LINEAR_BODY(FORMAT, COLUMNS) __trap()
#endif

#define LINEAR_KERNEL(NAME, FORMAT, COLUMNS)                                                                                 \
    extern "C" __global__ __launch_bounds__(PRODUCT_THREADS, 1) void NAME(                                                   \
        void* out0, void* out1, void* out2, const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap x_low,    \
        const __grid_constant__ TensorMap weights0, const __grid_constant__ TensorMap weights1,                              \
        const __grid_constant__ TensorMap weights2, int64_t stride0, int64_t stride1, int64_t stride2, int num_tokens,       \
        int columns0, int columns1, int columns2, int input_bytes, int parts_of_x, int finish0, int finish1, int finish2,    \
        float scale0, float scale1, float scale2, float inverse_out_scale, int wide) {                                       \
        LINEAR_BODY(FORMAT, COLUMNS);                                                                                        \
    }                                                                                                                        \
    KERNEL(NAME);

LINEAR_KERNEL(sm90_linear_64_bf16, ChainedBf16, 64)
LINEAR_KERNEL(sm90_linear_128_bf16, ChainedBf16, 128)
LINEAR_KERNEL(sm90_linear_256_bf16, ChainedBf16, 256)
LINEAR_KERNEL(sm90_linear_64_e4m3, PromotedE4m3, 64)
LINEAR_KERNEL(sm90_linear_128_e4m3, PromotedE4m3, 128)
LINEAR_KERNEL(sm90_linear_256_e4m3, PromotedE4m3, 256)
LINEAR_KERNEL(sm90_linear_chained_256_e4m3, ChainedE4m3, 256)
