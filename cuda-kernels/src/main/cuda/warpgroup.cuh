// warpgroup.cuh: matrix products by four warps (wgmma, sm_90a), and what warp-specialised kernels need beside them.
//
// Beside portable.cuh the only file with inline PTX. Under nvcc everything here exists where HOPPER is defined, that is in
// the pass for sm_90a; a kernel guards its body by it and has a portable twin. Under g++ HOPPER is always defined.
//
//   d[64, N] (+)= a[64, K] b[N, K]^T     bf16, f16: K = 16; e4m3: K = 32; that is 32 bytes of each row; N = 8, 16, 32, 64, 128, 256
//   d[64, N] (+)= a[64, 16] b[16, N]     wgmma_*_by_rows, bf16 and f16: b as it lies with N fastest, a in registers; N = 64, 128
//
// `b`, and `a` where it is not in registers, lie in dynamic shared memory, K fastest, in rows of 128 bytes with 128-byte
// swizzle: tiles of 8 rows are 1024 bytes, aligned to 1024 and one behind the other; the 16-byte piece p of row r is at
// piece p ^ (r % 8), see swizzled(). A row holds four steps of K: step s begins 32 * s bytes into the tile.
// Of a `b` with N fastest such a row is 64 columns of one k: step s of K, 16 rows, begins 2048 * s bytes into the tile, and what
// belongs to the next 64 columns lies in another tile, `next_columns` bytes further on (wgmma_operand_by_rows).
//
// Fragments: of d, thread t of the 128 holds rows 16 * (t / 32) + t % 32 / 4 (even pairs) and 8 further down (odd pairs):
//   d[4 * j + 0, 1] columns 8 * j + 2 * (t % 4) + {0, 1};  d[4 * j + 2, 3] the same columns, row + 8.
// `a` in registers: as the a of mma_m16n8k16_bf16 or mma_m16n8k32_e4m3, each warp its 16 rows.
//
// Order: wgmma_fence() after the last ordinary access to d or a's registers, products, wgmma_commit(), and wgmma_wait<0>()
// before anybody reads d, writes a's registers, or overwrites the tiles. fence_async_proxy() and a barrier stand between
// ordinary writes to the tiles and the products. The compiler does not see what a fence or a wait is about: hold_registers() in front
// of a fence and behind a wait keeps it from moving what makes or takes d and a's registers across.
//
// tensor_copy: a box of a tensor of bytes, [matrices][rows][bytes of a row], lands as such a tile: rows of 128 bytes, swizzled,
// zeros for what lies outside the tensor. The map comes from the host (Arguments.tensor) as a kernel parameter
// `const __grid_constant__ TensorMap`; one thread issues the copy, which completes the bytes of the whole box.
//
// Source: PTX ISA 8.4, sections "Asynchronous Warpgroup Level Matrix Instructions" and "cp.async.bulk.tensor".

#pragma once

#include "portable.cuh"

// A CUtensorMap. Opaque; never copied by a kernel, since only the address of the parameter itself may be used.
struct alignas(64) TensorMap {
    unsigned char bytes[128];
};

#if !defined(__CUDACC__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define HOPPER 1
#endif

#if defined(HOPPER)

// Byte offset of a byte of a tile with 128-byte swizzle, from its offset without.
__device__ __forceinline__ uint32_t swizzled(uint32_t offset) { return offset ^ (offset >> 3 & 0x70u); }

// Describes an operand whose first row and K begin at `tile`: swizzle of 128 bytes, 1024 bytes from one group of 8 rows to
// the next.
__device__ __forceinline__ uint64_t wgmma_operand(const void* tile) {
    constexpr uint64_t SWIZZLE_128 = 1ull << 62;
    constexpr uint64_t GROUP_STRIDE = static_cast<uint64_t>(1024 >> 4) << 32;
    constexpr uint64_t UNUSED_WITH_SWIZZLE = 1ull << 16;
    return SWIZZLE_128 | GROUP_STRIDE | UNUSED_WITH_SWIZZLE | (shared_address(tile) & 0x3ffffu) >> 4;
}

// Describes an operand b whose rows are k and whose columns are N: 64 columns in a tile, the next 64 in a tile `next_columns`
// bytes behind it, a multiple of 1024. Source: PTX ISA 8.4, "Strides" of wgmma: with 128-byte swizzle the leading dimension
// offset leads to the next 64 columns, the stride dimension offset to the next 8 rows of k.
__device__ __forceinline__ uint64_t wgmma_operand_by_rows(const void* tile, uint32_t next_columns) {
    constexpr uint64_t SWIZZLE_128 = 1ull << 62;
    constexpr uint64_t GROUP_STRIDE = static_cast<uint64_t>(1024 >> 4) << 32;
    return SWIZZLE_128 | GROUP_STRIDE | static_cast<uint64_t>(next_columns >> 4) << 16 | (shared_address(tile) & 0x3ffffu) >> 4;
}

#if defined(__CUDACC__)

// `values` are computed ahead of this place, and what is computed from them behind it: as around a fence or a wait.
template <int COUNT>
__device__ __forceinline__ void hold_registers(float (&values)[COUNT]) {
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        asm volatile("" : "+f"(values[i])::"memory");
    }
}

template <int ROWS, int COUNT>
__device__ __forceinline__ void hold_registers(uint32_t (&values)[ROWS][COUNT]) {
#pragma unroll
    for (int i = 0; i < ROWS * COUNT; i++) {
        asm volatile("" : "+r"(values[i / COUNT][i % COUNT])::"memory");
    }
}

// What follows begins when `value`, which is never below zero, has been computed. ptxas moves a wait in front of arithmetic that
// is written ahead of it, so that nothing is left to do beside the products; it does not move one across a possible trap.
__device__ __forceinline__ void stay_behind(float value) {
    asm volatile("{ .reg .pred never; setp.lt.f32 never, %0, 0f00000000; @never trap; }" :: "f"(value) : "memory");
}

__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Waits until at most `NEWEST` committed groups are under way.
template <int NEWEST>
__device__ __forceinline__ void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" :: "n"(NEWEST) : "memory");
}

#define WGMMA_REGISTERS_8 "%0, %1, %2, %3"
#define WGMMA_REGISTERS_16 "%0, %1, %2, %3, %4, %5, %6, %7"
#define WGMMA_REGISTERS_32 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define WGMMA_REGISTERS_64 \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define WGMMA_REGISTERS_128 \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define WGMMA_REGISTERS_256 \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
    "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
    "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
    "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63, " \
    "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
    "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, " \
    "%96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, " \
    "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"

#define WGMMA_OUT_4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define WGMMA_OUT_8 WGMMA_OUT_4(0)
#define WGMMA_OUT_AT_8(i) WGMMA_OUT_4(i), WGMMA_OUT_4(i + 4)
#define WGMMA_OUT_AT_16(i) WGMMA_OUT_AT_8(i), WGMMA_OUT_AT_8(i + 8)
#define WGMMA_OUT_AT_32(i) WGMMA_OUT_AT_16(i), WGMMA_OUT_AT_16(i + 16)
#define WGMMA_OUT_16 WGMMA_OUT_AT_8(0)
#define WGMMA_OUT_32 WGMMA_OUT_AT_16(0)
#define WGMMA_OUT_64 WGMMA_OUT_AT_32(0)
#define WGMMA_OUT_128 WGMMA_OUT_AT_32(0), WGMMA_OUT_AT_32(32)
#define WGMMA_OUT_256 WGMMA_OUT_AT_32(0), WGMMA_OUT_AT_32(32), WGMMA_OUT_AT_32(64), WGMMA_OUT_AT_32(96)

// Operands behind the registers of d: a (one descriptor or four registers), b, and whether d is added to.
#define WGMMA_SHARED(n, first, second, third, types, flags)                                                           \
    asm volatile("{ .reg .pred accumulate; setp.ne.b32 accumulate, %" third ", 0;\n"                                  \
                 "wgmma.mma_async.sync.aligned.m64n" #n types " {" WGMMA_REGISTERS_##n "}, %" first ", %" second       \
                 ", accumulate, 1, 1" flags "; }"                                                                     \
                 : WGMMA_OUT_##n : "l"(a), "l"(b), "r"(accumulate ? 1 : 0))
#define WGMMA_REGISTER(n, a0, a1, a2, a3, second, third, types, flags)                                                \
    asm volatile("{ .reg .pred accumulate; setp.ne.b32 accumulate, %" third ", 0;\n"                                  \
                 "wgmma.mma_async.sync.aligned.m64n" #n types " {" WGMMA_REGISTERS_##n "}, {%" a0 ", %" a1 ", %" a2    \
                 ", %" a3 "}, %" second ", accumulate, 1, 1" flags "; }"                                              \
                 : WGMMA_OUT_##n : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate ? 1 : 0))

// d (+)= a b^T with both in shared memory; d is written, not added to, unless `accumulate`.
template <int N>
__device__ __forceinline__ void wgmma_bf16(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
    static_assert(N == 8 || N == 16 || N == 32 || N == 64 || N == 128 || N == 256, "the sizes written out here");
    if constexpr (N == 8) {
        WGMMA_SHARED(8, "4", "5", "6", "k16.f32.bf16.bf16", ", 0, 0");
    } else if constexpr (N == 16) {
        WGMMA_SHARED(16, "8", "9", "10", "k16.f32.bf16.bf16", ", 0, 0");
    } else if constexpr (N == 32) {
        WGMMA_SHARED(32, "16", "17", "18", "k16.f32.bf16.bf16", ", 0, 0");
    } else if constexpr (N == 64) {
        WGMMA_SHARED(64, "32", "33", "34", "k16.f32.bf16.bf16", ", 0, 0");
    } else if constexpr (N == 128) {
        WGMMA_SHARED(128, "64", "65", "66", "k16.f32.bf16.bf16", ", 0, 0");
    } else {
        WGMMA_SHARED(256, "128", "129", "130", "k16.f32.bf16.bf16", ", 0, 0");
    }
}

template <int N>
__device__ __forceinline__ void wgmma_e4m3(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
    static_assert(N == 8 || N == 16 || N == 32 || N == 64 || N == 128 || N == 256, "the sizes written out here");
    if constexpr (N == 8) {
        WGMMA_SHARED(8, "4", "5", "6", "k32.f32.e4m3.e4m3", "");
    } else if constexpr (N == 16) {
        WGMMA_SHARED(16, "8", "9", "10", "k32.f32.e4m3.e4m3", "");
    } else if constexpr (N == 32) {
        WGMMA_SHARED(32, "16", "17", "18", "k32.f32.e4m3.e4m3", "");
    } else if constexpr (N == 64) {
        WGMMA_SHARED(64, "32", "33", "34", "k32.f32.e4m3.e4m3", "");
    } else if constexpr (N == 128) {
        WGMMA_SHARED(128, "64", "65", "66", "k32.f32.e4m3.e4m3", "");
    } else {
        WGMMA_SHARED(256, "128", "129", "130", "k32.f32.e4m3.e4m3", "");
    }
}

// The same with a in registers.
template <int N>
__device__ __forceinline__ void wgmma_bf16(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
    static_assert(N == 8 || N == 16 || N == 32 || N == 64 || N == 128 || N == 256, "the sizes written out here");
    if constexpr (N == 8) {
        WGMMA_REGISTER(8, "4", "5", "6", "7", "8", "9", "k16.f32.bf16.bf16", ", 0");
    } else if constexpr (N == 16) {
        WGMMA_REGISTER(16, "8", "9", "10", "11", "12", "13", "k16.f32.bf16.bf16", ", 0");
    } else if constexpr (N == 32) {
        WGMMA_REGISTER(32, "16", "17", "18", "19", "20", "21", "k16.f32.bf16.bf16", ", 0");
    } else if constexpr (N == 64) {
        WGMMA_REGISTER(64, "32", "33", "34", "35", "36", "37", "k16.f32.bf16.bf16", ", 0");
    } else if constexpr (N == 128) {
        WGMMA_REGISTER(128, "64", "65", "66", "67", "68", "69", "k16.f32.bf16.bf16", ", 0");
    } else {
        WGMMA_REGISTER(256, "128", "129", "130", "131", "132", "133", "k16.f32.bf16.bf16", ", 0");
    }
}

template <int N>
__device__ __forceinline__ void wgmma_e4m3(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
    static_assert(N == 8 || N == 16 || N == 32 || N == 64 || N == 128 || N == 256, "the sizes written out here");
    if constexpr (N == 8) {
        WGMMA_REGISTER(8, "4", "5", "6", "7", "8", "9", "k32.f32.e4m3.e4m3", "");
    } else if constexpr (N == 16) {
        WGMMA_REGISTER(16, "8", "9", "10", "11", "12", "13", "k32.f32.e4m3.e4m3", "");
    } else if constexpr (N == 32) {
        WGMMA_REGISTER(32, "16", "17", "18", "19", "20", "21", "k32.f32.e4m3.e4m3", "");
    } else if constexpr (N == 64) {
        WGMMA_REGISTER(64, "32", "33", "34", "35", "36", "37", "k32.f32.e4m3.e4m3", "");
    } else if constexpr (N == 128) {
        WGMMA_REGISTER(128, "64", "65", "66", "67", "68", "69", "k32.f32.e4m3.e4m3", "");
    } else {
        WGMMA_REGISTER(256, "128", "129", "130", "131", "132", "133", "k32.f32.e4m3.e4m3", "");
    }
}

// f16 as bf16, with both operands in shared memory; the sizes that are used.
template <int N>
__device__ __forceinline__ void wgmma_f16(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
    static_assert(N == 64 || N == 128, "the sizes written out here");
    if constexpr (N == 64) {
        WGMMA_SHARED(64, "32", "33", "34", "k16.f32.f16.f16", ", 0, 0");
    } else {
        WGMMA_SHARED(128, "64", "65", "66", "k16.f32.f16.f16", ", 0, 0");
    }
}

// d (+)= a b with a in registers and b from wgmma_operand_by_rows().
template <int N>
__device__ __forceinline__ void wgmma_bf16_by_rows(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
    static_assert(N == 64 || N == 128, "the sizes written out here");
    if constexpr (N == 64) {
        WGMMA_REGISTER(64, "32", "33", "34", "35", "36", "37", "k16.f32.bf16.bf16", ", 1");
    } else {
        WGMMA_REGISTER(128, "64", "65", "66", "67", "68", "69", "k16.f32.bf16.bf16", ", 1");
    }
}

template <int N>
__device__ __forceinline__ void wgmma_f16_by_rows(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
    static_assert(N == 64 || N == 128, "the sizes written out here");
    if constexpr (N == 64) {
        WGMMA_REGISTER(64, "32", "33", "34", "35", "36", "37", "k16.f32.f16.f16", ", 1");
    } else {
        WGMMA_REGISTER(128, "64", "65", "66", "67", "68", "69", "k16.f32.f16.f16", ", 1");
    }
}

// Copies the box that begins at this byte of this row of this matrix; any of them may lie outside. `shared` at a multiple of
// 1024.
__device__ __forceinline__ void tensor_copy(void* shared, const TensorMap* map, int byte, int row, int matrix, uint64_t* barrier) {
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];"
                 :: "r"(shared_address(shared)), "l"(map), "r"(byte), "r"(row), "r"(matrix), "r"(shared_address(barrier)) : "memory");
}

// Brings a map nearer, ahead of the first copy with it.
__device__ __forceinline__ void tensor_map_prefetch(const TensorMap* map) {
    asm volatile("prefetch.tensormap [%0];" :: "l"(map) : "memory");
}

// Moves registers from warpgroups that copy to those that compute. Executed by all warps of a warpgroup; a multiple of 8.
template <int REGISTERS>
__device__ __forceinline__ void warpgroup_release_registers() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" :: "n"(REGISTERS));
}

template <int REGISTERS>
__device__ __forceinline__ void warpgroup_take_registers() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" :: "n"(REGISTERS));
}

// A barrier for `threads` threads of the block (whole warps), numbered 1 to 15; __syncthreads is number 0.
__device__ __forceinline__ void named_barrier_sync(int number, int threads) {
    asm volatile("bar.sync %0, %1;" :: "r"(number), "r"(threads) : "memory");
}

// Counts this thread without waiting.
__device__ __forceinline__ void named_barrier_arrive(int number, int threads) {
    asm volatile("bar.arrive %0, %1;" :: "r"(number), "r"(threads) : "memory");
}

#else
#include "emulated_warpgroup.h"
#endif

#endif  // HOPPER
