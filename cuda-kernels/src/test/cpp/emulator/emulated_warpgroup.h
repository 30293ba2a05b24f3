// emulated_warpgroup.h: the second half of warpgroup.cuh under g++, with the same names and contracts.
//
// A product is put aside and d filled with NaN when it is issued; it is computed when the thread waits for it, from what
// its tiles hold then. Each thread computes its own fragment, by decoding the descriptor. wgmma_fence() is asked for before
// the first product and after each wait, behind which registers may have been touched; a thread that ends with products that
// it has not waited for is an error. fence_async_proxy() is asked for between cp.async and the products (copies.cpp).

#pragma once

#include <immintrin.h>
#include <string.h>

// Tensor maps are parameters with an alignment of 64; nobody links these kernels with what a GCC before 4.6 compiled.
#pragma GCC diagnostic ignored "-Wpsabi"

// A box of a tensor map of three dimensions, from these coordinates on, fastest first. Of the runtime, like kernel_interface.h.
extern "C" void emulator_tensor_copy(void* shared, const void* map, int32_t x, int32_t y, int32_t z, uint64_t* barrier,
                                     emulator::Site site);

namespace shim {

// A number format of operands: 32 bytes of a row are K numbers.
struct WideWgmmaBf16 {
    static constexpr int K = 16;
    static float element(const unsigned char* bytes) {
        uint16_t bits;
        memcpy(&bits, bytes, sizeof(bits));
        return to_float(bf16{bits});
    }
};

struct WideWgmmaF16 {
    static constexpr int K = 16;
    static float element(const unsigned char* bytes) {
        uint16_t bits;
        memcpy(&bits, bytes, sizeof(bits));
        return _cvtsh_ss(bits);
    }
};

struct WideWgmmaE4m3 {
    static constexpr int K = 32;
    static float element(const unsigned char* bytes) { return to_float(e4m3{*bytes}); }
};

constexpr int WGMMA_ROW_BYTES = 32;
constexpr int MOST_COLUMNS = 256;
constexpr uint64_t WGMMA_PIECE_BYTES = 16;
constexpr uint64_t WGMMA_GROUP_BYTES = 1024;  // eight rows of 128 bytes

// The fields of a descriptor, in bytes.
struct WgmmaOperand {
    uint64_t begin;
    uint64_t leading;
    uint64_t stride;

    static WgmmaOperand of(uint64_t bits, const emulator::Site& site) {
        if (bits >> 62 != 1) {
            emulator_fail(site, "the operand's descriptor has another swizzle than 128 bytes");
        }
        return WgmmaOperand{(bits & 0x3fffu) << 4, (bits >> 16 & 0x3fffu) << 4, (bits >> 32 & 0x3fffu) << 4};
    }
};

// The piece of 16 bytes that lies at this offset without the swizzle.
inline const unsigned char* wgmma_piece(uint64_t offset, const emulator::Site& site) {
    const unsigned char* piece = emulator_thread->dynamic_shared + swizzled(static_cast<uint32_t>(offset));
    emulator_require_operand(piece, WGMMA_PIECE_BYTES, site);
    return piece;
}

// Copies the 32 bytes of row `row` of an operand with K fastest out of shared memory.
inline void gather_row(unsigned char* target, const WgmmaOperand& operand, int row, const emulator::Site& site) {
    if ((operand.begin & 0x390) != 0) {
        emulator_fail(site, "the operand's tile is not aligned to 1024 bytes, or its step of K not to 32");
    }
    uint64_t offset = operand.begin + static_cast<uint64_t>(row / 8) * operand.stride + static_cast<uint64_t>(row % 8) * 128;
    for (uint64_t piece = 0; piece < WGMMA_ROW_BYTES; piece += WGMMA_PIECE_BYTES) {
        memcpy(target + piece, wgmma_piece(offset + piece, site), WGMMA_PIECE_BYTES);
    }
}

struct WarpgroupProduct {
    float* d;
    float begin[MOST_COLUMNS / 2];  // what d held when it was issued, unless an earlier product of the same d was under way
    bool has_begin;
    bool accumulate;
    bool a_in_registers;
    bool b_by_rows;
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

// b[k][i] of this thread's column i of an operand with K fastest.
template <typename Format>
inline void take_columns(float (*b)[MOST_COLUMNS / 4], const WarpgroupProduct& product) {
    WgmmaOperand operand = WgmmaOperand::of(product.b, product.site);
    constexpr int BYTES = WGMMA_ROW_BYTES / Format::K;
    for (int i = 0; i < product.columns / 4; i++) {
        unsigned char row[WGMMA_ROW_BYTES];
        gather_row(row, operand, i / 2 * 8 + 2 * (thread_of_warpgroup() % 4) + i % 2, product.site);
        for (int k = 0; k < Format::K; k++) {
            b[k][i] = Format::element(row + k * BYTES);
        }
    }
}

// The same of an operand with N fastest, two bytes a number: the thread's pairs of columns lie side by side.
template <typename Format>
inline void take_columns_by_rows(float (*b)[MOST_COLUMNS / 4], const WarpgroupProduct& product) {
    WgmmaOperand operand = WgmmaOperand::of(product.b, product.site);
    if (operand.begin % WGMMA_GROUP_BYTES != 0 || (product.columns > 64 && operand.leading % WGMMA_GROUP_BYTES != 0)) {
        emulator_fail(product.site, "a step of K of the operand by rows, or its next columns, is not aligned to 1024 bytes");
    }
    for (int k = 0; k < Format::K; k++) {
        for (int i = 0; i < product.columns / 4; i += 2) {
            int column = i / 2 * 8;
            uint64_t offset = operand.begin + static_cast<uint64_t>(column / 64) * operand.leading +
                              static_cast<uint64_t>(k / 8) * operand.stride + static_cast<uint64_t>(k % 8 * 128 + column % 64 * 2);
            const unsigned char* pair = wgmma_piece(offset, product.site) + 4 * (thread_of_warpgroup() % 4);
            b[k][i] = Format::element(pair);
            b[k][i + 1] = Format::element(pair + 2);
        }
    }
}

// Products are exact in fp32; they are added in fp32 in ascending k, beginning with the accumulator, all of this thread's columns
// of a row side by side.
template <typename Format>
inline void multiply_warpgroup(const void* data) {
    const WarpgroupProduct& product = *static_cast<const WarpgroupProduct*>(data);
    constexpr int K = Format::K;
    constexpr int BYTES = WGMMA_ROW_BYTES / K;
    int thread = thread_of_warpgroup();
    int first_row = thread / 32 * 16 + thread % 32 / 4;
    int mine = product.columns / 4;
    float* d = product.d;
    size_t bytes = static_cast<size_t>(product.columns) / 2 * sizeof(float);
    if (product.has_begin) {
        memcpy(d, product.begin, bytes);
    }
    if (!product.accumulate) {
        memset(d, 0, bytes);
    }
    alignas(32) float b[K][MOST_COLUMNS / 4];
    if (product.b_by_rows) {
        take_columns_by_rows<Format>(b, product);
    } else {
        take_columns<Format>(b, product);
    }
    for (int half = 0; half < 2; half++) {
        unsigned char row[WGMMA_ROW_BYTES];
        if (product.a_in_registers) {
            memcpy(row, product.a_rows[half], sizeof(row));
        } else {
            gather_row(row, WgmmaOperand::of(product.a, product.site), first_row + 8 * half, product.site);
        }
        alignas(32) float sums[MOST_COLUMNS / 4];
        for (int i = 0; i < mine; i++) {
            sums[i] = d[i / 2 * 4 + 2 * half + i % 2];
        }
        for (int k = 0; k < K; k++) {
            float left = Format::element(row + k * BYTES);
            for (int i = 0; i < mine; i++) {
                sums[i] += left * b[k][i];
            }
        }
        for (int i = 0; i < mine; i++) {
            d[i / 2 * 4 + 2 * half + i % 2] = sums[i];
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
    emulator_defer(&multiply_warpgroup<Format>, &product, sizeof(product), d, site);
}

template <typename Format>
inline void issue_from_shared(float* d, int columns, uint64_t a, uint64_t b, bool accumulate, emulator::Site site) {
    emulator_exchange(0xffffffffu, nullptr, 0, nullptr, nullptr, true, site);  // all lanes, or an error
    WarpgroupProduct product;
    product.a_in_registers = false;
    product.b_by_rows = false;
    product.a = a;
    issue_warpgroup<Format>(product, d, columns, b, accumulate, site);
}

// A row's bytes lie in the four lanes that share it: register 0 and 2 of each for the first row, 1 and 3 for the second.
template <typename Format>
inline void issue_from_registers(float* d, int columns, const uint32_t (&a)[4], uint64_t b, bool accumulate, emulator::Site site,
                                 bool b_by_rows = false) {
    struct Registers {
        uint32_t words[4];
    };
    Registers mine;
    memcpy(mine.words, a, sizeof(mine.words));
    const emulator::Slot* slots = emulator_exchange(0xffffffffu, &mine, sizeof(mine), nullptr, nullptr, true, site);
    WarpgroupProduct product;
    product.a_in_registers = true;
    product.b_by_rows = b_by_rows;
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

template <int COUNT>
inline void hold_registers(float (&)[COUNT]) {}

template <int ROWS, int COUNT>
inline void hold_registers(uint32_t (&)[ROWS][COUNT]) {}

inline void stay_behind(float) {}

inline void wgmma_fence() { emulator_defer_fence(); }

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

template <int N>
inline void wgmma_f16(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate, EMULATOR_SITE_PARAMETERS) {
    shim::issue_from_shared<shim::WideWgmmaF16>(d, N, a, b, accumulate, EMULATOR_SITE("wgmma_f16"));
}

template <int N>
inline void wgmma_bf16_by_rows(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate, EMULATOR_SITE_PARAMETERS) {
    shim::issue_from_registers<shim::WideWgmmaBf16>(d, N, a, b, accumulate, EMULATOR_SITE("wgmma_bf16_by_rows"), true);
}

template <int N>
inline void wgmma_f16_by_rows(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate, EMULATOR_SITE_PARAMETERS) {
    shim::issue_from_registers<shim::WideWgmmaF16>(d, N, a, b, accumulate, EMULATOR_SITE("wgmma_f16_by_rows"), true);
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
