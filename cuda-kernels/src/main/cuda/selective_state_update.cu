// selective_state_update.cu: one token of each sequence through a Mamba-2 layer between its projections, in one kernel.
//
//   u[c]  = silu(bias[c] + sum over taps of weight[c, j] * input)             input: the slot's last taps - 1, then this row's
//   dt[h] = softplus(projected dt[h] + time_step_bias[h])
//   S     := exp(dt A) S + dt x (x) B          y = S C + D x                   per head; u = x | B | C
//   out   = norm over the group of (y silu(z)) * norm_weight                   and the convolution state moves up by one
//
//   high, low, quantised   [rows, inner]     out; bf16, bf16 pair (low not null) or e4m3 (quantised not null), see mamba.cuh
//   y                      fp32 [rows, inner]    scratch
//   arrivals               uint32 [rows, groups]  scratch; zero before the first launch, left zero by each launch
//   state                  bytes             in and out; a slot holds, at two offsets,
//                          fp32 [taps - 1, channels] raw inputs, oldest first, and fp32 [heads, head_dim, state_dim]
//   projected              bf16 or fp32 [rows, row_width]  in
//   conv_weight            fp32 [channels, taps]  in      conv_bias  fp32 [channels]  in; may be null
//   time_step_bias, decay_rate (A = -exp(A_log)), skip (D)  fp32 [heads]  in      norm_weight  fp32 [inner]  in
//   slot, position         int32 [rows]      in; slot -1: the row reads, writes and counts nothing; position 0: zero state
//
// No two rows share a slot. Sums in fp32, in an order that depends neither on the other rows nor on ROWS. A token computed
// here differs from the same token computed by ssd_chunk_scan in the last bits.
//
// Grid: x = heads x (head_dim / ROWS), y = rows of the batch; 4 warps. A block owns ROWS rows of a head's state and the
// convolution channels of its x. It asks for all of its state before anything else (ROWS x state_dim x 4 bytes: 16 or 32
// KB in flight a block, where 3 TB/s wants 16 KB a multiprocessor), makes the convolution meanwhile, and writes the state
// back in place. B and C of a group are recomputed by each of its blocks out of the cache (at 64 rows and 8 heads a group
// 320 channels x 32 bytes = 10 KB beside 64 KB of state).
// The block that arrives last at its (row, group) knows that all have read the history of B and C and have written y: it
// moves that history up, gates, normalises and stores. That costs a fence, an atomic and a read of y out of the second
// level, about a microsecond at batch 1 and hidden behind other blocks from batch 4 on; a kernel of its own for norm and
// history would cost its boundary (1.3 us), its ramp, and at batch 256 another read of y from memory.
//
// Bytes of a row at 64 heads x 64, state 128: 2 x 2,097,152 state + 2 x 73,728 history + 41,216 projected (fp32) + 8,192
// out = 4.39 MB: 1.5 us at 3.0 TB/s, 375 us for 256 rows. Batch 1: 128 blocks of 32 rows on 132 multiprocessors.
//
// Needs sm_80 or later (e4m3: sm_89). A state in fp16 with stochastic rounding would be another Access.
// Source: model-spec §3.3.

#include "mamba.cuh"

constexpr int UPDATE_THREADS = 128;
constexpr int UPDATE_WARPS = UPDATE_THREADS / WARP;

struct UpdateArguments {
    ActivationOut out;
    float* y;
    unsigned* arrivals;
    char* state;
    const float* conv_weight;
    const float* conv_bias;
    const float* time_step_bias;
    const float* decay_rate;
    const float* skip;
    const float* norm_weight;
    const int* slot;
    const int* position;
    long long slot_stride;
    long long conv_offset;
    long long ssm_offset;
    int heads;
    int head_dim;
    int groups;
    int state_dim;
    int taps;
    int row_width;
    float epsilon;

    __device__ __forceinline__ int inner() const { return heads * head_dim; }
    __device__ __forceinline__ int channels() const { return inner() + 2 * groups * state_dim; }
    __device__ __forceinline__ int heads_per_group() const { return heads / groups; }
    __device__ __forceinline__ int b_channel(int group) const { return inner() + group * state_dim; }
    __device__ __forceinline__ int c_channel(int group) const { return inner() + (groups + group) * state_dim; }
};

// How a head's recurrent state lies in memory: four neighbouring values of a row at a time.
struct Float32State {
    float* values;

    static __device__ __forceinline__ Float32State of(char* slot_state, size_t element) {
        return {reinterpret_cast<float*>(slot_state) + element};
    }
    __device__ __forceinline__ float4 load_four(size_t at) const { return *reinterpret_cast<const float4*>(values + at); }
    __device__ __forceinline__ void store_four(size_t at, float4 four) const {
        *reinterpret_cast<float4*>(values + at) = four;
    }
    __device__ __forceinline__ float load(size_t at) const { return values[at]; }
    __device__ __forceinline__ void store(size_t at, float value) const { values[at] = value; }
};

// The beginning of a block's shared memory. Behind it: x | B | C of the block, later the gated values of the group.
struct alignas(16) UpdateShared {
    float warp_sums[UPDATE_WARPS];
    bool last;
};
static_assert(sizeof(UpdateShared) == 32, "the launcher counts on it");

// One row's place in the convolution: its raw inputs now and before. TAPS 0: as many as the arguments say.
template <typename T, int TAPS>
struct ConvolutionRow {
    const UpdateArguments& a;
    const T* raw;
    float* history;
    const bool fresh;

    __device__ __forceinline__ int taps() const { return TAPS == 0 ? a.taps : TAPS; }

    __device__ __forceinline__ float past(int age, int channel) const {
        return fresh ? 0.0f : history[(size_t) age * a.channels() + channel];
    }

    __device__ __forceinline__ float convolve(int channel) const {
        float sum = a.conv_bias == nullptr ? 0.0f : a.conv_bias[channel];
        const float now = load_element(raw + channel);
        if (TAPS == 4) {
            const float4 weight = *reinterpret_cast<const float4*>(a.conv_weight + (size_t) channel * 4);
            sum = fmaf(weight.x, past(0, channel), sum);
            sum = fmaf(weight.y, past(1, channel), sum);
            sum = fmaf(weight.z, past(2, channel), sum);
            return silu(fmaf(weight.w, now, sum));
        }
        const float* weight = a.conv_weight + (size_t) channel * taps();
        for (int age = 0; age < taps() - 1; age++) {
            sum = fmaf(weight[age], past(age, channel), sum);
        }
        return silu(fmaf(weight[taps() - 1], now, sum));
    }

    // Moves the history of a channel up; only the thread that owns the channel calls it, after all have read.
    __device__ __forceinline__ void shift(int channel) const {
#pragma unroll
        for (int age = 0; age < taps() - 2; age++) {
            history[(size_t) age * a.channels() + channel] = past(age + 1, channel);
        }
        history[(size_t) (taps() - 2) * a.channels() + channel] = load_element(raw + channel);
    }
};

// A block's rows of a head's state, all in registers: STATE / 4 lanes a row.
template <typename Access, int STATE, int ROWS>
struct RegisterState {
    static constexpr int LANES = STATE / 4;
    static constexpr int ROWS_AT_ONCE = UPDATE_THREADS / LANES;
    static constexpr int ROUNDS = ROWS / ROWS_AT_ONCE;
    static_assert(LANES <= WARP && ROWS % ROWS_AT_ONCE == 0, "whole rows in a warp, whole rounds in a block");

    float4 values[ROUNDS];

    __device__ __forceinline__ void load(const Access& access, bool fresh) {
#pragma unroll
        for (int round = 0; round < ROUNDS; round++) {
            values[round] = fresh ? make_float4(0.0f, 0.0f, 0.0f, 0.0f)
                                  : access.load_four((size_t) (round * UPDATE_THREADS + threadIdx.x) * 4);
        }
    }

    // Advances the state, writes it back and writes the rows' outputs.
    __device__ __forceinline__ void advance(const Access& access, float* y, const float* x, const float* b, const float* c,
                                            float time_step, float decay, float skip) {
        const int column = threadIdx.x % LANES * 4;
        const float4 b4 = *reinterpret_cast<const float4*>(b + column);
        const float4 c4 = *reinterpret_cast<const float4*>(c + column);
#pragma unroll
        for (int round = 0; round < ROUNDS; round++) {
            const int row = round * ROWS_AT_ONCE + threadIdx.x / LANES;
            const float input = time_step * x[row];
            float4& s = values[round];
            s.x = fmaf(b4.x, input, decay * s.x);
            s.y = fmaf(b4.y, input, decay * s.y);
            s.z = fmaf(b4.z, input, decay * s.z);
            s.w = fmaf(b4.w, input, decay * s.w);
            access.store_four((size_t) (round * UPDATE_THREADS + threadIdx.x) * 4, s);
            float sum = fmaf(s.w, c4.w, fmaf(s.z, c4.z, fmaf(s.y, c4.y, s.x * c4.x)));
#pragma unroll
            for (int distance = LANES / 2; distance > 0; distance /= 2) {
                sum += __shfl_xor_sync(ALL_LANES, sum, distance);
            }
            if (column == 0) {
                y[row] = fmaf(skip, x[row], sum);
            }
        }
    }
};

// Any head_dim and state_dim: a warp walks rows, its lanes the columns.
template <typename Access>
__device__ __forceinline__ void advance_plain(const UpdateArguments& a, const Access& access, bool fresh, float* y,
                                              const float* x, const float* b, const float* c, float time_step,
                                              float decay, float skip) {
    const int lane = threadIdx.x % WARP;
    for (int row = threadIdx.x / WARP; row < a.head_dim; row += UPDATE_WARPS) {
        const float input = time_step * x[row];
        float sum = 0.0f;
        for (int n = lane; n < a.state_dim; n += WARP) {
            const size_t at = (size_t) row * a.state_dim + n;
            const float next = fmaf(b[n], input, decay * (fresh ? 0.0f : access.load(at)));
            access.store(at, next);
            sum = fmaf(next, c[n], sum);
        }
        sum = warp_sum(sum);
        if (lane == 0) {
            y[row] = fmaf(skip, x[row], sum);
        }
    }
}

// True in the block that arrives last of `expected`: what the others wrote before they arrived is visible to it.
__device__ __forceinline__ bool arrive_last(unsigned* counter, unsigned expected, bool& shared_answer) {
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        shared_answer = atomicAdd(counter, 1u) == expected - 1;
        if (shared_answer) {
            *counter = 0;  // for the next launch
        }
    }
    __syncthreads();
    __threadfence();
    return shared_answer;
}

// Gate and norm of one group, and the shift of its B and C channels.
template <typename T, int TAPS>
__device__ __forceinline__ void finish_group(const UpdateArguments& a, const ConvolutionRow<T, TAPS>& convolution,
                                             const T* z, int row, int group, float* gated, float* warp_sums) {
    const int width = a.heads_per_group() * a.head_dim;
    const int first = group * width;
    const size_t at = (size_t) row * a.inner() + first;
    // other blocks wrote y: past the first-level cache
    const volatile float* y = a.y + at;
    float squares = 0.0f;
#pragma unroll 4
    for (int i = threadIdx.x; i < width; i += UPDATE_THREADS) {
        const float value = y[i] * silu(load_element(z + first + i));
        gated[i] = value;
        squares = fmaf(value, value, squares);
    }
#pragma unroll 1
    for (int i = threadIdx.x; i < 2 * a.state_dim; i += UPDATE_THREADS) {
        convolution.shift(i < a.state_dim ? a.b_channel(group) + i : a.c_channel(group) + i - a.state_dim);
    }
    const float factor = rsqrtf(block_sum(squares, warp_sums) / width + a.epsilon);
#pragma unroll 1
    for (int i = threadIdx.x; i < width; i += UPDATE_THREADS) {
        a.out.store(at + i, gated[i] * (factor * a.norm_weight[first + i]));
    }
}

// STATE and ROWS 0: the plain form, a block for each head.
template <typename T, typename Access, int STATE, int ROWS>
__device__ __forceinline__ void selective_state_update_body(const UpdateArguments& a, const T* projected) {
    constexpr bool PLAIN = STATE == 0;
    DYN_SMEM(UpdateShared, shared);
    const int row = blockIdx.y;
    // The next kernel's weights may come as soon as all blocks of this one have begun.
    grid_dependency_launch();
    const int slot = a.slot[row];
    if (slot < 0) {
        grid_dependency_wait();  // whoever waits for this kernel waits for the one before it too
        return;
    }
    const int rows = PLAIN ? a.head_dim : ROWS;
    const int state_dim = PLAIN ? a.state_dim : STATE;
    const int slices = a.head_dim / rows;
    const int head = blockIdx.x / slices;
    const int slice = blockIdx.x % slices * rows;
    const int group = head / a.heads_per_group();
    const bool fresh = a.position[row] == 0;
    char* slot_state = a.state + slot * a.slot_stride;
    const Access access = Access::of(slot_state + a.ssm_offset, ((size_t) head * a.head_dim + slice) * state_dim);

    // Only this kernel touches the state within a step, so its load need not wait for the input projection.
    RegisterState<Access, PLAIN ? 128 : STATE, PLAIN ? 16 : ROWS> state;
    if (!PLAIN) {
        state.load(access, fresh);
    }
    grid_dependency_wait();

    // convolution: the block's x, and the group's B and C
    const T* z = projected + (size_t) row * a.row_width;
    const ConvolutionRow<T, PLAIN ? 0 : 4> convolution = {
        a, z + a.inner(), reinterpret_cast<float*>(slot_state + a.conv_offset), fresh};
    const int x_channel = head * a.head_dim + slice;
    float* x = reinterpret_cast<float*>(shared + 1);
    float* b = x + rows;
    float* c = b + state_dim;
#pragma unroll PLAIN ? 1 : 3
    for (int i = threadIdx.x; i < rows + 2 * state_dim; i += UPDATE_THREADS) {
        const int channel = i < rows               ? x_channel + i
                            : i < rows + state_dim ? a.b_channel(group) + i - rows
                                                   : a.c_channel(group) + i - rows - state_dim;
        x[i] = convolution.convolve(channel);
        if (i < rows) {
            convolution.shift(channel);
        }
    }
    const float time_step = softplus(load_element(z + a.inner() + a.channels() + head) + a.time_step_bias[head]);
    const float decay = expf(time_step * a.decay_rate[head]);
    __syncthreads();

    float* y = a.y + (size_t) row * a.inner() + x_channel;
    if (PLAIN) {
        advance_plain(a, access, fresh, y, x, b, c, time_step, decay, a.skip[head]);
    } else {
        state.advance(access, y, x, b, c, time_step, decay, a.skip[head]);
    }

    const unsigned blocks = a.heads_per_group() * slices;
    if (arrive_last(a.arrivals + (size_t) row * a.groups + group, blocks, shared->last)) {
        finish_group(a, convolution, z, row, group, x, shared->warp_sums);
    }
}

#define SELECTIVE_STATE_UPDATE(NAME, T, STATE, ROWS)                                                                  \
    extern "C" __global__ __launch_bounds__(UPDATE_THREADS, 4) void NAME(                                                \
        bf16* high, bf16* low, e4m3* quantised, float* y, unsigned* arrivals, char* state, const T* projected,        \
        const float* conv_weight, const float* conv_bias, const float* time_step_bias, const float* decay_rate,       \
        const float* skip, const float* norm_weight, const int* slot, const int* position, long long slot_stride,     \
        long long conv_offset, long long ssm_offset, int heads, int head_dim, int groups, int state_dim, int taps,    \
        int row_width, float epsilon, float inverse_scale) {                                                            \
        const UpdateArguments arguments = {                                                                           \
            {high, low, quantised, inverse_scale}, y, arrivals, state, conv_weight, conv_bias, time_step_bias,          \
            decay_rate, skip, norm_weight, slot, position, slot_stride, conv_offset, ssm_offset, heads, head_dim,     \
            groups, state_dim, taps, row_width, epsilon};                                                             \
        selective_state_update_body<T, Float32State, STATE, ROWS>(arguments, projected);                              \
    }                                                                                                                 \
    KERNEL(NAME);

// named for state_dim, rows of head_dim a block owns, and the type of projected
SELECTIVE_STATE_UPDATE(selective_state_update_n64_rows16_bf16, bf16, 64, 16)
SELECTIVE_STATE_UPDATE(selective_state_update_n64_rows32_bf16, bf16, 64, 32)
SELECTIVE_STATE_UPDATE(selective_state_update_n64_rows64_bf16, bf16, 64, 64)
SELECTIVE_STATE_UPDATE(selective_state_update_n128_rows16_bf16, bf16, 128, 16)
SELECTIVE_STATE_UPDATE(selective_state_update_n128_rows32_bf16, bf16, 128, 32)
SELECTIVE_STATE_UPDATE(selective_state_update_n128_rows64_bf16, bf16, 128, 64)
SELECTIVE_STATE_UPDATE(selective_state_update_n64_rows16_f32, float, 64, 16)
SELECTIVE_STATE_UPDATE(selective_state_update_n64_rows32_f32, float, 64, 32)
SELECTIVE_STATE_UPDATE(selective_state_update_n64_rows64_f32, float, 64, 64)
SELECTIVE_STATE_UPDATE(selective_state_update_n128_rows16_f32, float, 128, 16)
SELECTIVE_STATE_UPDATE(selective_state_update_n128_rows32_f32, float, 128, 32)
SELECTIVE_STATE_UPDATE(selective_state_update_n128_rows64_f32, float, 128, 64)
SELECTIVE_STATE_UPDATE(selective_state_update_plain_bf16, bf16, 0, 0)
SELECTIVE_STATE_UPDATE(selective_state_update_plain_f32, float, 0, 0)
