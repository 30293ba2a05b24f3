// cuda_shim.h: CUDA's language and built-in functions for g++.
//
// Included by portable.cuh when the compiler is not nvcc. A kernel becomes an ordinary function that one fiber per CUDA
// thread runs; whatever lets threads meet (barriers, shuffles, asynchronous copies) goes to the runtime.

#pragma once

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <type_traits>
#include <utility>

#include "kernel_interface.h"

// ---- qualifiers -----------------------------------------------------------------------------------------------------

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __constant__ static
#define __grid_constant__
#define __align__(bytes) __attribute__((aligned(bytes)))

// One instance per operating-system thread, and such a thread runs one block at a time. The runtime fills it with 0xFF
// before each block.
#define __shared__ static thread_local

#define DYN_SMEM(type, name) type* name = reinterpret_cast<type*>(emulator_thread->dynamic_shared)

#define KERNEL(name) static const ::shim::Registration<decltype(&name), &name> registration_of_##name(#name, __FILE__)

// Stands between `extern "C"` and a kernel's type: ends that declaration with one of nothing, notes the bound for the next
// KERNEL(name) (what a file defines is initialised in its order), and begins the declaration again.
#define __launch_bounds__(...) SHIM_BOUND(__COUNTER__, __VA_ARGS__)
#define SHIM_BOUND(number, ...) SHIM_BOUND_(number, __VA_ARGS__)
#define SHIM_BOUND_(number, ...)                                        \
    int shim_nothing_##number;                                          \
    static const ::shim::LaunchBound shim_bound_##number{__VA_ARGS__};  \
    extern "C"

#define EMULATOR_SITE_PARAMETERS const char* file = __builtin_FILE(), int line = __builtin_LINE()
#define EMULATOR_SITE(operation) (::emulator::Site{operation, file, line})

// ---- built-in variables ---------------------------------------------------------------------------------------------

#define threadIdx (emulator_thread->thread_index)
#define blockIdx (emulator_thread->block_index)
#define blockDim (emulator_thread->block_shape)
#define gridDim (emulator_thread->grid_shape)
constexpr int warpSize = 32;

// ---- vector types ---------------------------------------------------------------------------------------------------

#define SHIM_VECTOR(type, name, alignment2, alignment4)                                                               \
    struct alignas(alignment2) name##2 { type x, y; };                                                                \
    struct name##3 { type x, y, z; };                                                                                 \
    struct alignas(alignment4) name##4 { type x, y, z, w; };                                                          \
    inline name##2 make_##name##2(type x, type y) { return {x, y}; }                                                  \
    inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; }                                       \
    inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }

SHIM_VECTOR(float, float, 8, 16)
SHIM_VECTOR(int, int, 8, 16)
SHIM_VECTOR(unsigned, uint, 8, 16)
SHIM_VECTOR(short, short, 4, 8)
SHIM_VECTOR(unsigned short, ushort, 4, 8)
SHIM_VECTOR(signed char, char, 2, 4)
SHIM_VECTOR(unsigned char, uchar, 2, 4)
SHIM_VECTOR(double, double, 16, 16)
SHIM_VECTOR(long long, longlong, 16, 16)
SHIM_VECTOR(unsigned long long, ulonglong, 16, 16)
#undef SHIM_VECTOR

// ---- registration ---------------------------------------------------------------------------------------------------

namespace shim {

// The __launch_bounds__ that no kernel was registered with yet; 0: none.
static int next_bound = 0;

struct LaunchBound {
    explicit LaunchBound(int threads, int = 0, int = 0) { next_bound = threads; }
};

template <typename Function, Function function>
struct Registration;

template <typename... Arguments, void (*function)(Arguments...)>
struct Registration<void (*)(Arguments...), function> {
    template <size_t... Positions>
    static void call(void** arguments, std::index_sequence<Positions...>) {
        function(*static_cast<std::remove_reference_t<Arguments>*>(arguments[Positions])...);
    }

    static void run(void** arguments) { call(arguments, std::index_sequence_for<Arguments...>{}); }

    Registration(const char* name, const char* file) {
        // One more than there are, for kernels without parameters.
        static const emulator::Parameter parameters[] = {
            {sizeof(Arguments), alignof(Arguments), std::is_pointer_v<Arguments>}..., {0, 1, false}};
        static emulator::KernelDescription description;
        description = {name, file, &run, parameters, static_cast<int>(sizeof...(Arguments)), next_bound};
        next_bound = 0;
        emulator_register(&description);
    }
};

// T, without letting an argument decide what T is.
template <typename T>
struct Identity {
    using type = T;
};
template <typename T>
using Same = typename Identity<T>::type;

template <typename To, typename From>
inline To bit_cast(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof(To));
    return to;
}

// ---- 16-bit formats by integer arithmetic ---------------------------------------------------------------------------

inline uint16_t bf16_from_float(float x) {
    uint32_t bits = bit_cast<uint32_t>(x);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return 0x7fff;
    }
    return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline float f16_to_float(uint16_t half) {
    uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1fu;
    uint32_t fraction = half & 0x3ffu;
    if (exponent == 31) {
        return bit_cast<float>(sign | 0x7f800000u | fraction << 13);
    }
    if (exponent == 0) {
        float magnitude = static_cast<float>(fraction) * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    return bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

inline uint16_t f16_from_float(float x) {
    uint32_t bits = bit_cast<uint32_t>(x);
    uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
    uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) {
        return 0x7fff;
    }
    if (magnitude >= 0x477ff000u) {  // 65520, half-way to what would be the next value after 65504
        return sign | 0x7c00u;
    }
    if (magnitude < 0x38800000u) {  // below 2^-14: multiples of 2^-24; adding 1/2 lets the addition round to them
        float shifted = bit_cast<float>(magnitude) + 0.5f;
        return static_cast<uint16_t>(sign | (bit_cast<uint32_t>(shifted) - 0x3f000000u));
    }
    uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    return static_cast<uint16_t>(sign | ((rounded >> 13) - (112u << 10)));
}

template <typename T>
inline const T& lane_value(const emulator::Slot* slots, unsigned lane) {
    static_assert(sizeof(T) <= sizeof(emulator::Slot));
    return *reinterpret_cast<const T*>(slots[lane].bytes);
}

template <typename T>
inline const emulator::Slot* exchange(uint32_t mask, T value, emulator::Site site) {
    return emulator_exchange(mask, &value, sizeof(T), nullptr, nullptr, false, site);
}

// First lane of the segment of `width` lanes that this lane belongs to.
inline unsigned segment(int width) { return emulator_thread->lane & ~static_cast<unsigned>(width - 1); }

}  // namespace shim

// ---- barriers -------------------------------------------------------------------------------------------------------

inline void __syncthreads(EMULATOR_SITE_PARAMETERS) { emulator_block_barrier(0, EMULATOR_SITE("__syncthreads")); }

inline int __syncthreads_count(int predicate, EMULATOR_SITE_PARAMETERS) {
    return emulator_block_barrier(predicate != 0, EMULATOR_SITE("__syncthreads_count"));
}

inline int __syncthreads_or(int predicate, EMULATOR_SITE_PARAMETERS) {
    return emulator_block_barrier(predicate != 0, EMULATOR_SITE("__syncthreads_or")) != 0;
}

inline int __syncthreads_and(int predicate, EMULATOR_SITE_PARAMETERS) {
    return emulator_block_barrier(predicate == 0, EMULATOR_SITE("__syncthreads_and")) == 0;
}

inline void __syncwarp(uint32_t mask = 0xffffffffu, EMULATOR_SITE_PARAMETERS) {
    emulator_exchange(mask, nullptr, 0, nullptr, nullptr, false, EMULATOR_SITE("__syncwarp"));
}

inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

inline void __nanosleep(unsigned, EMULATOR_SITE_PARAMETERS) { emulator_pause(EMULATOR_SITE("__nanosleep")); }

[[noreturn]] inline void __trap(EMULATOR_SITE_PARAMETERS) { emulator_fail(EMULATOR_SITE("__trap"), "the kernel gave up"); }

// ---- shuffles and votes ---------------------------------------------------------------------------------------------

template <typename T>
inline T __shfl_sync(uint32_t mask, T value, int source, int width = 32, EMULATOR_SITE_PARAMETERS) {
    const emulator::Slot* slots = shim::exchange(mask, value, EMULATOR_SITE("__shfl_sync"));
    return shim::lane_value<T>(slots, shim::segment(width) + (static_cast<unsigned>(source) & (width - 1)));
}

template <typename T>
inline T __shfl_xor_sync(uint32_t mask, T value, int bits, int width = 32, EMULATOR_SITE_PARAMETERS) {
    const emulator::Slot* slots = shim::exchange(mask, value, EMULATOR_SITE("__shfl_xor_sync"));
    unsigned source = emulator_thread->lane ^ static_cast<unsigned>(bits);
    return source < shim::segment(width) + width ? shim::lane_value<T>(slots, source) : value;
}

template <typename T>
inline T __shfl_up_sync(uint32_t mask, T value, unsigned distance, int width = 32, EMULATOR_SITE_PARAMETERS) {
    const emulator::Slot* slots = shim::exchange(mask, value, EMULATOR_SITE("__shfl_up_sync"));
    unsigned lane = emulator_thread->lane;
    return lane >= shim::segment(width) + distance ? shim::lane_value<T>(slots, lane - distance) : value;
}

template <typename T>
inline T __shfl_down_sync(uint32_t mask, T value, unsigned distance, int width = 32, EMULATOR_SITE_PARAMETERS) {
    const emulator::Slot* slots = shim::exchange(mask, value, EMULATOR_SITE("__shfl_down_sync"));
    unsigned lane = emulator_thread->lane;
    return lane + distance < shim::segment(width) + width ? shim::lane_value<T>(slots, lane + distance) : value;
}

namespace shim {

inline void ballot(emulator::Slot* slots, uint32_t arrived, const void*) {
    uint32_t votes = 0;
    for (unsigned lane = 0; lane < 32; lane++) {
        if ((arrived >> lane & 1u) != 0 && lane_value<int>(slots, lane) != 0) {
            votes |= 1u << lane;
        }
    }
    for (unsigned lane = 0; lane < 32; lane++) {
        memcpy(slots[lane].bytes, &votes, sizeof(votes));
        memcpy(slots[lane].bytes + sizeof(votes), &arrived, sizeof(arrived));
    }
}

struct Votes {
    uint32_t votes, arrived;
};

inline Votes vote(uint32_t mask, int predicate, emulator::Site site) {
    const emulator::Slot* slots = emulator_exchange(mask, &predicate, sizeof(predicate), &ballot, nullptr, false, site);
    return lane_value<Votes>(slots, emulator_thread->lane);
}

}  // namespace shim

inline uint32_t __ballot_sync(uint32_t mask, int predicate, EMULATOR_SITE_PARAMETERS) {
    return shim::vote(mask, predicate != 0, EMULATOR_SITE("__ballot_sync")).votes;
}

inline int __any_sync(uint32_t mask, int predicate, EMULATOR_SITE_PARAMETERS) {
    return shim::vote(mask, predicate != 0, EMULATOR_SITE("__any_sync")).votes != 0;
}

inline int __all_sync(uint32_t mask, int predicate, EMULATOR_SITE_PARAMETERS) {
    shim::Votes votes = shim::vote(mask, predicate != 0, EMULATOR_SITE("__all_sync"));
    return votes.votes == votes.arrived;
}

template <typename T>
inline uint32_t __match_any_sync(uint32_t mask, T value, EMULATOR_SITE_PARAMETERS) {
    struct Mine {
        T value;
        uint32_t here;
    };
    Mine mine{value, 1};
    auto keep = [](emulator::Slot* slots, uint32_t arrived, const void*) {
        for (unsigned lane = 0; lane < 32; lane++) {
            uint32_t here = arrived >> lane & 1u;
            memcpy(slots[lane].bytes + offsetof(Mine, here), &here, sizeof(here));
        }
    };
    const emulator::Slot* slots =
        emulator_exchange(mask, &mine, sizeof(mine), keep, nullptr, false, EMULATOR_SITE("__match_any_sync"));
    uint32_t same = 0;
    for (unsigned lane = 0; lane < 32; lane++) {
        const Mine& other = shim::lane_value<Mine>(slots, lane);
        if (other.here != 0 && memcmp(&other.value, &value, sizeof(T)) == 0) {
            same |= 1u << lane;
        }
    }
    return same;
}

// ---- atomics: blocks really run at the same time on several threads of the operating system -------------------------

template <typename T>
inline T atomicAdd(T* address, shim::Same<T> value) {
    if constexpr (std::is_floating_point_v<T>) {
        T expected;
        __atomic_load(address, &expected, __ATOMIC_SEQ_CST);
        T desired = expected + value;
        while (!__atomic_compare_exchange(address, &expected, &desired, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            desired = expected + value;
        }
        return expected;
    } else {
        return __atomic_fetch_add(address, value, __ATOMIC_SEQ_CST);
    }
}

template <typename T>
inline T atomicSub(T* address, shim::Same<T> value) { return __atomic_fetch_sub(address, value, __ATOMIC_SEQ_CST); }

template <typename T>
inline T atomicOr(T* address, shim::Same<T> value) { return __atomic_fetch_or(address, value, __ATOMIC_SEQ_CST); }

template <typename T>
inline T atomicAnd(T* address, shim::Same<T> value) { return __atomic_fetch_and(address, value, __ATOMIC_SEQ_CST); }

template <typename T>
inline T atomicExch(T* address, shim::Same<T> value) {
    T old;
    __atomic_exchange(address, &value, &old, __ATOMIC_SEQ_CST);
    return old;
}

template <typename T>
inline T atomicCAS(T* address, shim::Same<T> expected, shim::Same<T> value) {
    __atomic_compare_exchange(address, &expected, &value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}

template <typename T>
inline T atomicMax(T* address, shim::Same<T> value) {
    T old = __atomic_load_n(address, __ATOMIC_SEQ_CST);
    while (old < value && !__atomic_compare_exchange(address, &old, &value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    return old;
}

template <typename T>
inline T atomicMin(T* address, shim::Same<T> value) {
    T old = __atomic_load_n(address, __ATOMIC_SEQ_CST);
    while (value < old && !__atomic_compare_exchange(address, &old, &value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    return old;
}

// As CUDA defines it: counts up to `limit`, then starts again at 0.
inline unsigned atomicInc(unsigned* address, unsigned limit) {
    unsigned old = __atomic_load_n(address, __ATOMIC_SEQ_CST);
    unsigned next = old >= limit ? 0 : old + 1;
    while (!__atomic_compare_exchange(address, &old, &next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        next = old >= limit ? 0 : old + 1;
    }
    return old;
}

// ---- integers -------------------------------------------------------------------------------------------------------

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x)); }
inline unsigned __brev(unsigned x) {
    unsigned result = 0;
    for (int bit = 0; bit < 32; bit++) {
        result |= (x >> bit & 1u) << (31 - bit);
    }
    return result;
}
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32); }
inline int __mulhi(int a, int b) { return static_cast<int>(static_cast<int64_t>(a) * b >> 32); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
    return static_cast<unsigned>(((static_cast<uint64_t>(high) << 32 | low) << (shift & 31)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (shift & 31));
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) {
        unsigned choice = selector >> (4 * i) & 0xfu;
        unsigned byte = static_cast<unsigned>(bytes >> (8 * (choice & 7u))) & 0xffu;
        if ((choice & 8u) != 0) {
            byte = (byte & 0x80u) != 0 ? 0xffu : 0u;
        }
        result |= byte << (8 * i);
    }
    return result;
}

#define SHIM_MIN_MAX(type)                                \
    inline type min(type a, type b) { return b < a ? b : a; } \
    inline type max(type a, type b) { return a < b ? b : a; }
SHIM_MIN_MAX(int)
SHIM_MIN_MAX(unsigned)
SHIM_MIN_MAX(long)
SHIM_MIN_MAX(unsigned long)
SHIM_MIN_MAX(long long)
SHIM_MIN_MAX(unsigned long long)
#undef SHIM_MIN_MAX
inline unsigned min(int a, unsigned b) { return min(static_cast<unsigned>(a), b); }
inline unsigned min(unsigned a, int b) { return min(a, static_cast<unsigned>(b)); }
inline unsigned max(int a, unsigned b) { return max(static_cast<unsigned>(a), b); }
inline unsigned max(unsigned a, int b) { return max(a, static_cast<unsigned>(b)); }
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }

// ---- floating point -------------------------------------------------------------------------------------------------
// Compiled with -ffp-contract=off: an operation rounds where it is written, so the _rn forms are the plain operators.

inline unsigned __float_as_uint(float x) { return shim::bit_cast<unsigned>(x); }
inline int __float_as_int(float x) { return shim::bit_cast<int>(x); }
inline float __uint_as_float(unsigned x) { return shim::bit_cast<float>(x); }
inline float __int_as_float(int x) { return shim::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return shim::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return shim::bit_cast<double>(x); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __ddiv_rn(double a, double b) { return a / b; }
inline double __dsqrt_rn(double x) { return sqrt(x); }
inline float __double2float_rn(double x) { return static_cast<float>(x); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline float __ull2float_rn(unsigned long long x) { return static_cast<float>(x); }
inline int __float2int_rn(float x) { return static_cast<int>(rintf(x)); }
inline int __float2int_rz(float x) { return static_cast<int>(x); }
inline unsigned __float2uint_rn(float x) { return static_cast<unsigned>(rintf(x)); }
inline float __expf(float x) { return expf(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }

template <typename T>
inline T __ldg(const T* pointer) { return *pointer; }
template <typename T>
inline T __ldcs(const T* pointer) { return *pointer; }
template <typename T>
inline T __ldcg(const T* pointer) { return *pointer; }
template <typename T, typename V>
inline void __stcs(T* pointer, V value) { *pointer = value; }
template <typename T, typename V>
inline void __stcg(T* pointer, V value) { *pointer = value; }
