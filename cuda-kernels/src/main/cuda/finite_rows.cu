// finite_rows.cu: which sequences of a pass have a row that holds NaN or infinity.
//
//   spoiled[s] = 1   if any value of the rows start[s] to start[s + 1] is NaN or infinite; else it is left as it was
//
//   spoiled  int32 [sequences]         in and out; zeros before
//   rows     fp32 [num_rows, width]    in
//   start    int32 [sequences + 1]     in; first row of each sequence, ascending; start[sequences] = num_rows
//
// Any number of rows of a sequence may be spoiled: whoever finds one stores the same value, so no order matters.
//
// Grid: a warp for each row, 8 rows a block. _by_four reads four values at a time: width a multiple of 4, rows at a multiple
// of 16 bytes. Needs sm_80 or later. Waits for the grid dependency before it reads.
//
// Floor: the bytes of the rows. 8,192 rows of 2,688 values are 88 MB, 29 us at 3.0 TB/s, of some 70 ms that such a pass takes.

#include "common.cuh"

constexpr int BLOCK_WARPS = 8;

__device__ __forceinline__ bool is_finite(float value) { return (__float_as_uint(value) & 0x7f800000u) != 0x7f800000u; }

__device__ __forceinline__ bool is_finite(const float4& v) {
    return is_finite(v.x) && is_finite(v.y) && is_finite(v.z) && is_finite(v.w);
}

// The sequence whose rows hold `row`: the last one that begins at or before it.
__device__ __forceinline__ int sequence_of(const int32_t* start, int sequences, int row) {
    int low = 0;
    int high = sequences - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (start[middle] <= row) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

template <typename VECTOR>
__device__ __forceinline__ void find_spoiled(int32_t* spoiled, const float* rows, const int32_t* start, int num_rows, int width,
                                             int sequences) {
    constexpr int VALUES = sizeof(VECTOR) / sizeof(float);
    grid_dependency_wait();
    grid_dependency_launch();
    int row = static_cast<int>(blockIdx.x) * BLOCK_WARPS + static_cast<int>(threadIdx.x) / WARP;
    if (row >= num_rows) {
        return;
    }
    const VECTOR* values = reinterpret_cast<const VECTOR*>(rows + static_cast<size_t>(row) * width);
    bool finite = true;
    for (int i = static_cast<int>(threadIdx.x) % WARP; i < width / VALUES; i += WARP) {
        finite = finite && is_finite(load_readonly(values + i));
    }
    if (!__all_sync(ALL_LANES, finite) && threadIdx.x % WARP == 0) {
        spoiled[sequence_of(start, sequences, row)] = 1;
    }
}

extern "C" __global__ __launch_bounds__(BLOCK_WARPS * WARP) void finite_rows_f32(
        int32_t* spoiled, const float* rows, const int32_t* start, int num_rows, int width, int sequences) {
    find_spoiled<float>(spoiled, rows, start, num_rows, width, sequences);
}
KERNEL(finite_rows_f32);

extern "C" __global__ __launch_bounds__(BLOCK_WARPS * WARP) void finite_rows_by_four_f32(
        int32_t* spoiled, const float* rows, const int32_t* start, int num_rows, int width, int sequences) {
    find_spoiled<float4>(spoiled, rows, start, num_rows, width, sequences);
}
KERNEL(finite_rows_by_four_f32);
