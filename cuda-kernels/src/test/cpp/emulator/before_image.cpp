// before_image.cpp: see before_image.h.

#include "before_image.h"

#include <string.h>

#include <algorithm>

namespace emulator {

void BeforeImage::take(const KernelDescription& kernel, void** arguments, const Memory& memory) {
    pieces_.clear();
    size_t used = 0;
    for (int i = 0; i < kernel.parameter_count; i++) {
        unsigned char* pointer = nullptr;
        if (kernel.parameters[i].pointer) {
            memcpy(&pointer, arguments[i], sizeof(pointer));
        }
        const Memory::Allocation* allocation = pointer == nullptr ? nullptr : memory.find(pointer);
        if (allocation == nullptr) {
            continue;
        }
        size_t bytes = std::min(MOST_BYTES, static_cast<size_t>(allocation->user + allocation->bytes - pointer));
        if (storage_.size() < used + bytes) {
            storage_.resize(used + MOST_BYTES);
        }
        memcpy(storage_.data() + used, pointer, bytes);
        pieces_.push_back({pointer, bytes, used});
        used += bytes;
    }
}

void BeforeImage::put_back() const {
    for (const Piece& piece : pieces_) {
        memcpy(piece.address, storage_.data() + piece.at, piece.bytes);
    }
}

}  // namespace emulator
