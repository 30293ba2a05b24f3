// launch.h: runs the blocks of a launch, in an order drawn from the seed, on a few threads, under a watchdog.

#pragma once

#include <condition_variable>
#include <functional>
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

class BlockRunner {
public:
    // Runs all blocks; the calling thread is one of `workers`. Returns when they have ended or one has failed.
    void run(Launch& launch, int workers);

private:
    void help();
    void ensure_helpers(int count);

    Watchdog watchdog_;
    std::mutex lock_;
    std::condition_variable work_;
    std::condition_variable done_;
    std::function<void()> job_;
    int wanted_ = 0;   // helpers that shall still take the job
    int running_ = 0;  // helpers in the job
    int helpers_ = 0;
};

}  // namespace emulator
