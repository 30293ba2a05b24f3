// driver_tensor_maps.cpp: tensor maps, with the rules of the driver's manual for them.

#include "driver_state.h"
#include "tensor_map.h"

using namespace emulator;

namespace {

constexpr int TYPE_UINT8 = 0;
constexpr int INTERLEAVE_NONE = 0;
constexpr int SWIZZLE_128 = 3;
constexpr int FILL_ZEROS = 0;
constexpr uint32_t MOST_BOX = 256;

}  // namespace

DRIVER_CALL cuTensorMapEncodeTiled(void* map, int type, uint32_t dimensions, void* address, const uint64_t* size,
                                   const uint64_t* stride, const uint32_t* box, const uint32_t* step, int interleave, int swizzle,
                                   int promotion, int fill) {
    auto guard = std::lock_guard(Driver::instance().lock);
    Driver& driver = Driver::instance();
    auto refuse = [&](int code, const std::string& why) { return driver.refuse(code, "cuTensorMapEncodeTiled: " + why); };
    if (type != TYPE_UINT8 || dimensions != 3 || interleave != INTERLEAVE_NONE || swizzle != SWIZZLE_128 || fill != FILL_ZEROS ||
        promotion < 0 || promotion > 3) {
        return refuse(NOT_SUPPORTED, "only three dimensions of bytes with a swizzle of 128 bytes are emulated");
    }
    auto place = reinterpret_cast<uintptr_t>(address);
    if (reinterpret_cast<uintptr_t>(map) % TENSOR_MAP_ALIGNMENT != 0 || place % 16 != 0) {
        return refuse(INVALID_VALUE, "the map lies at a multiple of 64, and the tensor at one of 16");
    }
    for (int i = 0; i < 3; i++) {
        if (size[i] == 0 || size[i] > uint64_t{1} << 32 || box[i] == 0 || box[i] > MOST_BOX || step[i] != 1) {
            return refuse(INVALID_VALUE, "dimension " + std::to_string(i) + " of " + std::to_string(size[i]) + " with boxes of " +
                                             std::to_string(box[i]) + " in steps of " + std::to_string(step[i]));
        }
    }
    for (int i = 0; i < 2; i++) {
        if (stride[i] % 16 != 0 || stride[i] >= uint64_t{1} << 40 || stride[i] < size[0]) {
            return refuse(INVALID_VALUE, "a stride of " + std::to_string(stride[i]) + " bytes for dimension " + std::to_string(i + 1) +
                                             "; it is a multiple of 16, below 2^40, and no shorter than a row");
        }
    }
    if (box[0] != 128) {
        return refuse(NOT_SUPPORTED, "rows of a box have 128 bytes, as wide as the swizzle");
    }
    TensorMapImage image{TENSOR_MAP_MAGIC, place, {size[0], size[1], size[2]}, {stride[0], stride[1]}, {box[0], box[1], box[2]}};
    memset(map, 0xff, 128);
    memcpy(map, &image, sizeof(image));
    return SUCCESS;
}
