// emulator_samples.cu: kernels that are right, for the emulator's own tests.

#include "common.cuh"

// y[i] = a * x[i]
extern "C" __global__ __launch_bounds__(128) void scale_f32(float* y, const float* x, int count, float factor) {
    int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i < count) {
        y[i] = factor * x[i];
    }
}
KERNEL(scale_f32);

// sums[block] = the sum of the block's elements: static shared memory, shuffles and a barrier.
extern "C" __global__ __launch_bounds__(256) void block_sums_f32(float* sums, const float* x, int count) {
    __shared__ float scratch[8];
    int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    float sum = block_sum(i < count ? x[i] : 0.0f, scratch);
    if (threadIdx.x == 0) {
        sums[blockIdx.x] = sum;
    }
}
KERNEL(block_sums_f32);
