// memory.h: device memory and pinned host memory, each allocation between guard pages.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include <map>
#include <string>
#include <vector>

#include "random.h"
#include "watch.h"

namespace emulator {

// Every allocation has pages of its own with inaccessible addresses before and after. Half of them end at a page's end, but for
// what a vector of 16 bytes is aligned by, so that an access past it faults; a quarter ends there but for the 256 bytes that
// cuMemAlloc aligns by, and a quarter begins where a page does. The bytes that are left over on these pages, before and behind what was
// asked for, hold a pattern that is NaN in every float format and that is looked at after each kernel: an overrun is found to the
// byte, and its thread with a Watch. Memory starts as 0xFF, that of allocations above 1 GiB as 0, which costs nothing until it is
// touched. Freed memory stays inaccessible.
class Memory {
public:
    enum class Kind { DEVICE, PINNED, REGISTERED };

    struct Allocation {
        unsigned char* pages;  // first accessible page
        size_t page_bytes;
        unsigned char* user;
        size_t bytes;
        uint64_t number;
        Kind kind;
        bool freed;
    };

    explicit Memory(uint64_t seed, size_t total_bytes) : random_(seed), total_bytes_(total_bytes) {}
    ~Memory();

    Memory(const Memory&) = delete;

    // Null when it does not fit.
    void* allocate(size_t bytes, Kind kind);
    bool free(void* pointer, Kind kind);
    void register_host(void* pointer, size_t bytes);
    bool unregister_host(void* pointer);

    // The live allocation that holds the byte, or whose end the address is; null otherwise.
    const Allocation* find(const void* address) const;
    bool holds(const void* address, size_t bytes) const;

    // What lies at an address, in words.
    std::string describe(const void* address) const;

    // What was written outside of an allocation, which is mended; `text` is empty when nothing was.
    struct Damage {
        std::string text;
        std::vector<Border> borders;  // of that allocation
    };
    Damage damage();

    // Of all that is allocated on the device.
    std::vector<Border> borders() const;

    size_t used_bytes() const { return used_bytes_; }
    size_t total_bytes() const { return total_bytes_; }
    size_t live_allocations(Kind kind) const;

private:
    unsigned char* place(unsigned char* pages, size_t page_bytes, size_t bytes);
    void release_oldest();

    Random random_;
    size_t total_bytes_;
    size_t used_bytes_ = 0;
    uint64_t count_ = 0;
    std::map<uintptr_t, Allocation> allocations_;  // by first accessible page; freed ones included
    std::map<uint64_t, uintptr_t> freed_;          // number of the freeing -> page
    uint64_t frees_ = 0;
};

}  // namespace emulator
