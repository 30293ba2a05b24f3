// emulator_warpgroup.cu: products of a warpgroup, for comparison with plain references.

#include "warpgroup.cuh"

// d[64, N] = a[64, 64] b[N, 64]^T in bf16 (one swizzled row of 128 bytes is 64 of K) or d[64, N] = a[64, 128] b[N, 128]^T in
// e4m3; a and b are rows of 128 bytes. from_registers: a comes through registers. fault 1: nobody waits; 2: a tile is
// overwritten before the wait; 3: the tile of b is not aligned.
#if defined(HOPPER)
template <int N, bool BF16>
__device__ __forceinline__ void product_body(float* d, const unsigned char* a, const unsigned char* b, int from_registers, int fault) {
    DYN_SMEM(unsigned char, tiles);
    unsigned char* tile_a = tiles;
    unsigned char* tile_b = tiles + 64 * 128 + (fault == 3 ? 128 : 0);
    int thread = static_cast<int>(threadIdx.x);
    for (int i = thread; i < 64 * 128; i += 128) {
        tile_a[swizzled(i)] = a[i];
    }
    for (int i = thread; i < N * 128; i += 128) {
        tile_b[swizzled(i)] = b[i];
    }
    fence_async_proxy();
    __syncthreads();
    float sums[N / 2];
    wgmma_fence();
    for (int step = 0; step < 4; step++) {
        uint64_t operand_b = wgmma_operand(tile_b + 32 * step);
        bool accumulate = step > 0;
        if (from_registers != 0) {
            // Two bf16 or four e4m3 to a register: four bytes either way.
            uint32_t fragment[4];
            int row = thread / 32 * 16 + thread % 32 / 4;
            for (int i = 0; i < 4; i++) {
                int byte = (row + i % 2 * 8) * 128 + 32 * step + i / 2 * 16 + 4 * (thread % 4);
                fragment[i] = *reinterpret_cast<const uint32_t*>(a + byte);
            }
            if constexpr (BF16) {
                wgmma_bf16<N>(sums, fragment, operand_b, accumulate);
            } else {
                wgmma_e4m3<N>(sums, fragment, operand_b, accumulate);
            }
        } else {
            uint64_t operand_a = wgmma_operand(tile_a + 32 * step);
            if constexpr (BF16) {
                wgmma_bf16<N>(sums, operand_a, operand_b, accumulate);
            } else {
                wgmma_e4m3<N>(sums, operand_a, operand_b, accumulate);
            }
        }
    }
    wgmma_commit();
    if (fault == 2) {
        tile_b[thread] = 0xff;
    }
    if (fault != 1) {
        wgmma_wait<0>();
    }
    for (int i = 0; i < N / 2; i++) {
        int row = thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8;
        int column = i / 4 * 8 + 2 * (thread % 4) + i % 2;
        d[row * N + column] = sums[i];
    }
    wgmma_wait<0>();
}
#define PRODUCT(n, is_bf16) product_body<n, is_bf16>(d, a, b, from_registers, fault)
#else
#define PRODUCT(n, is_bf16) __trap()
#endif

#define PRODUCT_KERNEL(name, n, is_bf16)                                                                              \
    extern "C" __global__ __launch_bounds__(128) void name(float* d, const unsigned char* a, const unsigned char* b,  \
                                                           int from_registers, int fault) {                           \
        PRODUCT(n, is_bf16);                                                                                          \
    }                                                                                                                 \
    KERNEL(name);

PRODUCT_KERNEL(warpgroup_bf16_8, 8, true)
PRODUCT_KERNEL(warpgroup_bf16_16, 16, true)
PRODUCT_KERNEL(warpgroup_bf16_32, 32, true)
PRODUCT_KERNEL(warpgroup_bf16_64, 64, true)
PRODUCT_KERNEL(warpgroup_bf16_128, 128, true)
PRODUCT_KERNEL(warpgroup_bf16_256, 256, true)
PRODUCT_KERNEL(warpgroup_e4m3_8, 8, false)
PRODUCT_KERNEL(warpgroup_e4m3_64, 64, false)
PRODUCT_KERNEL(warpgroup_e4m3_256, 256, false)

// Two warps hand over to two others by a named barrier; a third pair of warps takes no part.
// y[i] = x[i] + 1 for the 64 threads that receive. fault: the givers wait for more threads than come.
extern "C" __global__ __launch_bounds__(192) void hand_over(float* y, const float* x, int fault) {
#if defined(HOPPER)
    DYN_SMEM(float, row);
    int thread = static_cast<int>(threadIdx.x);
    if (thread < 64) {
        row[thread] = x[thread];
        named_barrier_arrive(1, 128);
    } else if (thread < 128) {
        named_barrier_sync(fault == 0 ? 1 : 2, 128);
        y[thread - 64] = row[127 - thread] + 1.0f;
    }
#endif
}
KERNEL(hand_over);

// rows[box_rows][128] = a box of a tensor map, turned back from its swizzle. fault 1: nobody waits; 2: a target that no tile of
// products could begin at; 3: bytes are expected that nobody brings.
extern "C" __global__ __launch_bounds__(128) void tensor_box(unsigned char* rows, const __grid_constant__ TensorMap map,
                                                             int box_rows, int byte, int row, int matrix, int fault) {
#if defined(HOPPER)
    DYN_SMEM(unsigned char, shared);
    uint64_t* barrier = reinterpret_cast<uint64_t*>(shared);
    unsigned char* tile = shared + 1024 + (fault == 2 ? 128 : 0);
    if (threadIdx.x == 0) {
        mbarrier_init(barrier, 1);
        fence_barrier_init();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        mbarrier_arrive_expect_bytes(barrier, box_rows * 128 + (fault == 3 ? 16 : 0));
        tensor_copy(tile, &map, byte, row, matrix, barrier);
    }
    __syncthreads();
    if (fault != 1) {
        mbarrier_wait(barrier, 0);
    }
    for (int i = threadIdx.x; i < box_rows * 128; i += 128) {
        rows[i] = tile[swizzled(i)];
    }
    mbarrier_wait(barrier, 0);
#endif
}
KERNEL(tensor_box);
