// kernel_calls.cpp: what kernels call, handed to the worker that runs them.

#include "block.h"

#define KERNEL_CALL extern "C" __attribute__((visibility("default")))

using namespace emulator;

namespace {

Worker& worker() { return *worker_of_this_thread; }

}  // namespace

KERNEL_CALL int emulator_block_barrier(int predicate, Site site) { return worker().block_barrier(predicate, site); }

KERNEL_CALL void emulator_named_barrier(int number, int threads, bool wait, Site site) {
    worker().named_barrier(number, threads, wait, site);
}

KERNEL_CALL const Slot* emulator_exchange(uint32_t mask, const void* value, size_t bytes, Combine combine, const void* context,
                                          bool whole_warp, Site site) {
    return worker().exchange(mask, value, bytes, combine, context, whole_warp, site);
}

KERNEL_CALL void emulator_grid_wait(Site site) { worker().grid_wait(site); }

KERNEL_CALL void emulator_copy_async(void* shared, const void* global, size_t bytes, bool valid, Site site) {
    worker().copy_async(shared, global, bytes, valid, site);
}

KERNEL_CALL void emulator_copy_commit() { worker().copy_commit(); }

KERNEL_CALL void emulator_copy_wait(int newest) { worker().copy_wait(newest); }

KERNEL_CALL void emulator_mbarrier_init(uint64_t* barrier, uint32_t arrivals, Site site) {
    worker().mbarrier_init(barrier, arrivals, site);
}

KERNEL_CALL void emulator_barriers_visible() { worker().barriers_visible(); }

KERNEL_CALL void emulator_mbarrier_arrive(uint64_t* barrier, Site site) { worker().mbarrier_arrive(barrier, site); }

KERNEL_CALL void emulator_mbarrier_expect(uint64_t* barrier, uint32_t bytes, Site site) {
    worker().mbarrier_expect(barrier, bytes, site);
}

KERNEL_CALL void emulator_mbarrier_wait(uint64_t* barrier, uint32_t parity, Site site) {
    worker().mbarrier_wait(barrier, parity, site);
}

KERNEL_CALL void emulator_bulk_copy(void* shared, const void* global, uint32_t bytes, uint64_t* barrier, Site site) {
    worker().bulk_copy(shared, global, bytes, barrier, site);
}

KERNEL_CALL void emulator_tensor_copy(void* shared, const void* map, int32_t x, int32_t y, int32_t z, uint64_t* barrier, Site site) {
    worker().tensor_copy(shared, map, {x, y, z}, barrier, site);
}

KERNEL_CALL void emulator_require_shared(const void* pointer, size_t bytes, size_t alignment, Site site) {
    worker().require_shared(pointer, bytes, alignment, site);
}

KERNEL_CALL void emulator_require_global(const void* pointer, size_t bytes, size_t alignment, Site site) {
    worker().require_global(pointer, bytes, alignment, site);
}

KERNEL_CALL void emulator_require_operand(const void* pointer, size_t bytes, Site site) {
    worker().require_operand(pointer, bytes, site);
}

KERNEL_CALL void emulator_fence_async_proxy() { worker().fence_async_proxy(); }

KERNEL_CALL void emulator_defer_fence() { worker().defer_fence(); }

KERNEL_CALL void emulator_defer(void (*run)(const void*), const void* data, size_t bytes, const void* key, Site site) {
    worker().defer(run, data, bytes, key, site);
}

KERNEL_CALL void emulator_defer_commit() { worker().defer_commit(); }

KERNEL_CALL void emulator_defer_wait(int newest) { worker().defer_wait(newest); }

KERNEL_CALL bool emulator_is_deferred(const void* key) { return worker().is_deferred(key); }

KERNEL_CALL void emulator_pause(Site site) { worker().pause(site); }

KERNEL_CALL void emulator_fail(Site site, const char* text) { worker().fail(site, text); }
