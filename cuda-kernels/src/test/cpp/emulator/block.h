// block.h: runs one block of CUDA threads, one fiber each, on the calling thread of the operating system.

#pragma once

#include <stddef.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fiber.h"
#include "kernel_interface.h"
#include "memory.h"
#include "random.h"
#include "tensor_map.h"
#include "watch.h"

namespace emulator {

class EarlyBlock;

// One launch of a kernel, shared by the workers that run its blocks.
struct Launch {
    const KernelDescription* kernel;
    Index grid;
    Index block;
    size_t shared_bytes;
    void** arguments;
    size_t static_shared_module;  // number of the library's thread-local segment, 0 when it has none
    size_t static_shared_bytes;
    const void* code_begin;  // of the kernel's library
    const void* code_end;
    double limit_seconds;  // processor time of one block
    const Memory* memory;
    uint64_t seed;
    bool overlapping = false;  // may begin before its predecessor has ended, so every thread has to wait for that
    EarlyBlock* early = nullptr;  // runs the block that begins before; null: none does
    std::atomic<bool> predecessor_runs{false};
    uint64_t first_block = 0;  // those before it do not run
    Watch* watch = nullptr;  // null: what happens beside allocations is seen behind the launch, and beside shared memory behind the block
    std::vector<Border> borders;  // to be watched, and those of shared memory with them
    bool watches_shared = false;

    std::atomic<bool> failed{false};
    std::mutex failure_lock;
    int failure_code = 0;
    std::string failure_text;
    bool out_of_bounds = false;   // the failure is an access of one thread to memory that is not its own
    bool shared_damage = false;  // the failure is one of these that was seen only behind its block

    void fail(int code, const std::string& text);
};

// A copy from global to shared memory that somebody has yet to wait for.
struct PendingCopy {
    unsigned char* target;
    const unsigned char* source;  // null: zeros
    uint32_t bytes;
    uint64_t* barrier;  // bulk copies only
    Site site;
    std::shared_ptr<const TensorBox> box = nullptr;  // in place of `source`
};

// A computation that its thread has yet to wait for.
struct DeferredWork {
    void (*run)(const void* data);
    std::vector<unsigned char> data;
    const void* key;
    Site site;
};

// Who writes 16 bytes of dynamic shared memory by cp.async, or has written them, and how often that thread had called
// fence_async_proxy() then.
struct CopiedBy {
    unsigned thread;
    bool under_way;
    uint64_t proxy_fences;
    Site site;
};

struct Exchange {
    uint32_t mask;
    uint32_t arrived;
    uint32_t readers;
    bool complete;
    bool whole_warp;
    Combine combine;
    const void* context;
    Site site;
    Slot slots[32];
};

struct Thread : ThreadView {
    enum class State { READY, IN_EXCHANGE, AT_BLOCK_BARRIER, AT_NAMED_BARRIER, AT_MBARRIER, AT_GRID_WAIT, ENDED };

    unsigned number;
    State state;
    Fiber* fiber;
    Site site;
    Exchange* exchange;  // waited for, or still being read
    uint64_t* mbarrier;
    uint32_t parity;
    int barrier_result;
    bool waited_for_grid;
    std::vector<PendingCopy> copies;
    std::vector<size_t> group_ends;  // into copies
    std::vector<DeferredWork> deferred;
    std::vector<size_t> deferred_ends;  // into deferred
    bool fenced_registers;  // since the last wait for deferred work
    uint64_t proxy_fences;  // calls of fence_async_proxy()
};

struct Warp {
    uint32_t alive;
    std::vector<Exchange*> open;
};

struct NamedBarrier {
    int threads = 0;
    int arrived = 0;
    std::vector<Thread*> waiting;
};

// Names of files and operations, which are mostly the same constant.
inline bool same_text(const char* a, const char* b) { return a == b || strcmp(a, b) == 0; }

// State of a barrier in shared memory, for somebody who waits for the phase with this parity to end.
std::string describe_mbarrier(uint64_t word, uint32_t parity);

// One per thread of the operating system that runs blocks.
class Worker {
public:
    Worker();
    ~Worker();

    Worker(const Worker&) = delete;

    // The calling thread's worker.
    static Worker& current();

    void run_block(Launch& launch, uint64_t linear_index);

    // ---- called by the fibers ----
    int block_barrier(int predicate, Site site);
    void named_barrier(int number, int threads, bool wait, Site site);
    const Slot* exchange(uint32_t mask, const void* value, size_t bytes, Combine combine, const void* context,
                         bool whole_warp, Site site);
    void pause(Site site);
    void grid_wait(Site site);
    void copy_async(void* shared, const void* global, size_t bytes, bool valid, Site site);
    void copy_commit();
    void copy_wait(int newest);
    void mbarrier_init(uint64_t* barrier, uint32_t arrivals, Site site);
    void barriers_visible();
    void mbarrier_arrive(uint64_t* barrier, Site site);
    void mbarrier_expect(uint64_t* barrier, uint32_t bytes, Site site);
    void mbarrier_wait(uint64_t* barrier, uint32_t parity, Site site);
    void bulk_copy(void* shared, const void* global, uint32_t bytes, uint64_t* barrier, Site site);
    void tensor_copy(void* shared, const void* map, const int32_t (&at)[3], uint64_t* barrier, Site site);
    void defer_fence();
    void defer(void (*run)(const void* data), const void* data, size_t bytes, const void* key, Site site);
    void defer_commit();
    void defer_wait(int newest);
    bool is_deferred(const void* key) const;
    void fence_async_proxy();
    void require_operand(const void* pointer, size_t bytes, Site site);
    void require_shared(const void* pointer, size_t bytes, size_t alignment, Site site);
    void require_global(const void* pointer, size_t bytes, size_t alignment, Site site);
    [[noreturn]] void fail(Site site, const std::string& text);
    [[noreturn]] void fail(Site site, const std::string& text, int code);

    // ---- called by the watchdog, on its own thread ----
    // Interrupts a block that has taken more processor time than its limit.
    void interrupt_if_overdue();

    // ---- called by the handler of faults ----
    bool in_kernel() const { return current_ != nullptr; }
    // A signal of the watchdog: to be ignored unless the block is overdue and the kernel's own code was interrupted, which
    // holds no locks.
    bool is_interruption(int signal, const void* info) const;
    bool can_be_ended_here(const void* context) const;
    // An access to a watched page that may go on, or the end of its one instruction. Async-signal-safe.
    bool pass_watched_access(int signal, void* info, void* context);
    // Makes the interrupted thread go on in land_after_fault. Async-signal-safe.
    void redirect_fault(int signal, void* info, void* context);

private:
    enum class Order { FORWARD, REVERSE, RANDOM };

    static void fiber_main();
    [[noreturn]] static void land_after_fault();

    void begin_block(Launch& launch, uint64_t linear_index);
    void end_block();
    void end_thread(Thread& thread);
    void make_ready(Thread& thread);
    Thread* pick();
    void resume_from_home(Thread& thread);
    void suspend(Thread::State state, Site site);
    [[noreturn]] void leave_for_home();

    Exchange* new_exchange();
    void release_exchange(Thread& thread);
    void complete_exchange(Warp& warp, Exchange& exchange);
    void complete_block_barrier();

    static constexpr size_t COPY_BYTES = 16;
    static constexpr unsigned NOBODY = ~0u;

    bool is_shared(const void* pointer, size_t bytes) const;
    CopiedBy* copied_by(const void* shared);  // null: not in dynamic shared memory
    void land_copy(const PendingCopy& copy);
    void land_box(const PendingCopy& copy);
    bool deliver_one_bulk_copy();
    void wait_for_predecessor();
    void mbarrier_step(uint64_t* barrier, uint64_t state);
    uint64_t mbarrier_state(uint64_t* barrier, Site site);

    std::string where(const Thread& thread) const;
    std::string describe_address(const void* address) const;
    void report_hang();
    void check_shared_red_zone();
    void begin_watch();

    double processor_seconds() const;
    void set_deadline(double seconds);

    FiberPool fibers_;
    pthread_t thread_;
    // Shared with the watchdog.
    std::mutex limit_lock_;
    double deadline_seconds_ = 0;  // in processor time of this thread; 0: no block is running
    std::atomic<bool> overdue_{false};

    unsigned char* shared_pages_;  // dynamic shared memory ends before the guard page behind these
    unsigned char* emergency_stack_;
    Random random_;

    Launch* launch_ = nullptr;
    Index block_index_{};
    unsigned char* dynamic_shared_ = nullptr;
    unsigned char* static_shared_ = nullptr;
    Order order_ = Order::RANDOM;

    std::vector<Thread> threads_;
    std::vector<Warp> warps_;
    unsigned alive_ = 0;
    Thread* current_ = nullptr;
    void* home_ = nullptr;

    std::vector<Thread*> ready_;  // a ring; first_ready_ counts up without end
    uint64_t ready_mask_ = 0;     // its size is a power of two, and this is one less
    uint64_t first_ready_ = 0;
    uint64_t end_ready_ = 0;

    std::vector<Thread*> at_barrier_;
    int barrier_predicates_ = 0;
    std::map<int, NamedBarrier> named_barriers_;
    std::vector<Thread*> at_mbarrier_;
    std::map<uint64_t*, Thread*> unfenced_barriers_;  // initialised by whom, without a fence behind
    std::vector<Thread*> at_grid_wait_;
    std::vector<PendingCopy> bulk_copies_;
    std::vector<CopiedBy> copied_by_;  // for each 16 bytes of shared_pages_
    bool copied_any_ = false;          // in this block

    std::vector<std::unique_ptr<Exchange>> exchanges_;
    std::vector<Exchange*> free_exchanges_;

    // What the handler of faults leaves for land_after_fault.
    int fault_signal_ = 0;
    int fault_code_ = 0;
    void* fault_address_ = nullptr;
    bool fault_is_write_ = false;
};

// Where the handler of faults finds the worker: in static thread storage, which no first access has to allocate.
extern __thread Worker* worker_of_this_thread __attribute__((tls_model("initial-exec")));

}  // namespace emulator
