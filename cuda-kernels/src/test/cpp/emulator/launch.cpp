// launch.cpp: see launch.h.

#include "launch.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "faults.h"

namespace emulator {

namespace {

std::vector<uint32_t> shuffled(uint64_t count, Random& random) {
    std::vector<uint32_t> order(count);
    std::iota(order.begin(), order.end(), 0u);
    for (uint64_t i = count; i > 1; i--) {
        std::swap(order[i - 1], order[random.below(static_cast<uint32_t>(i))]);
    }
    return order;
}

// Signals of the process are for other threads, faults are for this one.
void start_thread(std::function<void()> body) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) {
        sigdelset(&all, signal);
    }
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread(std::move(body)).detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace

// ---- endless loops --------------------------------------------------------------------------------------------------

void Watchdog::add(Worker& worker) {
    std::lock_guard guard(lock_);
    workers_.push_back(&worker);
    if (!started_) {
        started_ = true;
        start_thread([this] { watch(); });
    }
    changed_.notify_all();
}

void Watchdog::remove(Worker& worker) {
    std::lock_guard guard(lock_);
    workers_.erase(std::find(workers_.begin(), workers_.end(), &worker));
}

void Watchdog::watch() {
    std::unique_lock guard(lock_);
    for (;;) {
        changed_.wait(guard, [this] { return !workers_.empty(); });
        guard.unlock();
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        guard.lock();
        for (Worker* worker : workers_) {
            worker->interrupt_if_overdue();
        }
    }
}

// ---- a block before its time ----------------------------------------------------------------------------------------

void EarlyBlock::begin(Launch& launch, uint64_t block) {
    std::unique_lock guard(lock_);
    if (!started_) {
        started_ = true;
        start_thread([this] { run_blocks(); });
    }
    launch.early = this;
    launch.predecessor_runs = true;
    launch_ = &launch;
    block_ = block;
    state_ = State::RUNNING;
    changed_.notify_all();
    changed_.wait(guard, [this] { return state_ != State::RUNNING; });
}

void EarlyBlock::release() {
    std::lock_guard guard(lock_);
    launch_->predecessor_runs = false;
    if (state_ == State::WAITING) {
        state_ = State::RUNNING;
        changed_.notify_all();
    }
}

void EarlyBlock::finish() {
    std::unique_lock guard(lock_);
    changed_.wait(guard, [this] { return state_ == State::ENDED; });
    state_ = State::IDLE;
    launch_ = nullptr;
}

void EarlyBlock::wait_for_predecessor() {
    std::unique_lock guard(lock_);
    state_ = State::WAITING;
    changed_.notify_all();
    changed_.wait(guard, [this] { return state_ == State::RUNNING; });
}

void EarlyBlock::run_blocks() {
    SignalStack stack;
    Worker& worker = Worker::current();
    std::unique_lock guard(lock_);
    for (;;) {
        changed_.wait(guard, [this] { return state_ == State::RUNNING; });
        guard.unlock();
        watchdog_.add(worker);
        worker.run_block(*launch_, block_);
        watchdog_.remove(worker);
        guard.lock();
        state_ = State::ENDED;
        changed_.notify_all();
    }
}

// ---- launches -------------------------------------------------------------------------------------------------------

void BlockRunner::run(Launch& launch, int workers, uint64_t without) {
    uint64_t blocks = static_cast<uint64_t>(launch.grid.x) * launch.grid.y * launch.grid.z;
    Random random(launch.seed ^ 0x5851f42d4c957f2du);
    std::vector<uint32_t> order = shuffled(blocks, random);
    std::atomic<uint64_t> next{0};
    auto job = [&] {
        SignalStack stack;
        Worker& worker = Worker::current();
        watchdog_.add(worker);
        for (uint64_t i = next++; i < blocks && !launch.failed; i = next++) {
            if (order[i] != without && order[i] >= launch.first_block) {
                worker.run_block(launch, order[i]);
            }
        }
        watchdog_.remove(worker);
    };
    int helpers = static_cast<int>(std::min<uint64_t>(static_cast<uint64_t>(workers), blocks)) - 1;
    if (helpers <= 0) {
        job();
        return;
    }
    ensure_helpers(helpers);
    {
        std::lock_guard guard(lock_);
        job_ = job;
        wanted_ = helpers;
    }
    work_.notify_all();
    job();
    std::unique_lock guard(lock_);
    wanted_ = 0;
    done_.wait(guard, [this] { return running_ == 0; });
    job_ = nullptr;
}

EarlyBlock& BlockRunner::idle_early_block() {
    for (auto& block : early_) {
        if (block->is_idle()) {
            return *block;
        }
    }
    early_.push_back(std::make_unique<EarlyBlock>(watchdog_));
    return *early_.back();
}

void BlockRunner::ensure_helpers(int count) {
    while (helpers_ < count) {
        helpers_++;
        start_thread([this] { help(); });
    }
}

void BlockRunner::help() {
    std::unique_lock guard(lock_);
    for (;;) {
        work_.wait(guard, [this] { return wanted_ > 0; });
        wanted_--;
        running_++;
        std::function<void()> job = job_;
        guard.unlock();
        job();
        guard.lock();
        running_--;
        done_.notify_all();
    }
}

}  // namespace emulator
