// launch.h: runs the blocks of a launch, in an order drawn from the seed, on a few threads, under a watchdog.

#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "block.h"

namespace emulator {

// Looks at the workers that run blocks, from a thread of its own, and interrupts those that run too long.
class Watchdog {
public:
    void add(Worker& worker);
    void remove(Worker& worker);

private:
    void watch();

    std::mutex lock_;
    std::condition_variable changed_;
    std::vector<Worker*> workers_;
    bool started_ = false;
};

// Runs one block of an overlapping launch while the predecessor has yet to run, on a thread of its own. One at a time: while the
// block of one launch waits for the predecessor's other blocks, that of the next launch may begin on another such thread.
class EarlyBlock {
public:
    explicit EarlyBlock(Watchdog& watchdog) : watchdog_(watchdog) {}

    bool is_idle() const { return launch_ == nullptr; }
    // Returns when the block waits for the predecessor, or has ended.
    void begin(Launch& launch, uint64_t block);
    // The predecessor has ended.
    void release();
    // Returns when the block has ended, after `release`.
    void finish();

    // Called by the block.
    void wait_for_predecessor();

private:
    enum class State { IDLE, RUNNING, WAITING, ENDED };

    void run_blocks();

    Watchdog& watchdog_;
    std::mutex lock_;
    std::condition_variable changed_;
    bool started_ = false;
    State state_ = State::IDLE;
    Launch* launch_ = nullptr;
    uint64_t block_ = 0;
};

class BlockRunner {
public:
    static constexpr uint64_t NO_BLOCK = ~uint64_t{0};

    // Runs all blocks but `without`; the calling thread is one of `workers`. Returns when they have ended or one has failed.
    void run(Launch& launch, int workers, uint64_t without = NO_BLOCK);

    // One that has nothing to do.
    EarlyBlock& idle_early_block();

private:
    void help();
    void ensure_helpers(int count);

    Watchdog watchdog_;
    std::vector<std::unique_ptr<EarlyBlock>> early_;
    std::mutex lock_;
    std::condition_variable work_;
    std::condition_variable done_;
    std::function<void()> job_;
    int wanted_ = 0;   // helpers that shall still take the job
    int running_ = 0;  // helpers in the job
    int helpers_ = 0;
};

}  // namespace emulator
