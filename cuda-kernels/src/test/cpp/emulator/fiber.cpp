// fiber.cpp: see fiber.h.

#include "fiber.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#if !defined(__x86_64__)
#error "the emulator switches fibers and reads fault contexts of x86-64 only"
#endif

// System V ABI: rbx, rbp and r12 to r15 belong to the caller. MXCSR and the x87 control word are not touched by kernels.
asm(R"(
    .text
    .globl emulator_switch
    .hidden emulator_switch
    .type emulator_switch, @function
emulator_switch:
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size emulator_switch, . - emulator_switch
)");

namespace emulator {

namespace {

constexpr size_t PAGE_BYTES = 4096;

// Stacks begin at pages, so their upper ends, where all the work is, would share a few sets of the first-level cache: 12
// lines of 64 bytes for hundreds of fibers. Each begins a line below the one before. A switch among 32 fibers takes 14.8 ns
// in place of 18.0, among 512 20 in place of 38; among 128 there is no difference.
constexpr size_t LINE_BYTES = 64;
constexpr size_t COLOURS = 61;
static_assert(COLOURS * LINE_BYTES < PAGE_BYTES);

}  // namespace

FiberPool::~FiberPool() {
    for (const auto& fiber : all_) {
        munmap(fiber->stack - PAGE_BYTES, STACK_BYTES + PAGE_BYTES);
    }
}

Fiber* FiberPool::take() {
    if (free_.empty()) {
        void* memory = mmap(nullptr, STACK_BYTES + PAGE_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
        if (memory == MAP_FAILED || mprotect(memory, PAGE_BYTES, PROT_NONE) != 0) {
            perror("emulator: no memory for the stack of a CUDA thread");
            abort();
        }
        all_.push_back(std::make_unique<Fiber>());
        all_.back()->stack = static_cast<unsigned char*>(memory) + PAGE_BYTES;
        all_.back()->top = all_.back()->stack + STACK_BYTES - all_.size() % COLOURS * LINE_BYTES;
        prepare(*all_.back());
        return all_.back().get();
    }
    Fiber* fiber = free_.back();
    free_.pop_back();
    return fiber;
}

void FiberPool::prepare(Fiber& fiber) const {
    // At its first instruction a function expects rsp = 16 n + 8, as after a call.
    void** top = reinterpret_cast<void**>(fiber.top) - 2;
    *top = reinterpret_cast<void*>(entry_);
    for (int i = 0; i < 6; i++) {
        *--top = nullptr;
    }
    fiber.stack_pointer = top;
}

void FiberPool::abandon_all() {
    free_.clear();
    for (const auto& fiber : all_) {
        prepare(*fiber);
        free_.push_back(fiber.get());
    }
}

bool FiberPool::is_guard(const void* address) const {
    for (const auto& fiber : all_) {
        if (address < fiber->stack && address >= fiber->stack - PAGE_BYTES) {
            return true;
        }
    }
    return false;
}

}  // namespace emulator
