// kernel_interface.h: what a kernel library (a .cu file compiled by g++) asks of the emulator's runtime.
//
// The runtime is libcuda.so.1; a kernel library is linked against it and registers its kernels while it is loaded.

#pragma once

#include <stddef.h>
#include <stdint.h>

namespace emulator {

struct Index {
    unsigned x, y, z;
};

// What kernel code may read of the thread that runs it.
struct ThreadView {
    Index thread_index;
    Index block_index;
    Index block_shape;
    Index grid_shape;
    unsigned lane;
    unsigned char* dynamic_shared;
};

// A place in a kernel's source, for the text of a failure.
struct Site {
    const char* operation;
    const char* file;
    int line;
};

// What one lane brings to a warp operation, and later takes from it.
struct alignas(64) Slot {
    unsigned char bytes[64];
};

// Runs once, in the lane that arrives last, when all others have arrived: turns what the lanes brought into what they get.
using Combine = void (*)(Slot* slots, uint32_t arrived, const void* context);

struct Parameter {
    uint32_t bytes;
    uint32_t alignment;
    bool pointer;
};

struct KernelDescription {
    const char* name;
    const char* file;
    void (*run)(void** arguments);
    const Parameter* parameters;
    int parameter_count;
    int most_threads;  // __launch_bounds__ of the kernel, 0 when it has none
};

}  // namespace emulator

extern "C" {

extern __thread emulator::ThreadView* emulator_thread __attribute__((tls_model("initial-exec")));

void emulator_register(const emulator::KernelDescription* kernel);

// Waits for all threads of the block that have not ended; returns how many of them gave a predicate other than 0.
int emulator_block_barrier(int predicate, emulator::Site site);

// Waits for `threads` threads of the block at the barrier with this number (1 to 15).
void emulator_named_barrier(int number, int threads, bool wait, emulator::Site site);

// Waits for all lanes of `mask` that have not ended. Returns the 32 slots, valid until the lane's next operation.
const emulator::Slot* emulator_exchange(uint32_t mask, const void* value, size_t bytes, emulator::Combine combine,
                                        const void* context, bool whole_warp, emulator::Site site);

void emulator_copy_async(void* shared, const void* global, size_t bytes, bool valid, emulator::Site site);
void emulator_copy_commit();
void emulator_copy_wait(int newest);

void emulator_mbarrier_init(uint64_t* barrier, uint32_t arrivals, emulator::Site site);
// The barriers that this thread has initialised may be used.
void emulator_barriers_visible();
void emulator_mbarrier_arrive(uint64_t* barrier, emulator::Site site);
void emulator_mbarrier_expect(uint64_t* barrier, uint32_t bytes, emulator::Site site);
void emulator_mbarrier_wait(uint64_t* barrier, uint32_t parity, emulator::Site site);
void emulator_bulk_copy(void* shared, const void* global, uint32_t bytes, uint64_t* barrier, emulator::Site site);

// Ends the launch with an error unless the bytes lie in this block's shared memory.
void emulator_require_shared(const void* pointer, size_t bytes, size_t alignment, emulator::Site site);
// Ends the launch with an error unless the bytes lie in one device allocation or in pinned memory.
void emulator_require_global(const void* pointer, size_t bytes, size_t alignment, emulator::Site site);

// Ends the launch with an error unless products may read the bytes: they lie in this block's shared memory, and no cp.async
// has written them whose thread has not called emulator_fence_async_proxy() behind its wait.
void emulator_require_operand(const void* pointer, size_t bytes, emulator::Site site);
void emulator_fence_async_proxy();

// Puts work of this thread aside until it waits for it: `run` gets a copy of the bytes. `key` tells whose result it is. An error
// unless emulator_defer_fence() was called since the last wait.
void emulator_defer_fence();
void emulator_defer(void (*run)(const void* data), const void* data, size_t bytes, const void* key, emulator::Site site);
void emulator_defer_commit();
void emulator_defer_wait(int newest);
bool emulator_is_deferred(const void* key);

// Waits for the end of the kernel before this one, if that one still runs.
void emulator_grid_wait(emulator::Site site);

// Lets other threads of the block run first.
void emulator_pause(emulator::Site site);

[[noreturn]] void emulator_fail(emulator::Site site, const char* text);

}  // extern "C"
