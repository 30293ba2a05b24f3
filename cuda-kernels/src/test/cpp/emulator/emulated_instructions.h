// emulated_instructions.h: the second half of portable.cuh under g++, with the same names and contracts.
//
// Fragment layouts: PTX ISA, "Matrix fragments for mma.m16n8k16" and "mma.m16n8k32", and "ldmatrix".

#pragma once

// ---- approximate functions ------------------------------------------------------------------------------------------

// The hardware flushes subnormal arguments and results to zero.
inline float fast_exp2(float x) {
    float result = exp2f(x);
    return fabsf(result) < 0x1p-126f ? 0.0f : result;
}

inline float fast_exp(float x) { return fast_exp2(x * 1.4426950408889634f); }

inline float fast_rcp(float x) {
    float result = 1.0f / (fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x);
    return fabsf(result) < 0x1p-126f ? copysignf(0.0f, result) : result;
}

// ---- products of matrix fragments -----------------------------------------------------------------------------------

namespace shim {

struct Fragments {
    float d[4];
    uint32_t a[4];
    uint32_t b[2];
};

struct WideBf16 {
    static constexpr int PER_REGISTER = 2;
    static float element(uint32_t word, int i) { return to_float(bf16{static_cast<uint16_t>(word >> (16 * i))}); }
};

struct WideF16 {
    static constexpr int PER_REGISTER = 2;
    static float element(uint32_t word, int i) { return f16_to_float(static_cast<uint16_t>(word >> (16 * i))); }
};

struct WideE4m3 {
    static constexpr int PER_REGISTER = 4;
    static float element(uint32_t word, int i) { return to_float(e4m3{static_cast<uint8_t>(word >> (8 * i))}); }
};

// A row of a result.
typedef float Columns __attribute__((vector_size(32)));

// The whole 16 x 8 x K product, once, by the lane that arrived last. Products are exact in fp32; they are added in fp32
// in ascending k, beginning with the accumulator. The order inside a tensor core is not documented.
template <typename Format>
inline void multiply_fragments(emulator::Slot* slots, uint32_t, const void*) {
    constexpr int EACH = Format::PER_REGISTER;
    constexpr int K = 8 * EACH;
    float a[16][K];
    alignas(32) float b[K][8];
    alignas(32) float d[16][8];
    for (int lane = 0; lane < 32; lane++) {
        const Fragments& mine = lane_value<Fragments>(slots, lane);
        int group = lane / 4;
        int position = lane % 4;
        for (int i = 0; i < EACH; i++) {
            int k = position * EACH + i;
            a[group][k] = Format::element(mine.a[0], i);
            a[group + 8][k] = Format::element(mine.a[1], i);
            a[group][k + K / 2] = Format::element(mine.a[2], i);
            a[group + 8][k + K / 2] = Format::element(mine.a[3], i);
            b[k][group] = Format::element(mine.b[0], i);
            b[k + K / 2][group] = Format::element(mine.b[1], i);
        }
        d[group][2 * position] = mine.d[0];
        d[group][2 * position + 1] = mine.d[1];
        d[group + 8][2 * position] = mine.d[2];
        d[group + 8][2 * position + 1] = mine.d[3];
    }
    // Four rows at a time, each in a register: said so, since g++ multiplies the plain loops one number at a time (680 ns for
    // K = 16, in place of 63, with the same bits).
    for (int first = 0; first < 16; first += 4) {
        Columns sums[4];
        memcpy(sums, d[first], sizeof(sums));
        for (int k = 0; k < K; k++) {
            Columns right;
            memcpy(&right, b[k], sizeof(right));
            for (int row = 0; row < 4; row++) {
                sums[row] += a[first + row][k] * right;
            }
        }
        memcpy(d[first], sums, sizeof(sums));
    }
    for (int lane = 0; lane < 32; lane++) {
        Fragments& mine = *reinterpret_cast<Fragments*>(slots[lane].bytes);
        int group = lane / 4;
        int position = lane % 4;
        mine.d[0] = d[group][2 * position];
        mine.d[1] = d[group][2 * position + 1];
        mine.d[2] = d[group + 8][2 * position];
        mine.d[3] = d[group + 8][2 * position + 1];
    }
}

template <typename Format>
inline void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], emulator::Site site) {
    Fragments mine;
    memcpy(mine.d, d, sizeof(mine.d));
    memcpy(mine.a, a, sizeof(mine.a));
    memcpy(mine.b, b, sizeof(mine.b));
    const emulator::Slot* slots =
        emulator_exchange(0xffffffffu, &mine, sizeof(mine), &multiply_fragments<Format>, nullptr, true, site);
    memcpy(d, slots[emulator_thread->lane].bytes, sizeof(mine.d));
}

// Reads all rows at once, as the instruction does, before any lane goes on.
template <int MATRICES, bool TRANSPOSED>
inline void load_matrices(emulator::Slot* slots, uint32_t, const void* context) {
    const emulator::Site& site = *static_cast<const emulator::Site*>(context);
    uint16_t elements[MATRICES][8][8];
    for (int row = 0; row < 8 * MATRICES; row++) {
        const void* address = lane_value<const void*>(slots, row);
        emulator_require_shared(address, 16, 16, site);
        memcpy(elements[row / 8][row % 8], address, 16);
    }
    for (int lane = 0; lane < 32; lane++) {
        uint32_t result[MATRICES];
        for (int matrix = 0; matrix < MATRICES; matrix++) {
            int row = lane / 4;
            int column = 2 * (lane % 4);
            uint32_t low = TRANSPOSED ? elements[matrix][column][row] : elements[matrix][row][column];
            uint32_t high = TRANSPOSED ? elements[matrix][column + 1][row] : elements[matrix][row][column + 1];
            result[matrix] = low | high << 16;
        }
        memcpy(slots[lane].bytes, result, sizeof(result));
    }
}

template <int MATRICES, bool TRANSPOSED>
inline void ldmatrix(uint32_t (&r)[MATRICES], const void* shared, emulator::Site site) {
    const emulator::Slot* slots = emulator_exchange(0xffffffffu, &shared, sizeof(shared),
                                                    &load_matrices<MATRICES, TRANSPOSED>, &site, true, site);
    memcpy(r, slots[emulator_thread->lane].bytes, sizeof(r));
}

}  // namespace shim

inline void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], EMULATOR_SITE_PARAMETERS) {
    shim::mma<shim::WideBf16>(d, a, b, EMULATOR_SITE("mma_m16n8k16_bf16"));
}

inline void mma_m16n8k16_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], EMULATOR_SITE_PARAMETERS) {
    shim::mma<shim::WideF16>(d, a, b, EMULATOR_SITE("mma_m16n8k16_f16"));
}

inline void mma_m16n8k32_e4m3(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], EMULATOR_SITE_PARAMETERS) {
    shim::mma<shim::WideE4m3>(d, a, b, EMULATOR_SITE("mma_m16n8k32_e4m3"));
}

inline void ldmatrix_x4(uint32_t (&r)[4], const void* shared, EMULATOR_SITE_PARAMETERS) {
    shim::ldmatrix<4, false>(r, shared, EMULATOR_SITE("ldmatrix_x4"));
}

inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void* shared, EMULATOR_SITE_PARAMETERS) {
    shim::ldmatrix<4, true>(r, shared, EMULATOR_SITE("ldmatrix_x4_trans"));
}

inline void ldmatrix_x2(uint32_t (&r)[2], const void* shared, EMULATOR_SITE_PARAMETERS) {
    shim::ldmatrix<2, false>(r, shared, EMULATOR_SITE("ldmatrix_x2"));
}

inline void ldmatrix_x2_trans(uint32_t (&r)[2], const void* shared, EMULATOR_SITE_PARAMETERS) {
    shim::ldmatrix<2, true>(r, shared, EMULATOR_SITE("ldmatrix_x2_trans"));
}

// Offset in the block's dynamic shared memory, which begins at a multiple of 1024 as on the device.
inline uint32_t shared_address(const void* pointer) {
    return static_cast<uint32_t>(static_cast<const unsigned char*>(pointer) - emulator_thread->dynamic_shared);
}

// ---- asynchronous copies --------------------------------------------------------------------------------------------

// The runtime fills the target with 0xFF at once and copies as late as the waits allow.
inline void cp_async_16(void* shared, const void* global, bool valid = true, EMULATOR_SITE_PARAMETERS) {
    emulator_copy_async(shared, global, 16, valid, EMULATOR_SITE("cp_async_16"));
}

inline void cp_async_commit() { emulator_copy_commit(); }

template <int NEWEST>
inline void cp_async_wait() { emulator_copy_wait(NEWEST); }

inline void mbarrier_init(uint64_t* barrier, uint32_t arrivals, EMULATOR_SITE_PARAMETERS) {
    emulator_mbarrier_init(barrier, arrivals, EMULATOR_SITE("mbarrier_init"));
}

inline void mbarrier_arrive(uint64_t* barrier, EMULATOR_SITE_PARAMETERS) {
    emulator_mbarrier_arrive(barrier, EMULATOR_SITE("mbarrier_arrive"));
}

inline void mbarrier_expect_bytes(uint64_t* barrier, uint32_t bytes, EMULATOR_SITE_PARAMETERS) {
    emulator_mbarrier_expect(barrier, bytes, EMULATOR_SITE("mbarrier_expect_bytes"));
}

inline void mbarrier_arrive_expect_bytes(uint64_t* barrier, uint32_t bytes, EMULATOR_SITE_PARAMETERS) {
    emulator_mbarrier_expect(barrier, bytes, EMULATOR_SITE("mbarrier_arrive_expect_bytes"));
    emulator_mbarrier_arrive(barrier, EMULATOR_SITE("mbarrier_arrive_expect_bytes"));
}

inline void mbarrier_wait(uint64_t* barrier, uint32_t parity, EMULATOR_SITE_PARAMETERS) {
    emulator_mbarrier_wait(barrier, parity, EMULATOR_SITE("mbarrier_wait"));
}

inline void bulk_copy(void* shared, const void* global, uint32_t bytes, uint64_t* barrier, EMULATOR_SITE_PARAMETERS) {
    emulator_bulk_copy(shared, global, bytes, barrier, EMULATOR_SITE("bulk_copy"));
}

inline void fence_barrier_init() { emulator_barriers_visible(); }

// Memory ordering is not modelled, with one exception: products ask for this fence behind cp.async.
inline void fence_async_proxy() { emulator_fence_async_proxy(); }

// ---- loads ----------------------------------------------------------------------------------------------------------

inline uint4 load_streaming(const uint4* pointer, EMULATOR_SITE_PARAMETERS) {
    emulator_require_global(pointer, 16, 16, EMULATOR_SITE("load_streaming"));
    return *pointer;
}

template <typename T>
inline T load_readonly(const T* pointer) {
    static_assert(sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16, "one load");
    return *pointer;
}

inline void prefetch_l2(const void* pointer, uint32_t bytes, EMULATOR_SITE_PARAMETERS) {
    emulator_require_global(pointer, bytes, 16, EMULATOR_SITE("prefetch_l2"));
    if (bytes % 16 != 0) {
        emulator_fail(EMULATOR_SITE("prefetch_l2"), "the size is no multiple of 16");
    }
}

// ---- over a block ----------------------------------------------------------------------------------------------------

inline int thread_index_here() { return static_cast<int>(threadIdx.x); }

// ---- over a warp ----------------------------------------------------------------------------------------------------

inline uint32_t warp_max(uint32_t value) {
    for (int offset = 16; offset > 0; offset /= 2) {
        uint32_t other = __shfl_xor_sync(0xffffffffu, value, offset);
        value = value > other ? value : other;
    }
    return value;
}

inline uint32_t warp_min(uint32_t value) { return ~warp_max(~value); }

// ---- programmatic dependent launch ----------------------------------------------------------------------------------

// Where the order of work is known ahead (in graphs, and with lazy streams) one block of an overlapping launch begins before
// the kernel in front of it: what it reads there before this wait is old, what it writes there is lost.
inline void grid_dependency_wait(EMULATOR_SITE_PARAMETERS) { emulator_grid_wait(EMULATOR_SITE("grid_dependency_wait")); }
inline void grid_dependency_launch() {}
