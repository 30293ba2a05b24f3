// memory.cpp: see memory.h.

#include "memory.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

namespace emulator {

namespace {

constexpr size_t PAGE_BYTES = 4096;
constexpr size_t ALIGNMENT = 256;  // what cuMemAlloc promises
constexpr size_t VECTOR_BYTES = 16;  // what kernels need: their widest access, and that of cp.async, bulk copies and tensor maps
// Inaccessible addresses on either side of an allocation. They cost no memory, and a wrong index rarely goes further.
constexpr size_t GUARD_BYTES = size_t{16} << 20;
constexpr size_t KEPT_FREED_ALLOCATIONS = 4096;
// Larger ones are for offsets that need 64 bits: they have addresses, and memory where it is touched. They begin as zeros.
constexpr size_t MOST_FILLED_BYTES = size_t{1} << 30;
constexpr unsigned char PATTERN[2] = {0xff, 0x7f};

size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

unsigned char pattern_at(const unsigned char* address) { return PATTERN[reinterpret_cast<uintptr_t>(address) & 1]; }

void paint(unsigned char* from, unsigned char* to) {
    for (unsigned char* p = from; p < to; p++) {
        *p = pattern_at(p);
    }
}

// First byte that differs from the pattern, or null.
unsigned char* first_damage(unsigned char* from, unsigned char* to) {
    static const std::vector<unsigned char> clean = [] {
        std::vector<unsigned char> bytes(PAGE_BYTES + 2);
        for (size_t i = 0; i < bytes.size(); i++) {
            bytes[i] = PATTERN[i & 1];
        }
        return bytes;
    }();
    size_t odd = reinterpret_cast<uintptr_t>(from) & 1;
    if (memcmp(from, clean.data() + odd, static_cast<size_t>(to - from)) == 0) {
        return nullptr;
    }
    while (*from == pattern_at(from)) {
        from++;
    }
    return from;
}

const char* name_of(Memory::Kind kind) {
    switch (kind) {
        case Memory::Kind::DEVICE:
            return "device allocation";
        case Memory::Kind::PINNED:
            return "pinned host allocation";
        case Memory::Kind::REGISTERED:
            return "registered host memory";
    }
    return "";
}

std::string title(const Memory::Allocation& allocation) {
    char text[160];
    snprintf(text, sizeof(text), "%s number %llu of %zu bytes at %p", name_of(allocation.kind),
             static_cast<unsigned long long>(allocation.number), allocation.bytes, static_cast<void*>(allocation.user));
    return text;
}

}  // namespace

Memory::~Memory() {
    for (auto& [page, allocation] : allocations_) {
        if (allocation.kind != Kind::REGISTERED) {
            munmap(allocation.pages - GUARD_BYTES, allocation.page_bytes + 2 * GUARD_BYTES);
        }
    }
}

void* Memory::allocate(size_t bytes, Kind kind) {
    if (kind == Kind::DEVICE && (bytes > total_bytes_ || used_bytes_ > total_bytes_ - bytes)) {
        return nullptr;
    }
    size_t page_bytes = round_up(round_up(bytes, ALIGNMENT), PAGE_BYTES);
    void* mapped = mmap(nullptr, page_bytes + 2 * GUARD_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) {
        return nullptr;
    }
    unsigned char* pages = static_cast<unsigned char*>(mapped) + GUARD_BYTES;
    if (mprotect(pages, page_bytes, PROT_READ | PROT_WRITE) != 0) {
        munmap(mapped, page_bytes + 2 * GUARD_BYTES);
        return nullptr;
    }
    unsigned char* user = place(pages, page_bytes, bytes);
    paint(pages, user);
    if (bytes <= MOST_FILLED_BYTES) {
        memset(user, 0xff, bytes);
    }
    paint(user + bytes, pages + page_bytes);
    if (kind == Kind::DEVICE) {
        used_bytes_ += bytes;
    }
    allocations_[reinterpret_cast<uintptr_t>(pages)] = {pages, page_bytes, user, bytes, ++count_, kind, false};
    return user;
}

// Against the page behind for most, against the page before for some, so that both ends are hard borders.
unsigned char* Memory::place(unsigned char* pages, size_t page_bytes, size_t bytes) {
    switch (random_.below(4)) {
        case 0:
            return pages;
        case 1:
            return pages + page_bytes - round_up(bytes, ALIGNMENT);
        default:
            return pages + page_bytes - round_up(bytes, VECTOR_BYTES);
    }
}

bool Memory::free(void* pointer, Kind kind) {
    const Allocation* found = find(pointer);
    if (found == nullptr || found->user != pointer || found->kind != kind) {
        return false;
    }
    Allocation& allocation = allocations_.at(reinterpret_cast<uintptr_t>(found->pages));
    allocation.freed = true;
    if (kind == Kind::DEVICE) {
        used_bytes_ -= allocation.bytes;
    }
    // The addresses stay taken and fault; the memory goes back.
    mmap(allocation.pages, allocation.page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    freed_[++frees_] = reinterpret_cast<uintptr_t>(allocation.pages);
    if (freed_.size() > KEPT_FREED_ALLOCATIONS) {
        release_oldest();
    }
    return true;
}

void Memory::release_oldest() {
    auto oldest = freed_.begin();
    auto position = allocations_.find(oldest->second);
    munmap(position->second.pages - GUARD_BYTES, position->second.page_bytes + 2 * GUARD_BYTES);
    allocations_.erase(position);
    freed_.erase(oldest);
}

void Memory::register_host(void* pointer, size_t bytes) {
    unsigned char* user = static_cast<unsigned char*>(pointer);
    allocations_[reinterpret_cast<uintptr_t>(user)] = {user, bytes, user, bytes, ++count_, Kind::REGISTERED, false};
}

bool Memory::unregister_host(void* pointer) {
    auto position = allocations_.find(reinterpret_cast<uintptr_t>(pointer));
    if (position == allocations_.end() || position->second.kind != Kind::REGISTERED) {
        return false;
    }
    allocations_.erase(position);
    return true;
}

const Memory::Allocation* Memory::find(const void* address) const {
    auto position = allocations_.upper_bound(reinterpret_cast<uintptr_t>(address));
    if (position == allocations_.begin()) {
        return nullptr;
    }
    const Allocation& allocation = std::prev(position)->second;
    bool inside = address >= allocation.user && address <= allocation.user + allocation.bytes;
    return inside && !allocation.freed ? &allocation : nullptr;
}

bool Memory::holds(const void* address, size_t bytes) const {
    const Allocation* allocation = find(address);
    if (allocation == nullptr) {
        return false;
    }
    size_t offset = static_cast<size_t>(static_cast<const unsigned char*>(address) - allocation->user);
    return bytes <= allocation->bytes - offset;
}

std::string Memory::describe(const void* address) const {
    uintptr_t value = reinterpret_cast<uintptr_t>(address);
    if (value < PAGE_BYTES) {
        return "a null pointer";
    }
    const Allocation* nearest = nullptr;
    auto position = allocations_.upper_bound(value);
    if (position != allocations_.begin()) {
        nearest = &std::prev(position)->second;
        if (value > reinterpret_cast<uintptr_t>(nearest->pages) + nearest->page_bytes + GUARD_BYTES) {
            nearest = nullptr;
        }
    }
    if (position != allocations_.end()) {
        const Allocation& next = position->second;
        uintptr_t before = reinterpret_cast<uintptr_t>(next.user) - value;
        bool closer = nearest == nullptr || before < value - reinterpret_cast<uintptr_t>(nearest->user + nearest->bytes);
        if (closer && before <= GUARD_BYTES) {
            return std::to_string(before) + " bytes before the " + title(next);
        }
    }
    if (nearest == nullptr) {
        return "no device memory";
    }
    if (nearest->freed) {
        return "inside the freed " + title(*nearest);
    }
    uintptr_t begin = reinterpret_cast<uintptr_t>(nearest->user);
    uintptr_t end = begin + nearest->bytes;
    if (value < begin) {
        return std::to_string(begin - value) + " bytes before the " + title(*nearest);
    }
    if (value < end) {
        return std::to_string(value - begin) + " bytes into the " + title(*nearest);
    }
    return std::to_string(value - end) + " bytes past the end of the " + title(*nearest);
}

Memory::Damage Memory::damage() {
    for (auto& [page, allocation] : allocations_) {
        if (allocation.freed || allocation.kind == Kind::REGISTERED) {
            continue;
        }
        unsigned char* end = allocation.user + allocation.bytes;
        unsigned char* hit = first_damage(allocation.pages, allocation.user);
        if (hit == nullptr) {
            hit = first_damage(end, allocation.pages + allocation.page_bytes);
        }
        if (hit != nullptr) {
            Damage found{describe(hit), {}};
            paint(allocation.pages, allocation.user);
            paint(end, allocation.pages + allocation.page_bytes);
            if (allocation.kind == Kind::DEVICE) {
                Watch::add_borders(found.borders, allocation.pages, allocation.page_bytes, allocation.user, allocation.bytes, PATTERN);
            }
            return found;
        }
    }
    return {};
}

std::vector<Border> Memory::borders() const {
    std::vector<Border> found;
    for (const auto& [page, allocation] : allocations_) {
        if (!allocation.freed && allocation.kind == Kind::DEVICE) {
            Watch::add_borders(found, allocation.pages, allocation.page_bytes, allocation.user, allocation.bytes, PATTERN);
        }
    }
    return found;
}

size_t Memory::live_allocations(Kind kind) const {
    size_t count = 0;
    for (const auto& [page, allocation] : allocations_) {
        count += !allocation.freed && allocation.kind == kind;
    }
    return count;
}

}  // namespace emulator
