// watch.cpp: see watch.h.

#include "watch.h"

#include <sys/mman.h>

#include <algorithm>

namespace emulator {

namespace {

constexpr size_t WIDEST_STORE_BYTES = 64;

}  // namespace

unsigned char* Border::damage() const {
    for (unsigned char* side : {begin - WIDEST_STORE_BYTES, end}) {
        for (unsigned char* p = std::max(page, side); p < std::min(page + Watch::PAGE_BYTES, side + WIDEST_STORE_BYTES); p++) {
            if (*p != pattern[reinterpret_cast<uintptr_t>(p) & 1]) {
                return p;
            }
        }
    }
    return nullptr;
}

void Watch::add_borders(std::vector<Border>& borders, unsigned char* pages, size_t page_bytes, unsigned char* begin, size_t bytes,
                        const unsigned char (&pattern)[2]) {
    unsigned char* end = begin + bytes;
    for (unsigned char* page = pages; page < pages + page_bytes; page += PAGE_BYTES) {
        if (page < begin || page + PAGE_BYTES > end) {
            borders.push_back({page, begin, end, {pattern[0], pattern[1]}});
        } else {
            page = pages + (static_cast<size_t>(end - pages) / PAGE_BYTES - 1) * PAGE_BYTES;  // the last whole one
        }
    }
}

void Watch::begin(const std::vector<Border>& borders) {
    forget();
    borders_ = borders;
    std::sort(borders_.begin(), borders_.end(), [](const Border& a, const Border& b) { return a.page < b.page; });
    for (const Border& border : borders_) {
        mprotect(border.page, PAGE_BYTES, PROT_NONE);
    }
}

void Watch::forget() {
    for (const Border& border : borders_) {
        mprotect(border.page, PAGE_BYTES, PROT_READ | PROT_WRITE);
    }
    borders_.clear();
    open_count_ = 0;
}

const Border* Watch::find(const void* address) const {
    auto* byte = static_cast<const unsigned char*>(address);
    auto behind = std::upper_bound(borders_.begin(), borders_.end(), byte,
                                   [](const unsigned char* value, const Border& border) { return value < border.page; });
    if (behind == borders_.begin()) {
        return nullptr;
    }
    const Border& border = *std::prev(behind);
    return byte < border.page + PAGE_BYTES ? &border : nullptr;
}

void Watch::open(const Border& border) {
    mprotect(border.page, PAGE_BYTES, PROT_READ | PROT_WRITE);
    if (open_count_ < MOST_OPEN) {
        open_[open_count_++] = &border;
    }
}

unsigned char* Watch::close() {
    unsigned char* hit = nullptr;
    steps_++;
    for (int i = 0; i < open_count_; i++) {
        unsigned char* here = open_[i]->damage();
        hit = hit == nullptr ? here : hit;
        if (!has_given_up()) {
            mprotect(open_[i]->page, PAGE_BYTES, PROT_NONE);
        }
    }
    open_count_ = 0;
    return hit;
}

}  // namespace emulator
