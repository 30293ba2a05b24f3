// portable.cuh: the vocabulary of the kernels.
//
// The only file with inline PTX beside warpgroup.cuh. A kernel is written against the names below, so the same source compiles under nvcc
// (sm_80, sm_89, sm_90, sm_90a) and, with the shim of src/test/cpp/emulator, under g++ for the emulator.
//
//   KERNEL(name);           after each `extern "C" __global__` function: registers it with the emulator
//   DYN_SMEM(type, name);   declares `type* name`, the dynamic shared memory, aligned to 1024 bytes
//   bf16, f16, e4m3         number formats as structs of bits; conversions round to nearest even
//   mma_*, ldmatrix_*       warp-wide products with the fragment layouts of the PTX manual, section "mma.m16n8k16"
//   cp_async_*, mbarrier_*  copies from global to shared memory that a thread must wait for
//
// Source of instructions and layouts: PTX ISA 8.4, chapter 9.7.

#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(__CUDACC__)
#define KERNEL(name)
extern __shared__ __align__(1024) unsigned char dynamic_shared_memory[];
#define DYN_SMEM(type, name) type* name = reinterpret_cast<type*>(dynamic_shared_memory)
#else
#include "cuda_shim.h"
#endif

// ---- number formats ------------------------------------------------------------------------------------------------

struct alignas(2) bf16 { uint16_t bits; };
struct alignas(2) f16 { uint16_t bits; };
struct alignas(1) e4m3 { uint8_t bits; };  // 4 exponent bits, bias 7, largest 448; 0x7f and 0xff are NaN, no infinity

__device__ __forceinline__ float to_float(bf16 x) { return __uint_as_float(static_cast<uint32_t>(x.bits) << 16); }

// The exponent is moved to its place in a float and multiplied by 2^(127-7): exact, subnormals included.
__device__ __forceinline__ float to_float(e4m3 x) {
    uint32_t magnitude = x.bits & 0x7fu;
    uint32_t sign = (x.bits & 0x80u) << 24;
    float value = __uint_as_float(magnitude << 20) * 1.329227995784916e36f;
    return __uint_as_float(magnitude == 0x7fu ? 0x7fffffffu : sign | __float_as_uint(value));
}

// Two bf16 in a word, the element with the lower index in the lower half.
__device__ __forceinline__ float2 unpack_bf16x2(uint32_t pair) {
    return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}

// e4m3 by integer arithmetic, where the machine has no instruction. NaN becomes 0x7f, as the instruction does it.
__device__ __forceinline__ uint8_t e4m3_bits_of(float x) {
    uint32_t bits = __float_as_uint(x);
    uint32_t sign = (bits >> 24) & 0x80u;
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return 0x7f;
    }
    if (magnitude >= 0x43e80000u) {  // 464 lies half-way between 448 and 480: from here on everything saturates
        return static_cast<uint8_t>(sign | 0x7eu);
    }
    if (magnitude < 0x3c800000u) {  // below 2^-6: multiples of 2^-9; adding 2^14 lets the addition round to them
        float shifted = __uint_as_float(magnitude) + 16384.0f;
        return static_cast<uint8_t>(sign | (__float_as_uint(shifted) - 0x46800000u));
    }
    uint32_t odd = (magnitude >> 20) & 1u;
    uint32_t rounded = magnitude + 0x7ffffu + odd;
    return static_cast<uint8_t>(sign | ((rounded >> 20) - (120u << 3)));
}

#if defined(__CUDACC__)

__device__ __forceinline__ float to_float(f16 x) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(x.bits));
    return value;
}

__device__ __forceinline__ bf16 to_bf16(float x) {
    bf16 result;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
    return result;
}

__device__ __forceinline__ f16 to_f16(float x) {
    f16 result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
    return result;
}

__device__ __forceinline__ uint32_t pack_bf16x2(float low, float high) {
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

__device__ __forceinline__ uint32_t pack_f16x2(float low, float high) {
    uint32_t pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

// Two values at once: `low` in the lower byte. Nearest even, saturating to 448, NaN stays NaN.
__device__ __forceinline__ uint16_t pack_e4m3x2(float low, float high) {
#if __CUDA_ARCH__ >= 890
    uint16_t pair;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(high), "f"(low));
    return pair;
#else
    return static_cast<uint16_t>(e4m3_bits_of(low) | e4m3_bits_of(high) << 8);
#endif
}

__device__ __forceinline__ uint32_t e4m3x2_to_f16x2(uint16_t pair) {
#if __CUDA_ARCH__ >= 890
    uint32_t result;
    asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(result) : "h"(pair));
    return result;
#else
    return pack_f16x2(to_float(e4m3{static_cast<uint8_t>(pair)}), to_float(e4m3{static_cast<uint8_t>(pair >> 8)}));
#endif
}

__device__ __forceinline__ float2 unpack_f16x2(uint32_t pair) {
    return make_float2(to_float(f16{static_cast<uint16_t>(pair)}), to_float(f16{static_cast<uint16_t>(pair >> 16)}));
}

#else  // g++: the same by integer arithmetic

__device__ __forceinline__ float to_float(f16 x) { return shim::f16_to_float(x.bits); }

__device__ __forceinline__ bf16 to_bf16(float x) { return bf16{shim::bf16_from_float(x)}; }

__device__ __forceinline__ f16 to_f16(float x) { return f16{shim::f16_from_float(x)}; }

__device__ __forceinline__ uint32_t pack_bf16x2(float low, float high) {
    return to_bf16(low).bits | static_cast<uint32_t>(to_bf16(high).bits) << 16;
}

__device__ __forceinline__ uint32_t pack_f16x2(float low, float high) {
    return to_f16(low).bits | static_cast<uint32_t>(to_f16(high).bits) << 16;
}

__device__ __forceinline__ uint16_t pack_e4m3x2(float low, float high) {
    return static_cast<uint16_t>(e4m3_bits_of(low) | e4m3_bits_of(high) << 8);
}

__device__ __forceinline__ float2 unpack_f16x2(uint32_t pair) {
    return make_float2(to_float(f16{static_cast<uint16_t>(pair)}), to_float(f16{static_cast<uint16_t>(pair >> 16)}));
}

__device__ __forceinline__ uint32_t e4m3x2_to_f16x2(uint16_t pair) {
    return pack_f16x2(to_float(e4m3{static_cast<uint8_t>(pair)}), to_float(e4m3{static_cast<uint8_t>(pair >> 8)}));
}

#endif

// Nearest even, saturating to 448, NaN stays NaN.
__device__ __forceinline__ e4m3 to_e4m3(float x) { return e4m3{static_cast<uint8_t>(pack_e4m3x2(x, 0.0f))}; }

__device__ __forceinline__ float2 unpack_e4m3x2(uint16_t pair) { return unpack_f16x2(e4m3x2_to_f16x2(pair)); }

// Every e4m3 value is a bf16 value: exact.
__device__ __forceinline__ uint32_t e4m3x2_to_bf16x2(uint16_t pair) {
    float2 values = unpack_e4m3x2(pair);
    return pack_bf16x2(values.x, values.y);
}

#if defined(__CUDACC__)

// ---- approximate functions of the special function unit -------------------------------------------------------------

__device__ __forceinline__ float fast_exp2(float x) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

__device__ __forceinline__ float fast_exp(float x) { return fast_exp2(x * 1.4426950408889634f); }

__device__ __forceinline__ float fast_rcp(float x) {
    float result;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
    return result;
}

// ---- products of matrix fragments -----------------------------------------------------------------------------------

__device__ __forceinline__ uint32_t shared_address(const void* pointer) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// d[16, 8] += a[16, 16] b[16, 8], by all 32 lanes.
__device__ __forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

__device__ __forceinline__ void mma_m16n8k16_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// d[16, 8] += a[16, 32] b[32, 8], e4m3. Before sm_89 two products in f16, which holds every e4m3 value: a lane's four
// values of a register become two registers; that permutes k alike in a and b.
__device__ __forceinline__ void mma_m16n8k32_e4m3(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 890
    asm volatile("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
#pragma unroll
    for (int half = 0; half < 2; half++) {
        uint32_t rows_low = a[2 * half];
        uint32_t rows_high = a[2 * half + 1];
        uint32_t wide_a[4] = {
            e4m3x2_to_f16x2(static_cast<uint16_t>(rows_low)), e4m3x2_to_f16x2(static_cast<uint16_t>(rows_high)),
            e4m3x2_to_f16x2(static_cast<uint16_t>(rows_low >> 16)), e4m3x2_to_f16x2(static_cast<uint16_t>(rows_high >> 16))};
        uint32_t wide_b[2] = {e4m3x2_to_f16x2(static_cast<uint16_t>(b[half])), e4m3x2_to_f16x2(static_cast<uint16_t>(b[half] >> 16))};
        mma_m16n8k16_f16(d, wide_a, wide_b);
    }
#endif
}

// Loads 8x8 matrices of 16-bit elements. Lane i gives the address of row i % 8 of matrix i / 8 (16-byte aligned) and
// receives of each matrix the elements (lane / 4, 2 * (lane % 4) + {0, 1}); `_trans`: of the transposed matrix.
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void* shared) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(shared)) : "memory");
}

__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&r)[4], const void* shared) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(shared)) : "memory");
}

// Lanes 0 to 15 give the addresses.
__device__ __forceinline__ void ldmatrix_x2(uint32_t (&r)[2], const void* shared) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0,%1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(shared)) : "memory");
}

__device__ __forceinline__ void ldmatrix_x2_trans(uint32_t (&r)[2], const void* shared) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1]) : "r"(shared_address(shared)) : "memory");
}

// ---- asynchronous copies by a thread --------------------------------------------------------------------------------

// Copies 16 bytes, both sides 16-byte aligned. When `valid` is false, writes zeros and never touches `global`.
__device__ __forceinline__ void cp_async_16(void* shared, const void* global, bool valid = true) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :: "r"(shared_address(shared)), "l"(global), "r"(valid ? 16 : 0) : "memory");
}

__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most `NEWEST` of this thread's committed groups are still under way. Other threads see the data
// after a barrier.
template <int NEWEST>
__device__ __forceinline__ void cp_async_wait() {
    asm volatile("cp.async.wait_group %0;" :: "n"(NEWEST) : "memory");
}

// ---- barriers in shared memory and bulk copies ----------------------------------------------------------------------

// One thread initialises, then fence_barrier_init() and __syncthreads() before anybody else uses the barrier.
__device__ __forceinline__ void mbarrier_init(uint64_t* barrier, uint32_t arrivals) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" :: "r"(shared_address(barrier)), "r"(arrivals) : "memory");
}

__device__ __forceinline__ void mbarrier_arrive(uint64_t* barrier) {
    asm volatile("{ .reg .b64 state; mbarrier.arrive.shared.b64 state, [%0]; }" :: "r"(shared_address(barrier)) : "memory");
}

// The current phase shall also wait for `bytes` of bulk copies. Does not arrive.
__device__ __forceinline__ void mbarrier_expect_bytes(uint64_t* barrier, uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
    asm volatile("mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" :: "r"(shared_address(barrier)), "r"(bytes) : "memory");
#else
    __trap();
#endif
}

// Both in one instruction: expects the bytes, then arrives.
__device__ __forceinline__ void mbarrier_arrive_expect_bytes(uint64_t* barrier, uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
    asm volatile("{ .reg .b64 state; mbarrier.arrive.expect_tx.shared::cta.b64 state, [%0], %1; }"
                 :: "r"(shared_address(barrier)), "r"(bytes) : "memory");
#else
    __trap();
#endif
}

// Waits for the end of the phase with this parity; the first phase has parity 0.
__device__ __forceinline__ void mbarrier_wait(uint64_t* barrier, uint32_t parity) {
    uint32_t done = 0;
    while (done == 0) {
#if __CUDA_ARCH__ >= 900
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                     : "=r"(done) : "r"(shared_address(barrier)), "r"(parity) : "memory");
#else
        asm volatile("{ .reg .pred p; mbarrier.test_wait.parity.shared.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                     : "=r"(done) : "r"(shared_address(barrier)), "r"(parity) : "memory");
#endif
    }
}

// Copies `bytes` (a multiple of 16, both sides 16-byte aligned) and then completes that many bytes of the barrier's
// phase. One thread issues it. Needs sm_90.
__device__ __forceinline__ void bulk_copy(void* shared, const void* global, uint32_t bytes, uint64_t* barrier) {
#if __CUDA_ARCH__ >= 900
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
                 :: "r"(shared_address(shared)), "l"(global), "r"(bytes), "r"(shared_address(barrier)) : "memory");
#else
    __trap();
#endif
}

// Between ordinary accesses to shared memory and bulk copies or wgmma over the same bytes.
__device__ __forceinline__ void fence_async_proxy() {
#if __CUDA_ARCH__ >= 900
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

// Makes initialised barriers visible to bulk copies.
__device__ __forceinline__ void fence_barrier_init() {
#if __CUDA_ARCH__ >= 900
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}

// ---- loads ----------------------------------------------------------------------------------------------------------

// Data that is read once: past the first-level cache, first to leave the second.
__device__ __forceinline__ uint4 load_streaming(const uint4* pointer) {
    uint4 value;
    asm volatile("{ .reg .b64 policy; createpolicy.fractional.L2::evict_first.b64 policy, 1.0;\n"
                 "ld.global.nc.L1::no_allocate.L2::cache_hint.v4.u32 {%0,%1,%2,%3}, [%4], policy; }"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w) : "l"(pointer));
    return value;
}

// Data that no thread writes while the kernel runs. Any trivial type of 1, 2, 4, 8 or 16 bytes.
template <typename T>
__device__ __forceinline__ T load_readonly(const T* pointer) {
    static_assert(sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16, "one load");
    T value;
    if constexpr (sizeof(T) == 1) {
        *reinterpret_cast<unsigned char*>(&value) = __ldg(reinterpret_cast<const unsigned char*>(pointer));
    } else if constexpr (sizeof(T) == 2) {
        *reinterpret_cast<unsigned short*>(&value) = __ldg(reinterpret_cast<const unsigned short*>(pointer));
    } else if constexpr (sizeof(T) == 4) {
        *reinterpret_cast<unsigned int*>(&value) = __ldg(reinterpret_cast<const unsigned int*>(pointer));
    } else if constexpr (sizeof(T) == 8) {
        *reinterpret_cast<uint2*>(&value) = __ldg(reinterpret_cast<const uint2*>(pointer));
    } else {
        *reinterpret_cast<uint4*>(&value) = __ldg(reinterpret_cast<const uint4*>(pointer));
    }
    return value;
}

// Asks for memory that will be read soon to come into the second-level cache. The address and `bytes` are multiples of 16.
// Nothing below sm_90.
__device__ __forceinline__ void prefetch_l2(const void* pointer, uint32_t bytes) {
#if __CUDA_ARCH__ >= 900
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" :: "l"(pointer), "r"(bytes) : "memory");
#endif
}

// ---- over a block ----------------------------------------------------------------------------------------------------

// threadIdx.x, read where it is written: the compiler keeps nothing that follows from it in registers around a loop.
__device__ __forceinline__ int thread_index_here() {
    int index;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(index));
    return index;
}

// ---- over a warp ----------------------------------------------------------------------------------------------------

__device__ __forceinline__ uint32_t warp_max(uint32_t value) { return __reduce_max_sync(0xffffffffu, value); }
__device__ __forceinline__ uint32_t warp_min(uint32_t value) { return __reduce_min_sync(0xffffffffu, value); }

// ---- programmatic dependent launch ----------------------------------------------------------------------------------

// Before the first access to what an earlier kernel of the stream writes or still reads.
__device__ __forceinline__ void grid_dependency_wait() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// The next kernel's blocks may start where there is room; they wait at grid_dependency_wait() for our end.
__device__ __forceinline__ void grid_dependency_launch() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

#else
#include "emulated_instructions.h"
#endif
