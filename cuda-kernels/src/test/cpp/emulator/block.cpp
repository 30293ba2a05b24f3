// block.cpp: fibers, their order, and their end. Warp operations are in warp.cpp, copies in copies.cpp.

#include "launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>

extern "C" {
__attribute__((visibility("default"))) __thread emulator::ThreadView* emulator_thread
    __attribute__((tls_model("initial-exec"))) = nullptr;

struct TlsIndex {
    unsigned long module;
    unsigned long offset;
};
void* __tls_get_addr(TlsIndex* index);
}

namespace emulator {

namespace {

constexpr size_t PAGE_BYTES = 4096;
constexpr size_t SHARED_PAGES_BYTES = 232 * 1024;  // 227 KiB and some more: the limit is checked at the launch
constexpr size_t SHARED_ALIGNMENT = 1024;
constexpr size_t EMERGENCY_STACK_BYTES = 256 * 1024;
constexpr unsigned char POISON = 0xff;
constexpr unsigned char RED_ZONE = 0x7f;
constexpr int CUDA_ERROR_LAUNCH_FAILED = 719;

unsigned char* map_between_guards(size_t bytes) {
    void* memory = mmap(nullptr, bytes + 2 * PAGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || mprotect(static_cast<unsigned char*>(memory) + PAGE_BYTES, bytes, PROT_READ | PROT_WRITE) != 0) {
        perror("emulator: no memory for a worker");
        abort();
    }
    return static_cast<unsigned char*>(memory) + PAGE_BYTES;
}

Index unravel(uint64_t linear, Index shape) {
    return {static_cast<unsigned>(linear % shape.x), static_cast<unsigned>(linear / shape.x % shape.y),
            static_cast<unsigned>(linear / shape.x / shape.y)};
}

}  // namespace

__thread Worker* worker_of_this_thread __attribute__((tls_model("initial-exec"))) = nullptr;

void Launch::fail(int code, const std::string& text) {
    std::lock_guard lock(failure_lock);
    if (!failed) {
        failure_code = code;
        failure_text = text;
        failed = true;
    }
}

Worker::Worker() : fibers_(&Worker::fiber_main), thread_(pthread_self()) {
    shared_pages_ = map_between_guards(SHARED_PAGES_BYTES);
    emergency_stack_ = map_between_guards(EMERGENCY_STACK_BYTES);
    copied_by_.assign(SHARED_PAGES_BYTES / COPY_BYTES, CopiedBy{NOBODY, false, 0, {}});
}

Worker::~Worker() {
    munmap(shared_pages_ - PAGE_BYTES, SHARED_PAGES_BYTES + 2 * PAGE_BYTES);
    munmap(emergency_stack_ - PAGE_BYTES, EMERGENCY_STACK_BYTES + 2 * PAGE_BYTES);
    worker_of_this_thread = nullptr;
}

Worker& Worker::current() {
    static thread_local std::unique_ptr<Worker> worker;
    if (worker == nullptr) {
        worker = std::make_unique<Worker>();
        worker_of_this_thread = worker.get();
    }
    return *worker;
}

// ---- a block from begin to end --------------------------------------------------------------------------------------

void Worker::run_block(Launch& launch, uint64_t linear_index) {
    begin_block(launch, linear_index);
    begin_watch();
    set_deadline(processor_seconds() + launch.limit_seconds);
    while (alive_ > 0 && !launch.failed) {
        Thread* next = pick();
        if (next != nullptr) {
            resume_from_home(*next);
        } else if (!deliver_one_bulk_copy()) {
            if (at_grid_wait_.empty()) {
                report_hang();
            } else {
                wait_for_predecessor();
            }
        }
    }
    set_deadline(0);
    if (launch.watch != nullptr) {
        launch.watch->forget();
    }
    end_block();
}

void Worker::begin_watch() {
    if (launch_->watch == nullptr) {
        return;
    }
    std::vector<Border> borders = launch_->borders;
    if (launch_->watches_shared) {
        auto red_zone = static_cast<size_t>(dynamic_shared_ - SHARED_ALIGNMENT - shared_pages_);
        size_t first_page = red_zone / PAGE_BYTES * PAGE_BYTES;
        Watch::add_borders(borders, shared_pages_ + first_page, SHARED_PAGES_BYTES - first_page, dynamic_shared_,
                           launch_->shared_bytes, {RED_ZONE, RED_ZONE});
    }
    launch_->watch->begin(borders);
}

void Worker::begin_block(Launch& launch, uint64_t linear_index) {
    launch_ = &launch;
    block_index_ = unravel(linear_index, launch.grid);
    random_ = Random(launch.seed + linear_index * 0xd1342543de82ef95u);
    random_.next();
    uint32_t order = random_.below(4);
    order_ = order == 0 ? Order::FORWARD : order == 1 ? Order::REVERSE : Order::RANDOM;

    size_t reserved = (launch.shared_bytes + SHARED_ALIGNMENT - 1) / SHARED_ALIGNMENT * SHARED_ALIGNMENT;
    dynamic_shared_ = shared_pages_ + SHARED_PAGES_BYTES - reserved;
    memset(dynamic_shared_, POISON, launch.shared_bytes);
    memset(dynamic_shared_ + launch.shared_bytes, RED_ZONE, reserved - launch.shared_bytes);
    memset(dynamic_shared_ - SHARED_ALIGNMENT, RED_ZONE, SHARED_ALIGNMENT);
    static_shared_ = nullptr;
    if (launch.static_shared_module != 0) {
        TlsIndex begin{launch.static_shared_module, 0};
        static_shared_ = static_cast<unsigned char*>(__tls_get_addr(&begin));
        memset(static_shared_, POISON, launch.static_shared_bytes);
    }

    unsigned count = launch.block.x * launch.block.y * launch.block.z;
    threads_.resize(count);
    uint64_t places = 1;
    while (places < count) {
        places *= 2;
    }
    ready_.resize(places);
    ready_mask_ = places - 1;
    warps_.resize((count + 31) / 32);
    alive_ = count;
    first_ready_ = 0;
    end_ready_ = 0;
    for (unsigned i = 0; i < count; i++) {
        Thread& thread = threads_[i];
        thread.thread_index = unravel(i, launch.block);
        thread.block_index = block_index_;
        thread.block_shape = launch.block;
        thread.grid_shape = launch.grid;
        thread.lane = i % 32;
        thread.dynamic_shared = dynamic_shared_;
        thread.number = i;
        thread.fiber = nullptr;
        thread.exchange = nullptr;
        thread.waited_for_grid = false;
        thread.copies.clear();
        thread.group_ends.clear();
        thread.deferred.clear();
        thread.deferred_ends.clear();
        thread.fenced_registers = false;
        thread.proxy_fences = 0;
        make_ready(thread);
    }
    for (size_t i = 0; i < warps_.size(); i++) {
        unsigned lanes = std::min(32u, count - static_cast<unsigned>(i) * 32);
        warps_[i].alive = lanes == 32 ? 0xffffffffu : (1u << lanes) - 1;
        warps_[i].open.clear();
    }
}

void Worker::end_block() {
    current_ = nullptr;
    emulator_thread = nullptr;
    if (launch_->failed) {
        fibers_.abandon_all();
        free_exchanges_.clear();
        for (auto& exchange : exchanges_) {
            free_exchanges_.push_back(exchange.get());
        }
        at_barrier_.clear();
        barrier_predicates_ = 0;
    } else {
        check_shared_red_zone();
        if (!bulk_copies_.empty()) {
            const PendingCopy& copy = bulk_copies_.front();
            launch_->fail(CUDA_ERROR_LAUNCH_FAILED,
                          where(threads_[0]) + ": the block ended while " + std::to_string(bulk_copies_.size()) +
                              " bulk copies were under way, the first from " + copy.site.file + ":" +
                              std::to_string(copy.site.line));
        }
    }
    bulk_copies_.clear();
    at_mbarrier_.clear();
    unfenced_barriers_.clear();
    if (copied_any_) {
        std::fill(copied_by_.begin(), copied_by_.end(), CopiedBy{NOBODY, false, 0, {}});
        copied_any_ = false;
    }
    at_grid_wait_.clear();
    named_barriers_.clear();
    launch_ = nullptr;
}

void Worker::check_shared_red_zone() {
    const unsigned char* end = dynamic_shared_ + launch_->shared_bytes;
    const unsigned char* limit = shared_pages_ + SHARED_PAGES_BYTES;
    for (const unsigned char* p = dynamic_shared_ - SHARED_ALIGNMENT; p < limit; p++) {
        if (p == dynamic_shared_) {
            p = end;
        }
        if (p < limit && *p != RED_ZONE) {
            std::string place = p >= end ? std::to_string(p - end) + " bytes past the end"
                                         : std::to_string(dynamic_shared_ - p) + " bytes before the begin";
            launch_->shared_damage = !launch_->failed;
            launch_->fail(CUDA_ERROR_LAUNCH_FAILED, where(threads_[0]) + " or a thread beside it wrote " + place +
                                                        " of the dynamic shared memory of " +
                                                        std::to_string(launch_->shared_bytes) + " bytes");
            return;
        }
    }
}

// ---- which thread runs ----------------------------------------------------------------------------------------------

void Worker::make_ready(Thread& thread) {
    thread.state = Thread::State::READY;
    ready_[end_ready_++ & ready_mask_] = &thread;
}

Thread* Worker::pick() {
    uint64_t count = end_ready_ - first_ready_;
    if (count == 0) {
        return nullptr;
    }
    switch (order_) {
        case Order::FORWARD:
            break;
        case Order::REVERSE:
            return ready_[--end_ready_ & ready_mask_];
        case Order::RANDOM:
            std::swap(ready_[first_ready_ & ready_mask_],
                      ready_[(first_ready_ + random_.below(static_cast<uint32_t>(count))) & ready_mask_]);
            break;
    }
    return ready_[first_ready_++ & ready_mask_];
}

void Worker::resume_from_home(Thread& thread) {
    if (thread.fiber == nullptr) {
        thread.fiber = fibers_.take();
    }
    current_ = &thread;
    emulator_thread = &thread;
    emulator_switch(&home_, thread.fiber->stack_pointer);
    current_ = nullptr;
    emulator_thread = nullptr;
}

// Puts the running thread aside until somebody has made it ready and it is picked.
void Worker::suspend(Thread::State state, Site site) {
    Thread& self = *current_;
    if (state == Thread::State::READY) {
        make_ready(self);
    } else {
        self.state = state;
    }
    self.site = site;
    Thread* next = pick();
    if (next == &self) {
        return;
    }
    if (next == nullptr) {
        emulator_switch(&self.fiber->stack_pointer, home_);
        return;
    }
    if (next->fiber == nullptr) {
        next->fiber = fibers_.take();
    }
    current_ = next;
    emulator_thread = next;
    emulator_switch(&self.fiber->stack_pointer, next->fiber->stack_pointer);
}

void Worker::pause(Site site) { suspend(Thread::State::READY, site); }

// ---- launches that overlap ------------------------------------------------------------------------------------------

void Worker::grid_wait(Site site) {
    current_->waited_for_grid = true;
    if (launch_->predecessor_runs) {
        at_grid_wait_.push_back(current_);
        suspend(Thread::State::AT_GRID_WAIT, site);
    }
}

// No thread of the block can go on before the predecessor's end.
void Worker::wait_for_predecessor() {
    launch_->early->wait_for_predecessor();
    for (Thread* thread : at_grid_wait_) {
        make_ready(*thread);
    }
    at_grid_wait_.clear();
}

// Body of every fiber: runs CUDA threads one after another. A thread that never waits costs no switch.
void Worker::fiber_main() {
    Worker& worker = *worker_of_this_thread;
    for (;;) {
        worker.launch_->kernel->run(worker.launch_->arguments);
        Thread& ended = *worker.current_;
        worker.end_thread(ended);
        Fiber* fiber = ended.fiber;
        ended.fiber = nullptr;
        Thread* next = worker.pick();
        if (next != nullptr && next->fiber == nullptr) {
            next->fiber = fiber;
            worker.current_ = next;
            emulator_thread = next;
            continue;
        }
        worker.fibers_.give(fiber);
        if (next == nullptr) {
            emulator_switch(&fiber->stack_pointer, worker.home_);
        } else {
            worker.current_ = next;
            emulator_thread = next;
            emulator_switch(&fiber->stack_pointer, next->fiber->stack_pointer);
        }
    }
}

void Worker::end_thread(Thread& thread) {
    release_exchange(thread);
    if (launch_->overlapping && !thread.waited_for_grid) {
        launch_->fail(CUDA_ERROR_LAUNCH_FAILED,
                      where(thread) + " ended without grid_dependency_wait() in a launch that may begin before its predecessor "
                                      "has ended; the kernels behind it would not wait for that one either");
    }
    if (!thread.deferred.empty()) {
        const Site& site = thread.deferred.front().site;
        launch_->fail(CUDA_ERROR_LAUNCH_FAILED,
                      where(thread) + " ended while " + std::to_string(thread.deferred.size()) +
                          " products were under way that it has not waited for, the first from " + site.operation + " in " + site.file +
                          ":" + std::to_string(site.line));
    }
    thread.state = Thread::State::ENDED;
    alive_--;
    Warp& warp = warps_[thread.number / 32];
    warp.alive &= ~(1u << thread.lane);
    // Operations wait only for lanes that have not ended; completing one removes it from the list.
    for (size_t i = 0; i < warp.open.size();) {
        Exchange& open = *warp.open[i];
        if (open.arrived == (open.mask & warp.alive)) {
            complete_exchange(warp, open);
        } else {
            i++;
        }
    }
    if (!at_barrier_.empty() && at_barrier_.size() == alive_) {
        complete_block_barrier();
    }
}

void Worker::leave_for_home() {
    void* nowhere;
    emulator_switch(&nowhere, home_);
    abort();
}

// ---- barriers of the block ------------------------------------------------------------------------------------------

int Worker::block_barrier(int predicate, Site site) {
    Thread& self = *current_;
    if (!at_barrier_.empty()) {
        const Thread& first = *at_barrier_.front();
        if (first.site.line != site.line || !same_text(first.site.file, site.file)) {
            fail(site, "divergent barrier: this thread is at " + std::string(site.operation) + " of " + site.file + ":" +
                           std::to_string(site.line) + ", another, " + where(first) + ", at that of " + first.site.file +
                           ":" + std::to_string(first.site.line));
        }
    }
    barrier_predicates_ += predicate;
    self.site = site;
    at_barrier_.push_back(&self);
    if (at_barrier_.size() == alive_) {
        complete_block_barrier();
        // The last to arrive has no precedence over the others: it is among the ready now.
        self.site = site;
        Thread* next = pick();
        if (next != &self) {
            if (next->fiber == nullptr) {
                next->fiber = fibers_.take();
            }
            current_ = next;
            emulator_thread = next;
            emulator_switch(&self.fiber->stack_pointer, next->fiber->stack_pointer);
        }
    } else {
        suspend(Thread::State::AT_BLOCK_BARRIER, site);
    }
    return self.barrier_result;
}

void Worker::complete_block_barrier() {
    for (Thread* thread : at_barrier_) {
        thread->barrier_result = barrier_predicates_;
        make_ready(*thread);
    }
    at_barrier_.clear();
    barrier_predicates_ = 0;
}

void Worker::named_barrier(int number, int threads, bool wait, Site site) {
    NamedBarrier& barrier = named_barriers_[number];
    if (barrier.arrived > 0 && barrier.threads != threads) {
        fail(site, "named barrier " + std::to_string(number) + " with " + std::to_string(threads) +
                       " threads, and by another thread with " + std::to_string(barrier.threads));
    }
    barrier.threads = threads;
    barrier.arrived++;
    if (barrier.arrived < threads) {
        if (wait) {
            barrier.waiting.push_back(current_);
            suspend(Thread::State::AT_NAMED_BARRIER, site);
        }
        return;
    }
    for (Thread* thread : barrier.waiting) {
        make_ready(*thread);
    }
    barrier = NamedBarrier{};
    pause(site);
}

// ---- failures -------------------------------------------------------------------------------------------------------

std::string Worker::where(const Thread& thread) const {
    char text[256];
    Index t = thread.thread_index;
    snprintf(text, sizeof(text), "kernel %s, block (%u, %u, %u), thread (%u, %u, %u)", launch_->kernel->name, block_index_.x,
             block_index_.y, block_index_.z, t.x, t.y, t.z);
    return text;
}

void Worker::fail(Site site, const std::string& text) { fail(site, text, CUDA_ERROR_LAUNCH_FAILED); }

void Worker::fail(Site site, const std::string& text, int code) {
    launch_->fail(code, where(*current_) + ", " + site.operation + " in " + site.file + ":" + std::to_string(site.line) +
                            ": " + text);
    leave_for_home();
}

void Worker::report_hang() {
    // Threads that wait at the same place for the same reason are one line.
    struct Group {
        const Thread* first;
        int count;
    };
    std::map<std::string, Group> groups;
    unsigned ended = 0;
    for (const Thread& thread : threads_) {
        if (thread.state == Thread::State::ENDED) {
            ended++;
            continue;
        }
        char detail[128] = "";
        if (thread.state == Thread::State::IN_EXCHANGE) {
            const Exchange& exchange = *thread.exchange;
            snprintf(detail, sizeof(detail), " of mask 0x%08x, still without lanes 0x%08x", exchange.mask,
                     exchange.mask & ~exchange.arrived);
        } else if (thread.state == Thread::State::AT_MBARRIER) {
            snprintf(detail, sizeof(detail), ", %s", describe_mbarrier(*thread.mbarrier, thread.parity).c_str());
        }
        std::string key = std::string(thread.site.operation) + " in " + thread.site.file + ":" +
                          std::to_string(thread.site.line) + detail;
        auto [position, added] = groups.try_emplace(key, Group{&thread, 0});
        position->second.count++;
    }
    std::string text = "no thread can go on:";
    const Thread* first = nullptr;
    for (const auto& [key, group] : groups) {
        Index t = group.first->thread_index;
        char who[96];
        snprintf(who, sizeof(who), " %d wait at ", group.count);
        text += who + key;
        snprintf(who, sizeof(who), " (first: thread (%u, %u, %u));", t.x, t.y, t.z);
        text += who;
        first = first == nullptr || group.first->number < first->number ? group.first : first;
    }
    text += " " + std::to_string(ended) + " have ended";
    launch_->fail(CUDA_ERROR_LAUNCH_FAILED, where(*first) + ": " + text);
}

}  // namespace emulator
