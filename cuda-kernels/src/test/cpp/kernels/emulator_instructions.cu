// emulator_instructions.cu: one kernel per instruction of portable.cuh, for comparison with plain references.

#include "common.cuh"

// d[16, 8] = c[16, 8] + a[16, K] b[K, 8] of 16-bit elements, K = 16, a row-major, b given as [8, K]. kind 0: bf16, 1: f16.
// Fragments are loaded element by element, as the PTX manual draws them.
extern "C" __global__ __launch_bounds__(32) void product_16bit(float* d, const uint16_t* a, const uint16_t* b, const float* c, int kind) {
    int group = static_cast<int>(threadIdx.x) / 4;
    int position = static_cast<int>(threadIdx.x) % 4;
    uint32_t fragment_a[4];
    uint32_t fragment_b[2];
    float sum[4];
    for (int i = 0; i < 4; i++) {
        int row = group + i % 2 * 8;
        int column = 2 * position + i / 2 * 8;
        fragment_a[i] = a[row * 16 + column] | static_cast<uint32_t>(a[row * 16 + column + 1]) << 16;
        sum[i] = c[(group + i / 2 * 8) * 8 + 2 * position + i % 2];
    }
    for (int i = 0; i < 2; i++) {
        int k = 2 * position + 8 * i;
        fragment_b[i] = b[group * 16 + k] | static_cast<uint32_t>(b[group * 16 + k + 1]) << 16;
    }
    if (kind == 0) {
        mma_m16n8k16_bf16(sum, fragment_a, fragment_b);
    } else {
        mma_m16n8k16_f16(sum, fragment_a, fragment_b);
    }
    for (int i = 0; i < 4; i++) {
        d[(group + i / 2 * 8) * 8 + 2 * position + i % 2] = sum[i];
    }
}
KERNEL(product_16bit);

// d[16, 8] = c[16, 8] + a[16, 32] b[32, 8] of e4m3, b given as [8, 32].
extern "C" __global__ __launch_bounds__(32) void product_e4m3(float* d, const uint8_t* a, const uint8_t* b, const float* c) {
    int group = static_cast<int>(threadIdx.x) / 4;
    int position = static_cast<int>(threadIdx.x) % 4;
    uint32_t fragment_a[4];
    uint32_t fragment_b[2];
    float sum[4];
    for (int i = 0; i < 4; i++) {
        int row = group + i % 2 * 8;
        fragment_a[i] = 0;
        for (int j = 0; j < 4; j++) {
            fragment_a[i] |= static_cast<uint32_t>(a[row * 32 + 4 * position + i / 2 * 16 + j]) << (8 * j);
        }
        sum[i] = c[(group + i / 2 * 8) * 8 + 2 * position + i % 2];
    }
    for (int i = 0; i < 2; i++) {
        fragment_b[i] = 0;
        for (int j = 0; j < 4; j++) {
            fragment_b[i] |= static_cast<uint32_t>(b[group * 32 + 4 * position + 16 * i + j]) << (8 * j);
        }
    }
    mma_m16n8k32_e4m3(sum, fragment_a, fragment_b);
    for (int i = 0; i < 4; i++) {
        d[(group + i / 2 * 8) * 8 + 2 * position + i % 2] = sum[i];
    }
}
KERNEL(product_e4m3);

// The product of a bf16 tile loaded with ldmatrix, as kernels do it: a [16, 16] row-major by x4; b as [8, 16] (k fastest)
// by x2, or as [16, 8] (n fastest) by x2_trans.
extern "C" __global__ __launch_bounds__(32) void product_by_ldmatrix(float* d, const uint16_t* a, const uint16_t* b, int transposed) {
    DYN_SMEM(uint16_t, tile);
    uint16_t* tile_a = tile;
    uint16_t* tile_b = tile + 256;
    int lane = static_cast<int>(threadIdx.x);
    for (int i = lane; i < 256; i += 32) {
        tile_a[i] = a[i];
    }
    for (int i = lane; i < 128; i += 32) {
        tile_b[i] = b[i];
    }
    __syncwarp();
    uint32_t fragment_a[4];
    uint32_t fragment_b[2];
    ldmatrix_x4(fragment_a, tile_a + lane % 16 * 16 + lane / 16 * 8);
    if (transposed != 0) {
        ldmatrix_x2_trans(fragment_b, tile_b + lane % 16 * 8);
    } else {
        ldmatrix_x2(fragment_b, tile_b + lane % 8 * 16 + lane / 8 % 2 * 8);
    }
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    mma_m16n8k16_bf16(sum, fragment_a, fragment_b);
    for (int i = 0; i < 4; i++) {
        d[(lane / 4 + i / 2 * 8) * 8 + 2 * (lane % 4) + i % 2] = sum[i];
    }
}
KERNEL(product_by_ldmatrix);

// What each lane receives of four 8x8 matrices: y[lane, 4] words.
extern "C" __global__ __launch_bounds__(32) void load_matrices(uint32_t* y, const uint16_t* x, int transposed) {
    DYN_SMEM(uint16_t, tile);
    int lane = static_cast<int>(threadIdx.x);
    for (int i = lane; i < 256; i += 32) {
        tile[i] = x[i];
    }
    __syncwarp();
    uint32_t words[4];
    if (transposed != 0) {
        ldmatrix_x4_trans(words, tile + lane * 8);
    } else {
        ldmatrix_x4(words, tile + lane * 8);
    }
    for (int i = 0; i < 4; i++) {
        y[lane * 4 + i] = words[i];
    }
}
KERNEL(load_matrices);

// y[i] = x[i] in another format and back. kind 0: bf16, 1: f16, 2: e4m3, 3: bf16 by pairs, 4: f16 by pairs, 5: e4m3 by pairs.
extern "C" __global__ __launch_bounds__(128) void round_f32(float* y, const float* x, int count, int kind) {
    int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= count) {
        return;
    }
    float other = x[count - 1 - i];
    float2 pair = make_float2(0.0f, 0.0f);
    switch (kind) {
        case 0: pair.x = to_float(to_bf16(x[i])); break;
        case 1: pair.x = to_float(to_f16(x[i])); break;
        case 2: pair.x = to_float(to_e4m3(x[i])); break;
        case 3: pair = unpack_bf16x2(pack_bf16x2(x[i], other)); break;
        case 4: pair = unpack_f16x2(pack_f16x2(x[i], other)); break;
        default: pair = unpack_e4m3x2(pack_e4m3x2(x[i], other)); break;
    }
    y[i] = pair.x;
    if (kind >= 3) {
        y[count + i] = pair.y;
    }
}
KERNEL(round_f32);

// y[i] = the value of code i. kind 0: bf16, 1: f16, 2: e4m3, 3: e4m3 through a pair of f16, 4: through a pair of bf16.
extern "C" __global__ __launch_bounds__(128) void decode(float* y, int count, int kind) {
    int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= count) {
        return;
    }
    uint16_t pair = static_cast<uint16_t>((255 - (i & 255)) << 8 | (i & 255));
    switch (kind) {
        case 0: y[i] = to_float(bf16{static_cast<uint16_t>(i)}); break;
        case 1: y[i] = to_float(f16{static_cast<uint16_t>(i)}); break;
        case 2: y[i] = to_float(e4m3{static_cast<uint8_t>(i)}); break;
        case 3: y[i] = unpack_f16x2(e4m3x2_to_f16x2(pair)).x; break;
        case 4: y[i] = unpack_bf16x2(e4m3x2_to_bf16x2(pair)).x; break;
        case 5: y[i] = unpack_f16x2(e4m3x2_to_f16x2(pair)).y; break;
        default: y[i] = unpack_bf16x2(e4m3x2_to_bf16x2(pair)).y; break;
    }
}
KERNEL(decode);

// Shuffles within segments, votes and integer functions: y[lane, 12].
extern "C" __global__ __launch_bounds__(32) void lanes(int* y, int width) {
    int lane = static_cast<int>(threadIdx.x);
    int* mine = y + lane * 12;
    mine[0] = __shfl_sync(ALL_LANES, lane, 5, width);
    mine[1] = __shfl_up_sync(ALL_LANES, lane, 3, width);
    mine[2] = __shfl_down_sync(ALL_LANES, lane, 3, width);
    mine[3] = __shfl_xor_sync(ALL_LANES, lane, 5, width);
    mine[4] = static_cast<int>(__ballot_sync(ALL_LANES, lane % 3 == 0));
    mine[5] = __any_sync(ALL_LANES, lane == 31);
    mine[6] = __all_sync(ALL_LANES, lane < 32);
    mine[7] = __all_sync(ALL_LANES, lane < 31);
    mine[8] = __popc(0xf0f00001u >> lane);
    mine[9] = __ffs(1 << lane);
    mine[10] = __clz(1 << lane);
    mine[11] = static_cast<int>(__match_any_sync(ALL_LANES, lane % 7));
}
KERNEL(lanes);

// Many blocks add to the same words: y[0] int, y[1] unsigned, y[2] float, y[3] maximum, y[4] last block's number of blocks.
extern "C" __global__ __launch_bounds__(64) void atomics(int* y, unsigned long long* wide, unsigned blocks) {
    __shared__ bool last;
    atomicAdd(&y[0], 1);
    atomicAdd(reinterpret_cast<unsigned*>(&y[1]), 2u);
    atomicAdd(reinterpret_cast<float*>(&y[2]), 0.5f);
    atomicMax(&y[3], static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x));
    atomicAdd(wide, 1ull << 32);
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        last = atomicAdd(reinterpret_cast<unsigned*>(&y[5]), 1u) == blocks - 1;
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        y[4] = y[0];
    }
}
KERNEL(atomics);
