// synthetic_weights.cu: the random weights of a synthetic model, made where they are used.
//
//   draw(i)  = 16 bits of mix(key + floor(i / 4) * STEP), the lowest for i % 4 = 0
//   value(i) = table[draw(i)]
//
// mix is the finaliser of SplitMix64 and STEP 2^64 divided by the golden ratio: an element depends on the stream's key and
// its own number and on nothing else. The table has the 65,536 equally likely values of the tensor's distribution.
//
//   _bf16, _f32     y[i] = value(i); the table is bf16 either way                      y  bf16, fp32 [count]   out
//   _e4m3           y[i] = value(i); the table has codes                               y  e4m3 [count]         out
//   _scales_nvfp4   s[b] = e4m3(max |value| of block b / 6 / global)                   y  e4m3 [count / 16]    out
//   _codes_nvfp4    e2m1(value(i) * (1 / (s[i / 16] * global))), the even element low  y  bytes [count / 2]    out
//
//   table           bf16 or e4m3 [65536]   in
//
// Every operation rounds as it is written, so the result is the host's bit for bit. NVFP4: count is a multiple of 16.
// Grid: a block of 128 threads, 16 elements each. y is a multiple of 16 bytes. Needs sm_80 or later.
// Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".

#include "common.cuh"

constexpr int BLOCK = 128;
constexpr int GROUP = 16;  // elements of a thread, and of an NVFP4 block
constexpr int DRAWS = 4;   // of one 64-bit number
constexpr uint64_t STEP = 0x9E3779B97F4A7C15ull;
constexpr float E2M1_LARGEST = 6.0f;

__device__ __forceinline__ uint64_t mix(uint64_t z) {
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

// The values of 16 elements from the first of the group on, as the table has them.
template <typename T>
__device__ __forceinline__ void draw(T (&values)[GROUP], const T* table, uint64_t key, int64_t group) {
#pragma unroll
    for (int i = 0; i < GROUP / DRAWS; i++) {
        uint64_t bits = mix(key + (static_cast<uint64_t>(group) * (GROUP / DRAWS) + i) * STEP);
#pragma unroll
        for (int j = 0; j < DRAWS; j++) {
            values[i * DRAWS + j] = load_readonly(table + (bits >> 16 * j & 0xffffu));
        }
    }
}

__device__ __forceinline__ int64_t group_of_thread() {
    return static_cast<int64_t>(blockIdx.x) * BLOCK + static_cast<int64_t>(threadIdx.x);
}

// Sixteen bytes at a time where all 16 elements exist.
template <typename T>
__device__ __forceinline__ void store(T* y, const T (&values)[GROUP], int64_t group, int64_t count) {
    constexpr int PER_STORE = 16 / sizeof(T);
    int64_t from = group * GROUP;
    if (from + GROUP <= count) {
#pragma unroll
        for (int i = 0; i < GROUP; i += PER_STORE) {
            alignas(16) T some[PER_STORE];
#pragma unroll
            for (int j = 0; j < PER_STORE; j++) {
                some[j] = values[i + j];
            }
            *reinterpret_cast<uint4*>(y + from + i) = *reinterpret_cast<const uint4*>(some);
        }
        return;
    }
#pragma unroll
    for (int i = 0; i < GROUP; i++) {
        if (from + i < count) {
            y[from + i] = values[i];
        }
    }
}

template <typename T>
__device__ __forceinline__ void make(T* y, const T* table, int64_t key, int64_t count) {
    int64_t group = group_of_thread();
    if (group * GROUP < count) {
        T values[GROUP];
        draw(values, table, static_cast<uint64_t>(key), group);
        store(y, values, group, count);
    }
}

// The scale that maps the largest magnitude of a block to 6.
__device__ __forceinline__ e4m3 scale_of(const bf16 (&values)[GROUP], float global) {
    float largest = 0.0f;
#pragma unroll
    for (int i = 0; i < GROUP; i++) {
        largest = fmaxf(largest, fabsf(to_float(values[i])));
    }
    return e4m3{global == 0.0f ? static_cast<uint8_t>(0) : e4m3_bits_of(__fdiv_rn(__fdiv_rn(largest, E2M1_LARGEST), global))};
}

// Nearest even, saturating to 6. Below 1 the codes are steps of 0.5, the spacing of floats at 2^22; from 1 on they are
// floats with one bit of mantissa.
__device__ __forceinline__ uint32_t e2m1_bits_of(float x) {
    uint32_t bits = __float_as_uint(x);
    uint32_t magnitude = bits & 0x7fffffffu;
    uint32_t below = __float_as_uint(__fadd_rn(__uint_as_float(magnitude), 4194304.0f)) - 0x4a800000u;
    uint32_t above = ((magnitude + 0x1fffffu + (magnitude >> 22 & 1u)) >> 22) - 252u;
    uint32_t code = magnitude < 0x3f800000u ? below : above;
    return (code < 7u ? code : 7u) | (bits >> 28 & 8u);
}

extern "C" __global__ __launch_bounds__(BLOCK)
void synthetic_weights_bf16(bf16* y, const bf16* table, int64_t key, int64_t count) {
    make(y, table, key, count);
}
KERNEL(synthetic_weights_bf16);

extern "C" __global__ __launch_bounds__(BLOCK)
void synthetic_weights_e4m3(e4m3* y, const e4m3* table, int64_t key, int64_t count) {
    make(y, table, key, count);
}
KERNEL(synthetic_weights_e4m3);

extern "C" __global__ __launch_bounds__(BLOCK)
void synthetic_weights_f32(float* y, const bf16* table, int64_t key, int64_t count) {
    int64_t group = group_of_thread();
    if (group * GROUP < count) {
        bf16 values[GROUP];
        draw(values, table, static_cast<uint64_t>(key), group);
        float wide[GROUP];
#pragma unroll
        for (int i = 0; i < GROUP; i++) {
            wide[i] = to_float(values[i]);
        }
        store(y, wide, group, count);
    }
}
KERNEL(synthetic_weights_f32);

extern "C" __global__ __launch_bounds__(BLOCK)
void synthetic_weights_scales_nvfp4(e4m3* y, const bf16* table, int64_t key, int64_t count, float global) {
    int64_t group = group_of_thread();
    if (group * GROUP < count) {
        bf16 values[GROUP];
        draw(values, table, static_cast<uint64_t>(key), group);
        y[group] = scale_of(values, global);
    }
}
KERNEL(synthetic_weights_scales_nvfp4);

extern "C" __global__ __launch_bounds__(BLOCK)
void synthetic_weights_codes_nvfp4(uint8_t* y, const bf16* table, int64_t key, int64_t count, float global) {
    int64_t group = group_of_thread();
    if (group * GROUP < count) {
        bf16 values[GROUP];
        draw(values, table, static_cast<uint64_t>(key), group);
        float step = __fmul_rn(to_float(scale_of(values, global)), global);
        float inverse = step == 0.0f ? 0.0f : __fdiv_rn(1.0f, step);
        uint32_t codes[2] = {0u, 0u};
#pragma unroll
        for (int i = 0; i < GROUP; i++) {
            codes[i / 8] |= e2m1_bits_of(__fmul_rn(to_float(values[i]), inverse)) << i % 8 * 4;
        }
        *reinterpret_cast<uint2*>(y + group * (GROUP / 2)) = make_uint2(codes[0], codes[1]);
    }
}
KERNEL(synthetic_weights_codes_nvfp4);
