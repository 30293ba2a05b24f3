// emulator_warpgroup.cu: products of a warpgroup, for comparison with plain references.

#include "warpgroup.cuh"

// d[64, N] = a[64, 64] b[N, 64]^T in bf16 or f16 (one swizzled row of 128 bytes is 64 of K) or d[64, N] = a[64, 128] b[N, 128]^T in
// e4m3; a and b are rows of 128 bytes. from_registers: a comes through registers. fault 1: nobody waits before d is read; 2: a
// tile is overwritten before the wait; 3: the tile of b is not aligned; 4: no fence in front of the products; 5: none behind a
// wait; 6: no commit; 7: no fence_async_proxy() behind cp.async, by which b's tile comes; 8: each of those copies is
// made twice; 9: nobody waits for them.
#if defined(HOPPER)
enum class Format { BF16, F16, E4M3 };

template <int N, Format FORMAT, typename A>
__device__ __forceinline__ void product_step(float (&sums)[N / 2], const A& a, uint64_t b, bool accumulate) {
    if constexpr (FORMAT == Format::BF16) {
        wgmma_bf16<N>(sums, a, b, accumulate);
    } else if constexpr (FORMAT == Format::E4M3) {
        wgmma_e4m3<N>(sums, a, b, accumulate);
    }
}

// The registers of a at step `step`: two numbers of 16 bits or four of 8 to a register, four bytes either way.
__device__ __forceinline__ void load_fragment(uint32_t (&fragment)[4], const unsigned char* a, int step) {
    int thread = static_cast<int>(threadIdx.x);
    int row = thread / 32 * 16 + thread % 32 / 4;
    for (int i = 0; i < 4; i++) {
        int byte = (row + i % 2 * 8) * 128 + 32 * step + i / 2 * 16 + 4 * (thread % 4);
        fragment[i] = *reinterpret_cast<const uint32_t*>(a + byte);
    }
}

template <int N>
__device__ __forceinline__ void store_sums(float* d, const float (&sums)[N / 2]) {
    int thread = static_cast<int>(threadIdx.x);
    for (int i = 0; i < N / 2; i++) {
        int row = thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8;
        int column = i / 4 * 8 + 2 * (thread % 4) + i % 2;
        d[row * N + column] = sums[i];
    }
}

__device__ __forceinline__ void load_tile(unsigned char* tile, const unsigned char* rows, int bytes, int fault) {
    for (int i = static_cast<int>(threadIdx.x) * 16; i < bytes; i += 128 * 16) {
        cp_async_16(tile + swizzled(i), rows + i);
        if (fault == 8) {
            cp_async_16(tile + swizzled(i), rows + i);
        }
    }
    cp_async_commit();
    if (fault != 9) {
        cp_async_wait<0>();
    }
    if (fault != 7) {
        fence_async_proxy();
    }
}

template <int N, Format FORMAT>
__device__ __forceinline__ void product_body(float* d, const unsigned char* a, const unsigned char* b, int from_registers, int fault) {
    DYN_SMEM(unsigned char, tiles);
    unsigned char* tile_a = tiles;
    unsigned char* tile_b = tiles + 64 * 128 + (fault == 3 ? 128 : 0);
    int thread = static_cast<int>(threadIdx.x);
    for (int i = thread; i < 64 * 128; i += 128) {
        tile_a[swizzled(i)] = a[i];
    }
    load_tile(tile_b, b, N * 128, fault);
    __syncthreads();
    float sums[N / 2];
    if (fault != 4) {
        wgmma_fence();
    }
    for (int step = 0; step < 4; step++) {
        uint64_t operand_b = wgmma_operand(tile_b + 32 * step);
        uint64_t operand_a = wgmma_operand(tile_a + 32 * step);
        bool accumulate = step > 0;
        if constexpr (FORMAT == Format::F16) {
            wgmma_f16<N>(sums, operand_a, operand_b, accumulate);
        } else if (from_registers != 0) {
            uint32_t fragment[4];
            load_fragment(fragment, a, step);
            product_step<N, FORMAT>(sums, fragment, operand_b, accumulate);
        } else {
            product_step<N, FORMAT>(sums, operand_a, operand_b, accumulate);
        }
        if (fault == 5) {
            wgmma_commit();
            wgmma_wait<0>();
        }
    }
    if (fault != 6) {
        wgmma_commit();
    }
    if (fault == 2) {
        tile_b[thread] = 0xff;
    }
    if (fault != 1) {
        wgmma_wait<0>();
    }
    store_sums<N>(d, sums);
    wgmma_wait<0>();
}

// d[64, N] = a[64, 64] b[64, N], b as rows of k: N / 64 tiles of [64 of k][64 columns], `apart` bytes from one to the next.
template <int N, Format FORMAT>
__device__ __forceinline__ void by_rows_body(float* d, const unsigned char* a, const unsigned char* b, int apart, int fault) {
    DYN_SMEM(unsigned char, tiles);
    for (int part = 0; part < N / 64; part++) {
        for (int i = static_cast<int>(threadIdx.x) * 16; i < 64 * 128; i += 128 * 16) {
            const unsigned char* source = b + i / 128 * (2 * N) + part * 128 + i % 128;
            *reinterpret_cast<uint4*>(tiles + part * apart + swizzled(i)) = *reinterpret_cast<const uint4*>(source);
        }
    }
    fence_async_proxy();
    __syncthreads();
    float sums[N / 2];
    wgmma_fence();
    for (int step = 0; step < 4; step++) {
        uint32_t fragment[4];
        load_fragment(fragment, a, step);
        uint64_t operand = wgmma_operand_by_rows(tiles + 2048 * step + (fault == 3 ? 128 : 0), apart);
        if constexpr (FORMAT == Format::BF16) {
            wgmma_bf16_by_rows<N>(sums, fragment, operand, step > 0);
        } else {
            wgmma_f16_by_rows<N>(sums, fragment, operand, step > 0);
        }
    }
    wgmma_commit();
    wgmma_wait<0>();
    hold_registers(sums);
    store_sums<N>(d, sums);
}
#define PRODUCT(n, format) product_body<n, Format::format>(d, a, b, from_registers, fault)
#define BY_ROWS(n, format) by_rows_body<n, Format::format>(d, a, b, apart, fault)
#else
#define PRODUCT(n, format) __trap()
#define BY_ROWS(n, format) __trap()
#endif

#define PRODUCT_KERNEL(name, n, format)                                                                               \
    extern "C" __global__ __launch_bounds__(128) void name(float* d, const unsigned char* a, const unsigned char* b,  \
                                                           int from_registers, int fault) {                           \
        PRODUCT(n, format);                                                                                           \
    }                                                                                                                 \
    KERNEL(name);

#define BY_ROWS_KERNEL(name, n, format)                                                                               \
    extern "C" __global__ __launch_bounds__(128) void name(float* d, const unsigned char* a, const unsigned char* b,  \
                                                           int apart, int fault) {                                    \
        BY_ROWS(n, format);                                                                                           \
    }                                                                                                                 \
    KERNEL(name);

PRODUCT_KERNEL(warpgroup_bf16_8, 8, BF16)
PRODUCT_KERNEL(warpgroup_bf16_16, 16, BF16)
PRODUCT_KERNEL(warpgroup_bf16_32, 32, BF16)
PRODUCT_KERNEL(warpgroup_bf16_64, 64, BF16)
PRODUCT_KERNEL(warpgroup_bf16_128, 128, BF16)
PRODUCT_KERNEL(warpgroup_bf16_256, 256, BF16)
PRODUCT_KERNEL(warpgroup_f16_64, 64, F16)
PRODUCT_KERNEL(warpgroup_f16_128, 128, F16)
PRODUCT_KERNEL(warpgroup_e4m3_8, 8, E4M3)
PRODUCT_KERNEL(warpgroup_e4m3_64, 64, E4M3)
PRODUCT_KERNEL(warpgroup_e4m3_256, 256, E4M3)
BY_ROWS_KERNEL(warpgroup_by_rows_bf16_64, 64, BF16)
BY_ROWS_KERNEL(warpgroup_by_rows_bf16_128, 128, BF16)
BY_ROWS_KERNEL(warpgroup_by_rows_f16_64, 64, F16)
BY_ROWS_KERNEL(warpgroup_by_rows_f16_128, 128, F16)

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
