// emulator_faults.cu: kernels with planted faults, for the emulator's own tests. The comment says what is wrong.

#include "common.cuh"

// y = x reversed within the block. `barrier` 0: the barrier between writing and reading shared memory is missing.
extern "C" __global__ __launch_bounds__(128) void reverse_f32(float* y, const float* x, int barrier) {
    __shared__ float row[128];
    int i = static_cast<int>(threadIdx.x);
    int count = static_cast<int>(blockDim.x);
    row[i] = x[blockIdx.x * blockDim.x + threadIdx.x];
    if (barrier != 0) {
        __syncthreads();
    }
    y[blockIdx.x * blockDim.x + threadIdx.x] = row[count - 1 - i];
}
KERNEL(reverse_f32);

// Two rounds over one row of shared memory. `barrier` 0: the barrier that protects the first round's reads is missing.
extern "C" __global__ __launch_bounds__(64) void rounds_f32(float* y, const float* x, int rounds, int barrier) {
    DYN_SMEM(float, row);
    int i = static_cast<int>(threadIdx.x);
    int count = static_cast<int>(blockDim.x);
    float sum = 0.0f;
    for (int round = 0; round < rounds; round++) {
        row[i] = x[i] * static_cast<float>(round + 1);
        __syncthreads();
        sum += row[(i + 33) % count];
        if (barrier != 0) {
            __syncthreads();
        }
    }
    y[i] = sum;
}
KERNEL(rounds_f32);

// Threads below `border` wait at one barrier, the others at another one (kind 0) or in a shuffle that needs lanes of the
// first (kind 1).
extern "C" __global__ __launch_bounds__(64) void divergent_barrier(float* y, int border, int kind) {
    float value = 1.0f;
    if (static_cast<int>(threadIdx.x) < border) {
        __syncthreads();
    } else if (kind == 0) {
        __syncthreads();
    } else {
        value = __shfl_xor_sync(ALL_LANES, value, 1);
    }
    y[threadIdx.x] = value;
}
KERNEL(divergent_barrier);

// y = x + 1. `kind` 0: never waits for the kernel before it; 1: reads before it waits; 2: as it should be; 3: its first thread
// does not wait.
extern "C" __global__ __launch_bounds__(64) void follow_f32(float* y, const float* x, int kind) {
    size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    grid_dependency_launch();
    float early = kind == 1 ? x[i] : 0.0f;
    if (kind != 0 && (kind != 3 || threadIdx.x > 0)) {
        grid_dependency_wait();
    }
    y[i] = (kind == 1 ? early : x[i]) + 1.0f;
}
KERNEL(follow_f32);

// Thread `who` of block `which` reads x[index].
extern "C" __global__ __launch_bounds__(64) void read_at(float* y, const float* x, int64_t index, int which, int who) {
    bool chosen = static_cast<int>(blockIdx.x) == which && static_cast<int>(threadIdx.x) == who;
    float value = chosen ? x[index] : 0.0f;
    if (chosen) {
        y[0] = value;
    }
}
KERNEL(read_at);

extern "C" __global__ __launch_bounds__(64) void write_at(float* y, int64_t index, float value, int which, int who) {
    if (static_cast<int>(blockIdx.x) == which && static_cast<int>(threadIdx.x) == who) {
        y[index] = value;
    }
}
KERNEL(write_at);

// Thread `who` of block `which` writes `bytes` bytes (1 or 16) from byte `offset` on.
extern "C" __global__ __launch_bounds__(64) void write_bytes(unsigned char* y, int64_t offset, int bytes, int which, int who) {
    if (static_cast<int>(blockIdx.x) == which && static_cast<int>(threadIdx.x) == who) {
        if (bytes == 1) {
            y[offset] = 5;
        } else {
            *reinterpret_cast<uint4*>(y + offset) = make_uint4(1, 2, 3, 4);
        }
    }
}
KERNEL(write_bytes);

// Every thread takes a place of a list, counted in places[at], which begins at 0 again for the next launch.
extern "C" __global__ __launch_bounds__(64) void append(float* list, int* places, int at) {
    int place = atomicAdd(&places[at], 1);
    list[place] = static_cast<float>(threadIdx.x);
    __syncthreads();
    if (threadIdx.x == 0) {
        places[at] = 0;
    }
}
KERNEL(append);

// Follows a pointer that it finds in memory, as a table of tensors would be.
extern "C" __global__ __launch_bounds__(32) void follow(float* y, const float* const* table) {
    if (threadIdx.x == 5) {
        y[0] = table[0][3];
    }
}
KERNEL(follow);

// Reads a 16-byte vector at a byte offset that need not be a multiple of 16.
extern "C" __global__ __launch_bounds__(32) void read_vector(float* y, const unsigned char* x, int offset) {
    if (threadIdx.x == 9) {
        float4 value = *reinterpret_cast<const float4*>(x + offset);
        *reinterpret_cast<float4*>(y) = value;
    }
}
KERNEL(read_vector);

extern "C" __global__ __launch_bounds__(32) void divide(int* y, const int* x) {
    y[threadIdx.x] = 1000 / x[threadIdx.x];
}
KERNEL(divide);

// Writes float `index` of the dynamic shared memory.
extern "C" __global__ __launch_bounds__(32) void shared_at(float* y, int index) {
    DYN_SMEM(float, row);
    if (threadIdx.x == 3) {
        reinterpret_cast<volatile float*>(row)[index] = 2.0f;
    }
    __syncwarp();
    y[threadIdx.x] = row[0];
}
KERNEL(shared_at);

// Static and dynamic shared memory as a block finds it.
extern "C" __global__ __launch_bounds__(32) void fresh_shared(uint32_t* y) {
    __shared__ uint32_t fixed[32];
    DYN_SMEM(uint32_t, row);
    y[threadIdx.x] = reinterpret_cast<volatile uint32_t*>(fixed)[threadIdx.x];
    y[32 + threadIdx.x] = row[threadIdx.x];
    reinterpret_cast<volatile uint32_t*>(fixed)[threadIdx.x] = 1;
    row[threadIdx.x] = 1;
}
KERNEL(fresh_shared);

// y = x through cp.async. `wait` 0: nobody waits; 1: right; 2: waits, but never commits; `valid` false: zeros.
extern "C" __global__ __launch_bounds__(32) void copy_through_shared(float* y, const float* x, int wait, int valid) {
    DYN_SMEM(float, row);
    cp_async_16(row + 4 * threadIdx.x, x + 4 * threadIdx.x, valid != 0);
    if (wait != 2) {
        cp_async_commit();
    }
    if (wait != 0) {
        cp_async_wait<0>();
    }
    __syncthreads();
    for (int i = 0; i < 4; i++) {
        y[4 * threadIdx.x + i] = row[4 * threadIdx.x + i];
    }
}
KERNEL(copy_through_shared);

// y = x through cp.async in stages of 32 x 16 bytes with two stages in flight. `ahead` 1: waits for all but one group,
// which is right; 2: for all but two, one too few.
extern "C" __global__ __launch_bounds__(32) void copy_in_stages(float* y, const float* x, int stages, int ahead) {
    DYN_SMEM(float, ring);
    constexpr int STAGE = 128;
    int mine = 4 * static_cast<int>(threadIdx.x);
    cp_async_16(ring + mine, x + mine, true);
    cp_async_commit();
    for (int stage = 0; stage < stages; stage++) {
        bool more = stage + 1 < stages;
        cp_async_16(ring + (stage + 1) % 2 * STAGE + mine, x + (stage + 1) * STAGE + mine, more);
        cp_async_commit();
        if (ahead == 1) {
            cp_async_wait<1>();
        } else {
            cp_async_wait<2>();
        }
        __syncthreads();
        for (int i = 0; i < 4; i++) {
            y[stage * STAGE + mine + i] = ring[stage % 2 * STAGE + mine + i];
        }
        __syncthreads();
    }
}
KERNEL(copy_in_stages);

// y = x through one bulk copy. kind 0: right; 1: nobody waits; 2: the arrival is lost; 3: bytes are never announced;
// 4: the barrier is not initialised; 5: the block ends before the copy does; 6: too many bytes are announced.
extern "C" __global__ __launch_bounds__(64) void bulk_through_shared(float* y, const float* x, int kind) {
    DYN_SMEM(float, row);
    __shared__ uint64_t barrier;
    uint32_t bytes = blockDim.x * 4;
    if (threadIdx.x == 0 && kind != 4) {
        mbarrier_init(&barrier, 1);
        fence_barrier_init();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        if (kind == 2) {
            mbarrier_expect_bytes(&barrier, bytes);
        } else if (kind == 3) {
            mbarrier_arrive(&barrier);
        } else {
            mbarrier_arrive_expect_bytes(&barrier, kind == 6 ? bytes + 16 : bytes);
        }
        bulk_copy(row, x, bytes, &barrier);
    }
    if (kind == 5) {
        return;
    }
    if (kind != 1) {
        mbarrier_wait(&barrier, 0);
    }
    y[threadIdx.x] = row[threadIdx.x];
    if (kind == 1) {
        mbarrier_wait(&barrier, 0);
    }
}
KERNEL(bulk_through_shared);

// Lanes 0 to 15 and 16 to 31 shuffle apart, several times with different partners; lanes from `alive` on have ended.
extern "C" __global__ __launch_bounds__(32) void partial_masks(int* y, int alive) {
    int lane = static_cast<int>(threadIdx.x);
    if (lane >= alive) {
        return;
    }
    uint32_t half = lane < 16 ? 0x0000ffffu : 0xffff0000u;
    int sum = lane;
    if (lane < 16) {
        for (int offset = 8; offset > 0; offset /= 2) {
            sum += __shfl_xor_sync(0x0000ffffu, sum, offset);
        }
    } else {
        sum = __shfl_sync(0xffff0000u, sum, 16);
    }
    uint32_t votes = __ballot_sync(half, lane % 2 == 0);
    int all = __popc(__ballot_sync(ALL_LANES, 1));
    y[lane] = sum;
    y[32 + lane] = static_cast<int>(votes);
    y[64 + lane] = all;
}
KERNEL(partial_masks);

// A lane whose mask does not name it (kind 0); lanes of one mask in different operations (1); a matrix product without
// the lanes that have ended (2).
extern "C" __global__ __launch_bounds__(32) void wrong_lanes(float* y, int kind) {
    int lane = static_cast<int>(threadIdx.x);
    float value = static_cast<float>(lane);
    if (kind == 0) {
        value = __shfl_sync(0x0000ffffu, value, 0);
    } else if (kind == 1) {
        if (lane < 10) {
            __syncwarp();
        } else {
            value = __shfl_sync(ALL_LANES, value, 0);
        }
    } else if (lane != 7) {
        float d[4] = {value, value, value, value};
        uint32_t a[4] = {0, 0, 0, 0};
        uint32_t b[2] = {0, 0};
        mma_m16n8k16_bf16(d, a, b);
        value = d[0];
    }
    y[lane] = value;
}
KERNEL(wrong_lanes);

// Some threads end before a barrier of the others: allowed.
extern "C" __global__ __launch_bounds__(64) void early_end(float* y, int alive) {
    __shared__ float row[64];
    row[threadIdx.x] = static_cast<float>(threadIdx.x);
    if (static_cast<int>(threadIdx.x) >= alive) {
        return;
    }
    __syncthreads();
    y[threadIdx.x] = row[(threadIdx.x + 1) % alive];
}
KERNEL(early_end);

// Recurses without end on a stack that has one.
__device__ __noinline__ float descend(volatile float* path, int depth) {
    volatile float here[64];
    here[depth % 64] = path[depth % 64] + 1.0f;
    return depth == 0 ? here[0] : descend(here, depth - 1) + here[1];
}

extern "C" __global__ __launch_bounds__(32) void deep_stack(float* y, int depth) {
    volatile float begin[64];
    for (int i = 0; i < 64; i++) {
        begin[i] = 0.0f;
    }
    if (threadIdx.x == 21) {
        y[0] = descend(begin, depth);
    }
}
KERNEL(deep_stack);

// Waits at a barrier in shared memory whose phase ends when all threads but `lost` have arrived; -2: its initialisation is not
// made visible.
extern "C" __global__ __launch_bounds__(64) void lost_arrival(float* y, int lost) {
    __shared__ uint64_t barrier;
    if (threadIdx.x == 0) {
        mbarrier_init(&barrier, blockDim.x);
        if (lost != -2) {
            fence_barrier_init();
        }
    }
    __syncthreads();
    if (static_cast<int>(threadIdx.x) != lost) {
        mbarrier_arrive(&barrier);
    }
    mbarrier_wait(&barrier, 0);
    y[threadIdx.x] = 1.0f;
}
KERNEL(lost_arrival);

// A kernel that is not registered.
extern "C" __global__ __launch_bounds__(32) void forgotten(float* y) { y[threadIdx.x] = 0.0f; }

// y[0] counts launches, y[1] adds what x holds at each.
extern "C" __global__ __launch_bounds__(32) void accumulate(float* y, const float* x) {
    if (threadIdx.x == 0) {
        y[0] += 1.0f;
        y[1] += x[0];
    }
}
KERNEL(accumulate);

// One thread waits for a flag that nobody sets.
extern "C" __global__ __launch_bounds__(32) void endless(const volatile int* flag) {
    if (threadIdx.x == 13 && blockIdx.x == 2) {
        while (*flag == 0) {
        }
    }
}
KERNEL(endless);
