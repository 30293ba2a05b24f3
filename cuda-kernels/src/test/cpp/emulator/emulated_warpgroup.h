// emulated_warpgroup.h: the second half of warpgroup.cuh under g++, with the same names and contracts.
//
// A product is put aside and d filled with NaN when it is issued; it is computed when the thread waits for it, from what
// its tiles hold then. Each thread computes its own fragment, by decoding the descriptor. Fences are not modelled.

#pragma once

#include <string.h>

// Tensor maps are parameters with an alignment of 64; nobody links these kernels with what a GCC before 4.6 compiled.
#pragma GCC diagnostic ignored "-Wpsabi"

// A box of a tensor map of three dimensions, from these coordinates on, fastest first. Of the runtime, like kernel_interface.h.
extern "C" void emulator_tensor_copy(void* shared, const void* map, int32_t x, int32_t y, int32_t z, uint64_t* barrier,
                                     emulator::Site site);

namespace shim {

struct WideWgmmaBf16 {
    static constexpr int K = 16;
    static float element(const unsigned char* row, int k) {
        uint16_t bits;
        memcpy(&bits, row + 2 * k, sizeof(bits));
        return to_float(bf16{bits});
    }
};

struct WideWgmmaE4m3 {
    static constexpr int K = 32;
    static float element(const unsigned char* row, int k) { return to_float(e4m3{row[k]}); }
};

constexpr int WGMMA_ROW_BYTES = 32;

// Copies the 32 bytes of row `row` of an operand out of shared memory.
inline void gather_row(unsigned char* target, uint64_t operand, int row, const emulator::Site& site) {
    if (operand >> 62 != 1) {
        emulator_fail(site, "the operand's descriptor has another swizzle than 128 bytes");
    }
    uint64_t begin = (operand & 0x3fffu) << 4;
    uint64_t group_stride = (operand >> 32 & 0x3fffu) << 4;
    if ((begin & 0x390) != 0) {
        emulator_fail(site, "the operand's tile is not aligned to 1024 bytes, or its step of K not to 32");
    }
    for (int piece = 0; piece < WGMMA_ROW_BYTES; piece += 16) {
        uint64_t offset = begin + static_cast<uint64_t>(row / 8) * group_stride + static_cast<uint64_t>(row % 8) * 128 + piece;
        const unsigned char* source = emulator_thread->dynamic_shared + swizzled(static_cast<uint32_t>(offset));
        emulator_require_shared(source, 16, 16, site);
        memcpy(target + piece, source, 16);
    }
}

struct WarpgroupProduct {
    float* d;
    float begin[128];  // what d held when it was issued, unless an earlier product of the same d was under way
    bool has_begin;
    bool accumulate;
    bool a_in_registers;
    int columns;
    unsigned char a_rows[2][WGMMA_ROW_BYTES];  // this thread's two rows, when a came in registers
    uint64_t a;
    uint64_t b;
    emulator::Site site;
};

inline int thread_of_warpgroup() {
    const emulator::ThreadView& view = *emulator_thread;
    return static_cast<int>(view.thread_index.x + view.block_shape.x * (view.thread_index.y + view.block_shape.y * view.thread_index.z)) % 128;
}

template <typename Format>
inline void multiply_warpgroup(const void* data) {
    const WarpgroupProduct& product = *static_cast<const WarpgroupProduct*>(data);
    constexpr int K = Format::K;
    int thread = thread_of_warpgroup();
    int first_row = thread / 32 * 16 + thread % 32 / 4;
    float* d = product.d;
    size_t bytes = static_cast<size_t>(product.columns) / 2 * sizeof(float);
    if (product.has_begin) {
        memcpy(d, product.begin, bytes);
    }
    if (!product.accumulate) {
        memset(d, 0, bytes);
    }
    float a[2][K];
    for (int half = 0; half < 2; half++) {
        unsigned char row[WGMMA_ROW_BYTES];
        if (product.a_in_registers) {
            memcpy(row, product.a_rows[half], sizeof(row));
        } else {
            gather_row(row, product.a, first_row + 8 * half, product.site);
        }
        for (int k = 0; k < K; k++) {
            a[half][k] = Format::element(row, k);
        }
    }
    for (int i = 0; i < product.columns / 4; i++) {
        int column = i / 2 * 8 + 2 * (thread % 4) + i % 2;
        unsigned char row[WGMMA_ROW_BYTES];
        gather_row(row, product.b, column, product.site);
        float b[K];
        for (int k = 0; k < K; k++) {
            b[k] = Format::element(row, k);
        }
        for (int half = 0; half < 2; half++) {
            float& sum = d[i / 2 * 4 + 2 * half + i % 2];
            for (int k = 0; k < K; k++) {
                sum += a[half][k] * b[k];
            }
        }
    }
}

template <typename Format>
inline void issue_warpgroup(WarpgroupProduct& product, float* d, int columns, uint64_t b, bool accumulate, emulator::Site site) {
    size_t bytes = static_cast<size_t>(columns) / 2 * sizeof(float);
    product.d = d;
    product.columns = columns;
    product.b = b;
    product.accumulate = accumulate;
    product.site = site;
    product.has_begin = !emulator_is_deferred(d);
    if (product.has_begin) {
        memcpy(product.begin, d, bytes);
        memset(d, 0xff, bytes);
    }
    emulator_defer(&multiply_warpgroup<Format>, &product, sizeof(product), d);
}

template <typename Format>
inline void issue_from_shared(float* d, int columns, uint64_t a, uint64_t b, bool accumulate, emulator::Site site) {
    emulator_exchange(0xffffffffu, nullptr, 0, nullptr, nullptr, true, site);  // all lanes, or an error
    WarpgroupProduct product;
    product.a_in_registers = false;
    product.a = a;
    issue_warpgroup<Format>(product, d, columns, b, accumulate, site);
}

// A row's bytes lie in the four lanes that share it: register 0 and 2 of each for the first row, 1 and 3 for the second.
template <typename Format>
inline void issue_from_registers(float* d, int columns, const uint32_t (&a)[4], uint64_t b, bool accumulate, emulator::Site site) {
    struct Registers {
        uint32_t words[4];
    };
    Registers mine;
    memcpy(mine.words, a, sizeof(mine.words));
    const emulator::Slot* slots = emulator_exchange(0xffffffffu, &mine, sizeof(mine), nullptr, nullptr, true, site);
    WarpgroupProduct product;
    product.a_in_registers = true;
    for (unsigned position = 0; position < 4; position++) {
        const Registers& theirs = lane_value<Registers>(slots, emulator_thread->lane / 4 * 4 + position);
        for (int half = 0; half < 2; half++) {
            memcpy(product.a_rows[half] + 4 * position, &theirs.words[half], 4);
            memcpy(product.a_rows[half] + 16 + 4 * position, &theirs.words[half + 2], 4);
        }
    }
    issue_warpgroup<Format>(product, d, columns, b, accumulate, site);
}

}  // namespace shim

inline void wgmma_fence() {}

inline void wgmma_commit() { emulator_defer_commit(); }

template <int NEWEST>
inline void wgmma_wait() { emulator_defer_wait(NEWEST); }

template <int N>
inline void wgmma_bf16(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate, EMULATOR_SITE_PARAMETERS) {
    shim::issue_from_shared<shim::WideWgmmaBf16>(d, N, a, b, accumulate, EMULATOR_SITE("wgmma_bf16"));
}

template <int N>
inline void wgmma_e4m3(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate, EMULATOR_SITE_PARAMETERS) {
    shim::issue_from_shared<shim::WideWgmmaE4m3>(d, N, a, b, accumulate, EMULATOR_SITE("wgmma_e4m3"));
}

template <int N>
inline void wgmma_bf16(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate, EMULATOR_SITE_PARAMETERS) {
    shim::issue_from_registers<shim::WideWgmmaBf16>(d, N, a, b, accumulate, EMULATOR_SITE("wgmma_bf16"));
}

template <int N>
inline void wgmma_e4m3(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate, EMULATOR_SITE_PARAMETERS) {
    shim::issue_from_registers<shim::WideWgmmaE4m3>(d, N, a, b, accumulate, EMULATOR_SITE("wgmma_e4m3"));
}

inline void tensor_copy(void* shared, const TensorMap* map, int byte, int row, int matrix, uint64_t* barrier, EMULATOR_SITE_PARAMETERS) {
    emulator_tensor_copy(shared, map, byte, row, matrix, barrier, EMULATOR_SITE("tensor_copy"));
}

inline void tensor_map_prefetch(const TensorMap*) {}

// Registers are not counted.
template <int REGISTERS>
inline void warpgroup_release_registers() {}

template <int REGISTERS>
inline void warpgroup_take_registers() {}

inline void named_barrier_sync(int number, int threads, EMULATOR_SITE_PARAMETERS) {
    emulator_named_barrier(number, threads, true, EMULATOR_SITE("named_barrier_sync"));
}

inline void named_barrier_arrive(int number, int threads, EMULATOR_SITE_PARAMETERS) {
    emulator_named_barrier(number, threads, false, EMULATOR_SITE("named_barrier_arrive"));
}
