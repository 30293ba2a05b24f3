// causal_conv1d.cu: causal convolution and time steps of the prompts of a batch, before the scan.
//
//   u[t, c]  = silu(bias[c] + sum over j of weight[c, j] * raw[t - (taps - 1) + j, c])     raw: columns x | B | C of projected
//   dt[t, h] = softplus(projected dt[t, h] + time_step_bias[h])
//
// Inputs before the first row of a sequence come from its slot, or are zero at position 0. The last taps - 1 raw inputs of
// every sequence go back to the slot; a piece shorter than that moves the old ones up.
//
//   high, low       bf16 [rows, channels]         out; low may be null, else u = high + low to 16 bits
//   time_step       fp32 [rows, heads]            out
//   state           bytes, see below              in and out
//   projected       bf16 or fp32 [rows, row_width]  in
//   weight          fp32 [channels, taps]         in; j = taps - 1 meets the current token
//   bias            fp32 [channels]               in; may be null
//   time_step_bias  fp32 [heads]                  in
//   start           int32 [sequences + 1]         in; first row of each sequence
//   position        int32 [sequences]             in; position of that row: a multiple of 128, or inside a block of 128 at
//                                                 whose end the piece ends at the latest
//   slot            int32 [sequences]             in; -1: the sequence's rows are neither read nor written
//   kept_start      int32 [sequences + 1]         in; may be null: nothing is kept. First entry of each sequence in the two below
//   kept_position   int32 [entries]               in; tokens of the sequence: a multiple of 128
//   kept_slot       int32 [entries]               in; slot that gets the state behind so many tokens, besides the sequence's
//                                                 own; -1: none. A position that the piece does not reach is passed over
//
// State of a sequence: fp32 [taps - 1, channels], oldest first, at state + slot * slot_stride + layer_offset.
// No two sequences share a slot, and none is kept in a slot that another sequence or another entry has.
//
// Grid: x over channels, and one more that makes the time steps; y over tiles of tile_rows rows that begin anew with every
// sequence (tile_rows divides 128 and is at least taps - 1): rows / tile_rows + sequences bound their number, blocks
// beyond the last tile leave. Only the first tile of a sequence reads its state, and the same thread writes it back: no
// race. No shared memory, no barrier.
// causal_conv1d_*: 4 taps, 8 channels a thread, inputs of 3 earlier rows in registers; wants channels, row_width and the
// column of x to be multiples of eight. causal_conv1d_plain_*: 2 to 64 taps, 1 channel a thread.
// Bytes a row and layer at 6144 channels, bf16 in and out: 12.3 + 12.3 KB and a halo of 3 rows a tile (9 % of the reads
// at 32 rows, out of L2): 8.2 ns at 3.0 TB/s.
// Needs sm_80 or later. Source: model-spec §3.3, §3.5.

#include "mamba.cuh"

constexpr int CONV_THREADS = 128;

struct ConvArguments {
    bf16* high;
    bf16* low;
    float* time_step;
    char* state;
    const float* weight;
    const float* bias;
    const float* time_step_bias;
    const int* start;
    const int* position;
    const int* slot;
    KeptStates kept;
    long long slot_stride;
    long long layer_offset;
    int sequences;
    int tile_rows;
    int taps;
    int inner;
    int channels;
    int heads;
    int row_width;
};

struct Tile {
    int sequence;
    int first;  // row of the batch
    int rows;
    int piece_first;
    int piece_rows;
};

// The tile with this number, counted over the sequences in order; false behind the last. Called by whole warps.
__device__ __forceinline__ bool find_tile(const ConvArguments& a, int number, Tile& tile) {
    const int lane = threadIdx.x % WARP;
    int before = 0;
    for (int base = 0; base < a.sequences; base += WARP) {
        const int mine = base + lane;
        const int tiles = mine < a.sequences ? ceil_div(a.start[mine + 1] - a.start[mine], a.tile_rows) : 0;
        int through = tiles;
#pragma unroll
        for (int distance = 1; distance < WARP; distance *= 2) {
            const int earlier = __shfl_up_sync(ALL_LANES, through, distance);
            through += lane >= distance ? earlier : 0;
        }
        const unsigned behind = __ballot_sync(ALL_LANES, number < before + through);
        const int owner = behind != 0 ? __ffs(behind) - 1 : 0;
        const int earlier_tiles = before + __shfl_sync(ALL_LANES, through - tiles, owner);
        before += __shfl_sync(ALL_LANES, through, WARP - 1);
        if (behind != 0) {
            tile.sequence = base + owner;
            tile.piece_first = a.start[tile.sequence];
            tile.piece_rows = a.start[tile.sequence + 1] - tile.piece_first;
            const int offset = (number - earlier_tiles) * a.tile_rows;
            tile.first = tile.piece_first + offset;
            tile.rows = min(a.tile_rows, tile.piece_rows - offset);
            return true;
        }
    }
    return false;
}

__device__ __forceinline__ float* state_in(const ConvArguments& a, int slot) {
    return reinterpret_cast<float*>(a.state + slot * a.slot_stride + a.layer_offset);
}

__device__ __forceinline__ float* state_of(const ConvArguments& a, const Tile& tile) {
    return state_in(a, a.slot[tile.sequence]);
}

// Where the state at the end of this tile is to be kept as well; null: nowhere. Tiles of a piece that begins on the grid
// end on it, and a piece that does not ends there at the latest.
__device__ __forceinline__ float* kept_state_of(const ConvArguments& a, const Tile& tile) {
    const int done = tile.first + tile.rows - tile.piece_first;
    const int kept_slot = a.kept.slot_behind(tile.sequence, a.position[tile.sequence] + done);
    return kept_slot < 0 ? nullptr : state_in(a, kept_slot);
}

template <typename T>
__device__ __forceinline__ void make_time_steps(const ConvArguments& a, const Tile& tile, const T* projected) {
    const int column = a.inner + a.channels;
    for (int i = threadIdx.x; i < tile.rows * a.heads; i += CONV_THREADS) {
        const size_t row = tile.first + i / a.heads;
        const int head = i % a.heads;
        a.time_step[row * a.heads + head] =
            softplus(load_element(projected + row * a.row_width + column + head) + a.time_step_bias[head]);
    }
}

// Four taps, eight channels of a thread from `channel` on.
template <typename T>
__device__ __forceinline__ void convolve_eight(const ConvArguments& a, const Tile& tile, const T* projected, int channel) {
    const T* raw = projected + a.inner + channel;
    float* state = state_of(a, tile);
    const bool begins = tile.first == tile.piece_first;
    const bool fresh = a.position[tile.sequence] == 0;

    // the three inputs before this tile
    float past[3][8];
#pragma unroll
    for (int age = 0; age < 3; age++) {
        if (!begins) {
            load_eight(past[age], raw + (size_t) (tile.first - 3 + age) * a.row_width);
        } else if (!fresh) {
            load_eight(past[age], state + (size_t) age * a.channels + channel);
        } else {
#pragma unroll
            for (int i = 0; i < 8; i++) {
                past[age][i] = 0.0f;
            }
        }
    }

    float weight[8][4];
    float bias[8];
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const float4 taps = *reinterpret_cast<const float4*>(a.weight + (size_t) (channel + i) * 4);
        weight[i][0] = taps.x, weight[i][1] = taps.y, weight[i][2] = taps.z, weight[i][3] = taps.w;
        bias[i] = a.bias == nullptr ? 0.0f : a.bias[channel + i];
    }
    const ActivationOut out = {a.high, a.low, nullptr, 1.0f};
#pragma unroll 4
    for (int row = 0; row < tile.rows; row++) {
        float now[8];
        float value[8];
        load_eight(now, raw + (size_t) (tile.first + row) * a.row_width);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            float sum = fmaf(weight[i][0], past[0][i], bias[i]);
            sum = fmaf(weight[i][1], past[1][i], sum);
            sum = fmaf(weight[i][2], past[2][i], sum);
            sum = fmaf(weight[i][3], now[i], sum);
            value[i] = silu(sum);
            past[0][i] = past[1][i], past[1][i] = past[2][i], past[2][i] = now[i];
        }
        out.store_eight((size_t) (tile.first + row) * a.channels + channel, value);
    }

    // the state that the sequence leaves behind: a piece of one tile has it in registers, old inputs moved up if it is short
    if (begins) {
        const bool whole = tile.rows == tile.piece_rows;
#pragma unroll
        for (int age = 0; age < 3; age++) {
            float last[8];
            if (!whole) {
                load_eight(last, raw + (size_t) (tile.piece_first + tile.piece_rows - 3 + age) * a.row_width);
            }
#pragma unroll
            for (int i = 0; i < 8; i++) {
                last[i] = whole ? past[age][i] : last[i];
            }
            store_eight(state + (size_t) age * a.channels + channel, last);
        }
    }
    if (float* keep = kept_state_of(a, tile)) {
#pragma unroll
        for (int age = 0; age < 3; age++) {
            store_eight(keep + (size_t) age * a.channels + channel, past[age]);
        }
    }
}

// Raw input of one channel `back` rows before row `row` of the piece; from the state where that is before the piece.
template <typename T>
__device__ __forceinline__ float raw_input(const ConvArguments& a, const Tile& tile, const T* raw, const float* state,
                                           bool fresh, int row, int channel) {
    if (row >= 0) {
        return load_element(raw + (size_t) (tile.piece_first + row) * a.row_width);
    }
    return fresh ? 0.0f : state[(size_t) (a.taps - 1 + row) * a.channels + channel];
}

// Any number of taps, one channel.
template <typename T>
__device__ __forceinline__ void convolve_one(const ConvArguments& a, const Tile& tile, const T* projected, int channel) {
    const T* raw = projected + a.inner + channel;
    float* state = state_of(a, tile);
    const bool fresh = a.position[tile.sequence] == 0;
    const int past = a.taps - 1;
    const int offset = tile.first - tile.piece_first;
    const ActivationOut out = {a.high, a.low, nullptr, 1.0f};
    for (int row = offset; row < offset + tile.rows; row++) {
        float sum = a.bias == nullptr ? 0.0f : a.bias[channel];
        for (int tap = 0; tap < a.taps; tap++) {
            sum = fmaf(a.weight[(size_t) channel * a.taps + tap],
                       raw_input(a, tile, raw, state, fresh, row - past + tap, channel), sum);
        }
        out.store((size_t) (tile.piece_first + row) * a.channels + channel, silu(sum));
    }
    if (float* keep = kept_state_of(a, tile)) {
        for (int age = 0; age < past; age++) {
            keep[(size_t) age * a.channels + channel] =
                raw_input(a, tile, raw, state, fresh, offset + tile.rows - past + age, channel);
        }
    }
    if (offset == 0) {
        // upwards: entry `age` takes an older entry's place only after that was read
        for (int age = 0; age < past; age++) {
            state[(size_t) age * a.channels + channel] =
                raw_input(a, tile, raw, state, fresh, tile.piece_rows - past + age, channel);
        }
    }
}

template <typename T, bool PLAIN>
__device__ __forceinline__ void causal_conv1d_body(const ConvArguments& a, const T* projected) {
    grid_dependency_wait();
    Tile tile;
    if (!find_tile(a, blockIdx.y, tile) || a.slot[tile.sequence] < 0) {
        return;
    }
    if (blockIdx.x == gridDim.x - 1) {
        make_time_steps(a, tile, projected);
        return;
    }
    const int channel = (blockIdx.x * CONV_THREADS + threadIdx.x) * (PLAIN ? 1 : 8);
    if (channel >= a.channels) {
        return;
    }
    if (PLAIN) {
        convolve_one(a, tile, projected, channel);
    } else {
        convolve_eight(a, tile, projected, channel);
    }
}

#define CAUSAL_CONV1D(NAME, T, PLAIN)                                                                                 \
    extern "C" __global__ __launch_bounds__(CONV_THREADS) void NAME(                                                  \
        bf16* high, bf16* low, float* time_step, char* state, const T* projected, const float* weight,                \
        const float* bias, const float* time_step_bias, const int* start, const int* position, const int* slot,       \
        const int* kept_start, const int* kept_position, const int* kept_slot, long long slot_stride,                 \
        long long layer_offset, int sequences, int tile_rows, int taps, int inner, int channels, int heads,           \
        int row_width) {                                                                                              \
        const KeptStates kept = {kept_start, kept_position, kept_slot};                                               \
        const ConvArguments arguments = {high,           low,       time_step, state, weight, bias,                   \
                                         time_step_bias, start,     position,  slot,  kept,   slot_stride,            \
                                         layer_offset,   sequences, tile_rows, taps,  inner,  channels,               \
                                         heads,          row_width};                                                  \
        causal_conv1d_body<T, PLAIN>(arguments, projected);                                                           \
    }                                                                                                                 \
    KERNEL(NAME);

// named for the type of projected
CAUSAL_CONV1D(causal_conv1d_bf16, bf16, false)
CAUSAL_CONV1D(causal_conv1d_f32, float, false)
CAUSAL_CONV1D(causal_conv1d_plain_bf16, bf16, true)
CAUSAL_CONV1D(causal_conv1d_plain_f32, float, true)
