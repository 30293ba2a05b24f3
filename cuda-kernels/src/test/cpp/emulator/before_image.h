// before_image.h: the first bytes of what a launch's parameters point at, as they were before it.

#pragma once

#include <stddef.h>

#include <vector>

#include "kernel_interface.h"
#include "memory.h"

namespace emulator {

// For a launch that has to be run again. Counters, index maps and tables are whole in it, which is what addresses are computed
// from; of large tensors it has a part.
class BeforeImage {
public:
    void take(const KernelDescription& kernel, void** arguments, const Memory& memory);
    void put_back() const;

private:
    // A launch takes some ten microseconds at least, and copying this for each of its parameters one in all.
    static constexpr size_t MOST_BYTES = 4096;

    struct Piece {
        unsigned char* address;
        size_t bytes;
        size_t at;  // in storage_
    };

    std::vector<Piece> pieces_;
    std::vector<unsigned char> storage_;
};

}  // namespace emulator
