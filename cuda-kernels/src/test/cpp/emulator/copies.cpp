// copies.cpp: what goes on while its thread does not wait: copies from global to shared memory, the barriers in shared
// memory that count them, and products of a warpgroup.
//
// A copy writes 0xFF over its target when it is issued and its data as late as the program allows: cp.async when its
// thread waits for it, a bulk copy when no thread of the block can run. So a missing wait reads NaN.

#include <stdio.h>
#include <string.h>

#include "block.h"

namespace emulator {

namespace {

constexpr unsigned char POISON = 0xff;
constexpr int CUDA_ERROR_ILLEGAL_ADDRESS = 700;
constexpr int CUDA_ERROR_MISALIGNED_ADDRESS = 716;

// Our form of the 64 bits that PTX leaves opaque. Memory that was never initialised is all ones or zero, neither of
// which is a valid state: the highest bit is clear and the expected arrivals are at least one.
struct Mbarrier {
    static constexpr int64_t BYTES_BIAS = 1 << 21;

    uint32_t phase;    // 1 bit
    uint32_t expected;  // 20 bits
    uint32_t pending;   // 20 bits
    int64_t bytes;      // 22 bits: expected and not yet copied

    static Mbarrier unpack(uint64_t word) {
        return {static_cast<uint32_t>(word & 1), static_cast<uint32_t>(word >> 1 & 0xfffff),
                static_cast<uint32_t>(word >> 21 & 0xfffff), static_cast<int64_t>(word >> 41 & 0x3fffff) - BYTES_BIAS};
    }

    uint64_t pack() const {
        return phase | static_cast<uint64_t>(expected) << 1 | static_cast<uint64_t>(pending) << 21 |
               static_cast<uint64_t>(bytes + BYTES_BIAS) << 41;
    }

    static bool valid(uint64_t word) { return word >> 63 == 0 && (word >> 1 & 0xfffff) != 0; }
};

// Takes all groups but the newest ones off a list of where groups end; returns how many things were in them.
size_t close_groups(std::vector<size_t>& ends, int newest) {
    if (ends.size() <= static_cast<size_t>(newest)) {
        return 0;
    }
    size_t groups = ends.size() - static_cast<size_t>(newest);
    size_t done = ends[groups - 1];
    ends.erase(ends.begin(), ends.begin() + static_cast<ptrdiff_t>(groups));
    for (size_t& end : ends) {
        end -= done;
    }
    return done;
}

std::string hex(const void* pointer) {
    char text[32];
    snprintf(text, sizeof(text), "%p", pointer);
    return text;
}

}  // namespace

std::string describe_mbarrier(uint64_t word, uint32_t parity) {
    Mbarrier barrier = Mbarrier::unpack(word);
    return "phase " + std::to_string(parity) + ": " + std::to_string(barrier.pending) + " of " +
           std::to_string(barrier.expected) + " arrivals and " + std::to_string(barrier.bytes) + " bytes missing";
}

// ---- checks ---------------------------------------------------------------------------------------------------------

bool Worker::is_shared(const void* pointer, size_t bytes) const {
    const unsigned char* begin = static_cast<const unsigned char*>(pointer);
    bool dynamic = begin >= dynamic_shared_ && begin + bytes <= dynamic_shared_ + launch_->shared_bytes;
    bool fixed = static_shared_ != nullptr && begin >= static_shared_ &&
                 begin + bytes <= static_shared_ + launch_->static_shared_bytes;
    return dynamic || fixed;
}

void Worker::require_shared(const void* pointer, size_t bytes, size_t alignment, Site site) {
    if (!is_shared(pointer, bytes)) {
        fail(site, "the " + std::to_string(bytes) + " bytes at " + hex(pointer) + " are not in the block's shared memory" +
                       " (dynamic: " + std::to_string(launch_->shared_bytes) + " bytes at " + hex(dynamic_shared_) + ")",
             CUDA_ERROR_ILLEGAL_ADDRESS);
    }
    if (reinterpret_cast<uintptr_t>(pointer) % alignment != 0) {
        fail(site, "shared address " + hex(pointer) + " is not a multiple of " + std::to_string(alignment),
             CUDA_ERROR_MISALIGNED_ADDRESS);
    }
}

void Worker::require_global(const void* pointer, size_t bytes, size_t alignment, Site site) {
    if (!launch_->memory->holds(pointer, bytes)) {
        fail(site, "the " + std::to_string(bytes) + " bytes at " + hex(pointer) + " are not in one allocation; the address is " +
                       launch_->memory->describe(pointer), CUDA_ERROR_ILLEGAL_ADDRESS);
    }
    if (reinterpret_cast<uintptr_t>(pointer) % alignment != 0) {
        fail(site, "global address " + hex(pointer) + " is not a multiple of " + std::to_string(alignment),
             CUDA_ERROR_MISALIGNED_ADDRESS);
    }
}

void Worker::land_copy(const PendingCopy& copy) {
    if (copy.box != nullptr) {
        land_box(copy);
    } else if (copy.source == nullptr) {
        memset(copy.target, 0, copy.bytes);
    } else {
        memcpy(copy.target, copy.source, copy.bytes);
    }
}

// ---- cp.async -------------------------------------------------------------------------------------------------------

void Worker::copy_async(void* shared, const void* global, size_t bytes, bool valid, Site site) {
    require_shared(shared, bytes, bytes, site);
    if (valid) {
        require_global(global, bytes, bytes, site);
    }
    if (CopiedBy* place = copied_by(shared)) {
        if (place->under_way) {
            fail(site, "a copy to where one of " + where(threads_[place->thread]) + ", from " + place->site.file + ":" +
                           std::to_string(place->site.line) + " is still under way");
        }
        *place = {current_->number, true, 0, site};
        copied_any_ = true;
    }
    memset(shared, POISON, bytes);
    current_->copies.push_back({static_cast<unsigned char*>(shared),
                                valid ? static_cast<const unsigned char*>(global) : nullptr, static_cast<uint32_t>(bytes),
                                nullptr, site});
}

void Worker::copy_commit() { current_->group_ends.push_back(current_->copies.size()); }

void Worker::copy_wait(int newest) {
    Thread& self = *current_;
    size_t done = close_groups(self.group_ends, newest);
    for (size_t i = 0; i < done; i++) {
        const PendingCopy& copy = self.copies[i];
        land_copy(copy);
        if (CopiedBy* place = copied_by(copy.target)) {
            *place = {self.number, false, self.proxy_fences, copy.site};
        }
    }
    self.copies.erase(self.copies.begin(), self.copies.begin() + static_cast<ptrdiff_t>(done));
}

// ---- work put aside (wgmma) -----------------------------------------------------------------------------------------

void Worker::defer_fence() { current_->fenced_registers = true; }

void Worker::defer(void (*run)(const void*), const void* data, size_t bytes, const void* key, Site site) {
    if (!current_->fenced_registers) {
        fail(site, "a product without wgmma_fence() in front of it: registers may have been touched since the last wait");
    }
    auto* begin = static_cast<const unsigned char*>(data);
    current_->deferred.push_back({run, std::vector<unsigned char>(begin, begin + bytes), key, site});
}

void Worker::defer_commit() { current_->deferred_ends.push_back(current_->deferred.size()); }

void Worker::defer_wait(int newest) {
    Thread& self = *current_;
    self.fenced_registers = false;
    size_t done = close_groups(self.deferred_ends, newest);
    for (size_t i = 0; i < done; i++) {
        self.deferred[i].run(self.deferred[i].data.data());
    }
    self.deferred.erase(self.deferred.begin(), self.deferred.begin() + static_cast<ptrdiff_t>(done));
}

bool Worker::is_deferred(const void* key) const {
    for (const DeferredWork& work : current_->deferred) {
        if (work.key == key) {
            return true;
        }
    }
    return false;
}

// ---- the proxy that products read through -----------------------------------------------------------------------------

void Worker::fence_async_proxy() { current_->proxy_fences++; }

CopiedBy* Worker::copied_by(const void* shared) {
    auto offset = static_cast<size_t>(static_cast<const unsigned char*>(shared) - shared_pages_);
    return offset / COPY_BYTES < copied_by_.size() ? &copied_by_[offset / COPY_BYTES] : nullptr;
}

void Worker::require_operand(const void* pointer, size_t bytes, Site site) {
    require_shared(pointer, bytes, COPY_BYTES, site);
    if (!copied_any_) {
        return;
    }
    const CopiedBy* first = copied_by(pointer);
    for (const CopiedBy* by = first; first != nullptr && by < first + bytes / COPY_BYTES; by++) {
        if (by->thread != NOBODY && (by->under_way || threads_[by->thread].proxy_fences == by->proxy_fences)) {
            fail(site, "the product reads what " + where(threads_[by->thread]) + ", has copied by " + by->site.operation + " in " +
                           by->site.file + ":" + std::to_string(by->site.line) +
                           (by->under_way ? ", before that has come" : " without fence_async_proxy() behind its wait"));
        }
    }
}

// ---- mbarrier -------------------------------------------------------------------------------------------------------

uint64_t Worker::mbarrier_state(uint64_t* barrier, Site site) {
    require_shared(barrier, 8, 8, site);
    if (!Mbarrier::valid(*barrier)) {
        fail(site, "the barrier at " + hex(barrier) + " was not initialised, or something wrote over it");
    }
    auto unfenced = unfenced_barriers_.find(barrier);
    if (unfenced != unfenced_barriers_.end()) {
        fail(site, "the barrier at " + hex(barrier) + " is used before its initialisation is made visible: " +
                       where(*unfenced->second) + " has not called fence_barrier_init() behind mbarrier_init()");
    }
    return *barrier;
}

void Worker::mbarrier_init(uint64_t* barrier, uint32_t arrivals, Site site) {
    require_shared(barrier, 8, 8, site);
    if (arrivals == 0 || arrivals > 0xfffff) {
        fail(site, "a barrier for " + std::to_string(arrivals) + " arrivals; 1 to 1048575 are possible");
    }
    *barrier = Mbarrier{0, arrivals, arrivals, 0}.pack();
    unfenced_barriers_[barrier] = current_;
}

void Worker::barriers_visible() {
    for (auto entry = unfenced_barriers_.begin(); entry != unfenced_barriers_.end();) {
        entry = entry->second == current_ ? unfenced_barriers_.erase(entry) : std::next(entry);
    }
}

// Stores the new state; a phase in which nothing is missing any more ends, and its waiters may look again.
void Worker::mbarrier_step(uint64_t* barrier, uint64_t state) {
    Mbarrier next = Mbarrier::unpack(state);
    if (next.pending != 0 || next.bytes != 0) {
        *barrier = state;
        return;
    }
    next.phase ^= 1;
    next.pending = next.expected;
    *barrier = next.pack();
    for (size_t i = 0; i < at_mbarrier_.size();) {
        if (at_mbarrier_[i]->mbarrier == barrier) {
            make_ready(*at_mbarrier_[i]);
            at_mbarrier_.erase(at_mbarrier_.begin() + static_cast<ptrdiff_t>(i));
        } else {
            i++;
        }
    }
}

void Worker::mbarrier_arrive(uint64_t* barrier, Site site) {
    Mbarrier state = Mbarrier::unpack(mbarrier_state(barrier, site));
    if (state.pending == 0) {
        fail(site, "one arrival more than the " + std::to_string(state.expected) + " that the barrier expects in a phase");
    }
    state.pending--;
    mbarrier_step(barrier, state.pack());
}

void Worker::mbarrier_expect(uint64_t* barrier, uint32_t bytes, Site site) {
    Mbarrier state = Mbarrier::unpack(mbarrier_state(barrier, site));
    state.bytes += bytes;
    if (state.bytes >= 1 << 20) {
        fail(site, "the phase expects " + std::to_string(state.bytes) + " bytes; 1048575 are possible");
    }
    // Announcing bytes cannot end a phase, even when their copies have come before.
    *barrier = state.pack();
}

void Worker::mbarrier_wait(uint64_t* barrier, uint32_t parity, Site site) {
    while (Mbarrier::unpack(mbarrier_state(barrier, site)).phase == (parity & 1)) {
        current_->mbarrier = barrier;
        current_->parity = parity & 1;
        at_mbarrier_.push_back(current_);
        suspend(Thread::State::AT_MBARRIER, site);
    }
}

// ---- bulk copies ----------------------------------------------------------------------------------------------------

void Worker::bulk_copy(void* shared, const void* global, uint32_t bytes, uint64_t* barrier, Site site) {
    mbarrier_state(barrier, site);
    if (bytes == 0 || bytes % 16 != 0) {
        fail(site, "a bulk copy of " + std::to_string(bytes) + " bytes; a multiple of 16 is possible");
    }
    require_shared(shared, bytes, 16, site);
    require_global(global, bytes, 16, site);
    memset(shared, POISON, bytes);
    bulk_copies_.push_back({static_cast<unsigned char*>(shared), static_cast<const unsigned char*>(global), bytes, barrier, site});
}

// ---- boxes of tensor maps -------------------------------------------------------------------------------------------

void Worker::tensor_copy(void* shared, const void* map, const int32_t (&at)[3], uint64_t* barrier, Site site) {
    mbarrier_state(barrier, site);
    auto box = std::make_shared<TensorBox>();
    if (reinterpret_cast<uintptr_t>(map) % TENSOR_MAP_ALIGNMENT != 0) {
        fail(site, "the tensor map at " + hex(map) + " is not at a multiple of 64", CUDA_ERROR_MISALIGNED_ADDRESS);
    }
    memcpy(&box->map, map, sizeof(TensorMapImage));
    if (box->map.magic != TENSOR_MAP_MAGIC) {
        fail(site, "what lies at " + hex(map) + " is no tensor map that cuTensorMapEncodeTiled made");
    }
    memcpy(box->at, at, sizeof(box->at));
    // The pattern of the swizzle is one of addresses and not of places in the box; a tile of products begins at 1024.
    require_shared(shared, box->map.box_bytes(), TENSOR_BOX_ALIGNMENT, site);
    uint64_t first;
    uint64_t end;
    if (box->source_range(first, end)) {
        require_global(reinterpret_cast<const void*>(box->map.address + first), end - first, 1, site);
    }
    memset(shared, POISON, box->map.box_bytes());
    bulk_copies_.push_back({static_cast<unsigned char*>(shared), nullptr, box->map.box_bytes(), barrier, site, box});
}

// Row by row; what lies outside the tensor becomes zeros.
void Worker::land_box(const PendingCopy& copy) {
    const TensorMapImage& map = copy.box->map;
    std::vector<unsigned char> row(map.box[0]);
    for (uint32_t i = 0; i < map.box[1] * map.box[2]; i++) {
        copy.box->read_row(row.data(), i % map.box[1], i / map.box[1]);
        for (uint32_t piece = 0; piece < map.box[0]; piece += 16) {
            auto offset = static_cast<uint32_t>(copy.target - dynamic_shared_) + i * map.box[0] + piece;
            memcpy(dynamic_shared_ + (offset ^ (offset >> 3 & 0x70u)), row.data() + piece, 16);
        }
    }
}

bool Worker::deliver_one_bulk_copy() {
    if (bulk_copies_.empty()) {
        return false;
    }
    size_t choice = random_.below(static_cast<uint32_t>(bulk_copies_.size()));
    PendingCopy copy = bulk_copies_[choice];
    bulk_copies_.erase(bulk_copies_.begin() + static_cast<ptrdiff_t>(choice));
    land_copy(copy);
    if (!Mbarrier::valid(*copy.barrier)) {
        launch_->fail(719, where(threads_[0]) + ": something wrote over the barrier of the bulk copy in " + copy.site.file +
                               ":" + std::to_string(copy.site.line));
        return true;
    }
    Mbarrier state = Mbarrier::unpack(*copy.barrier);
    state.bytes -= copy.bytes;
    mbarrier_step(copy.barrier, state.pack());
    return true;
}

}  // namespace emulator
