// watch.h: finds the thread that leaves an allocation by so little that no page ends in between.

#pragma once

#include <stddef.h>
#include <stdint.h>

#include <vector>

namespace emulator {

// A page on which bytes lie that nobody may touch, beside an allocation's first or last ones.
struct Border {
    unsigned char* page;
    unsigned char* begin;  // of the allocation, which may lie on an earlier page
    unsigned char* end;
    unsigned char pattern[2];  // what the other bytes of the page hold, at even and at odd addresses

    bool allows(const unsigned char* address) const { return address >= begin && address < end; }
    // First byte beside the allocation, as far as an instruction reaches that begins inside, that does not hold the pattern; or null.
    unsigned char* damage() const;
};

// While a border is watched its page is inaccessible, so that each access to it is a fault. One inside the allocation is let
// through: the page is opened for a single instruction, with the processor's trap flag, and what that instruction wrote beside the
// allocation is seen behind it. One outside ends the launch in the thread that made it. Only for launches that one
// thread of the operating system runs, since an open page is open to all; tens of microseconds an access.
//
// Not seen: a read that begins inside the allocation and goes on beyond its end, which happens only where the end is no multiple of
// the vector. It reads NaN.
class Watch {
public:
    static constexpr size_t PAGE_BYTES = 4096;

    // `most_steps`: accesses that are let through before the watch gives up, 0 for no limit.
    explicit Watch(uint64_t most_steps) : most_steps_(most_steps) {}
    ~Watch() { forget(); }

    Watch(const Watch&) = delete;

    // The pages that hold bytes beside the allocation.
    static void add_borders(std::vector<Border>& borders, unsigned char* pages, size_t page_bytes, unsigned char* begin, size_t bytes,
                            const unsigned char (&pattern)[2]);

    void begin(const std::vector<Border>& borders);
    // All pages are accessible again.
    void forget();

    bool has_given_up() const { return steps_ > most_steps_ && most_steps_ > 0; }

    // ---- called by the handler of faults ----
    // The watched border on whose page the address lies, or null.
    const Border* find(const void* address) const;
    void open(const Border& border);
    // Behind the instruction for which pages were opened: what it wrote beside the allocation, or null.
    unsigned char* close();
    bool is_open() const { return open_count_ > 0; }

private:
    // More than one instruction can touch; a gather of eight elements comes near.
    static constexpr int MOST_OPEN = 16;

    std::vector<Border> borders_;  // by page
    uint64_t most_steps_;
    uint64_t steps_ = 0;
    const Border* open_[MOST_OPEN];
    int open_count_ = 0;
};

}  // namespace emulator
