// tensor_map.h: what cuTensorMapEncodeTiled leaves in the 128 bytes that a device takes for a tensor map.
//
// Only what our kernels use: three dimensions of bytes, boxes with rows of 128 bytes, swizzle of 128 bytes, zeros outside.

#pragma once

#include <stdint.h>
#include <string.h>

namespace emulator {

constexpr uint64_t TENSOR_MAP_MAGIC = 0x70616d726f736e65;
constexpr size_t TENSOR_MAP_ALIGNMENT = 64;
constexpr size_t TENSOR_BOX_ALIGNMENT = 1024;

struct TensorMapImage {
    uint64_t magic;
    uint64_t address;
    uint64_t size[3];    // fastest first
    uint64_t stride[2];  // bytes, of the second and the third dimension
    uint32_t box[3];

    uint32_t box_bytes() const { return box[0] * box[1] * box[2]; }
};

static_assert(sizeof(TensorMapImage) <= 128, "a CUtensorMap");

// A box at its coordinates, which may lie outside the tensor.
struct TensorBox {
    TensorMapImage map;
    int32_t at[3];

    // The part of [at, at + box) that the tensor has in one dimension; false where it has none.
    bool inside(int dimension, int64_t& first, int64_t& end) const {
        first = at[dimension] < 0 ? 0 : at[dimension];
        end = static_cast<int64_t>(at[dimension]) + map.box[dimension];
        end = end < static_cast<int64_t>(map.size[dimension]) ? end : static_cast<int64_t>(map.size[dimension]);
        return first < end;
    }

    // From the first byte that is read to the end of the last one, from the tensor's address on; false where none is read.
    bool source_range(uint64_t& first, uint64_t& end) const {
        int64_t begins[3];
        int64_t ends[3];
        for (int dimension = 0; dimension < 3; dimension++) {
            if (!inside(dimension, begins[dimension], ends[dimension])) {
                return false;
            }
        }
        first = begins[0] + begins[1] * map.stride[0] + begins[2] * map.stride[1];
        end = ends[0] + (ends[1] - 1) * map.stride[0] + (ends[2] - 1) * map.stride[1];
        return true;
    }

    // One row of the box.
    void read_row(unsigned char* target, uint32_t row, uint32_t matrix) const {
        memset(target, 0, map.box[0]);
        int64_t y = static_cast<int64_t>(at[1]) + row;
        int64_t z = static_cast<int64_t>(at[2]) + matrix;
        int64_t first;
        int64_t end;
        bool exists = y >= 0 && z >= 0 && y < static_cast<int64_t>(map.size[1]) && z < static_cast<int64_t>(map.size[2]);
        if (exists && inside(0, first, end)) {
            auto* source = reinterpret_cast<const unsigned char*>(map.address + y * map.stride[0] + z * map.stride[1]);
            memcpy(target + (first - at[0]), source + first, static_cast<size_t>(end - first));
        }
    }
};

}  // namespace emulator
