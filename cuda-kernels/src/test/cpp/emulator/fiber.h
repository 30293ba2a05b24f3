// fiber.h: stacks that CUDA threads run on, and the switch between them.

#pragma once

#include <stddef.h>

#include <memory>
#include <vector>

namespace emulator {

struct Fiber {
    void* stack_pointer = nullptr;
    unsigned char* stack = nullptr;  // lowest usable byte; the page below it is a guard
    unsigned char* top = nullptr;    // where a thread begins
};

// Saves the callee-saved registers and the stack pointer in *from, and goes on where `to` was saved.
extern "C" void emulator_switch(void** from, void* to);

// The fibers of one operating-system thread. A fiber that is given back still runs until it switches away, and goes on
// there when it is taken again.
class FiberPool {
public:
    static constexpr size_t STACK_BYTES = 256 * 1024;

    explicit FiberPool(void (*entry)()) : entry_(entry) {}
    ~FiberPool();

    FiberPool(const FiberPool&) = delete;

    Fiber* take();
    void give(Fiber* fiber) { free_.push_back(fiber); }

    // After a failure: every fiber begins anew, whatever was on its stack is forgotten.
    void abandon_all();

    bool is_guard(const void* address) const;

private:
    void prepare(Fiber& fiber) const;

    void (*entry_)();
    std::vector<std::unique_ptr<Fiber>> all_;
    std::vector<Fiber*> free_;
};

}  // namespace emulator
