// kv_write.cu: puts the keys and values of a step's rows into the paged cache.
//
//   cache[block(p / 128), K|V, head, p % 128, :] = keys|values[row, head, :]          bf16, nearest even
//                                                = sat(keys|values[row, head, :] / scale)   e4m3, saturating at 448
//   with p = position[s] + row - start[s] for the rows start[s] <= row < start[s + 1] of sequence s
//
//   cache        bf16 or e4m3, layout in paged_cache.cuh                                            in and out
//   keys         fp32 or bf16 [rows, kv_heads * head_dim], `key_stride` elements from row to row    in
//   values       the same with `value_stride`                                                       in
//   start        int32 [sequences + 1], first row of each sequence; null: row s is sequence s       in
//   position     int32 [sequences], position of the first row of each sequence                      in
//   slot         int32 [sequences]; -1: nothing is written                                          in
//   block_table  int32 [sequences, max_blocks]                                                      in
//
// Rows behind start[sequences] are left alone. No two rows have the same place in the cache.
//
// Grid: one thread for 8 neighbouring elements (plain: 1), keys first, then values; block of 128. Reads and writes are 16
// bytes a thread. Floor at 8,192 rows of Nano (2 heads x 128, fp32 in, e4m3 out): 16.8 MB in, 4.2 MB out, 7.0 us at
// 3.0 TB/s; a decode step of 256 rows is one wave and costs the launch.
//
// Decode writes through this kernel too. The attention kernel could patch the new token into its last tile instead and
// would save a launch of about 1.3 us in six of a step's 160; but then the token is quantised by every tile of heads, and
// the bits that later steps read have two sources. Fold it when a device shows the launch in the gaps.

#include "paged_cache.cuh"

constexpr int THREADS = 128;

template <typename Element, int WIDTH>
__device__ __forceinline__ void write_part(uint8_t* target, const void* source, int64_t index, bool is_float, float scale) {
    float values[WIDTH];
    if constexpr (WIDTH == 8) {
        if (is_float) {
            const float4* from = reinterpret_cast<const float4*>(static_cast<const float*>(source) + index);
            float4 low = from[0];
            float4 high = from[1];
            values[0] = low.x, values[1] = low.y, values[2] = low.z, values[3] = low.w;
            values[4] = high.x, values[5] = high.y, values[6] = high.z, values[7] = high.w;
        } else {
            uint4 words = *reinterpret_cast<const uint4*>(static_cast<const bf16*>(source) + index);
            uint32_t pairs[4] = {words.x, words.y, words.z, words.w};
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float2 pair = unpack_bf16x2(pairs[i]);
                values[2 * i] = pair.x;
                values[2 * i + 1] = pair.y;
            }
        }
        if constexpr (sizeof(Element) == 2) {
            *reinterpret_cast<uint4*>(target) =
                make_uint4(pack_bf16x2(values[0], values[1]), pack_bf16x2(values[2], values[3]),
                           pack_bf16x2(values[4], values[5]), pack_bf16x2(values[6], values[7]));
        } else {
            uint32_t pairs[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                pairs[i] = pack_e4m3x2(values[2 * i] / scale, values[2 * i + 1] / scale);
            }
            *reinterpret_cast<uint2*>(target) = make_uint2(pairs[0] | pairs[1] << 16, pairs[2] | pairs[3] << 16);
        }
    } else {
        float value = is_float ? static_cast<const float*>(source)[index] : to_float(static_cast<const bf16*>(source)[index]);
        if constexpr (sizeof(Element) == 2) {
            *reinterpret_cast<bf16*>(target) = to_bf16(value);
        } else {
            *reinterpret_cast<e4m3*>(target) = to_e4m3(value / scale);
        }
    }
}

template <typename Element, int WIDTH>
__device__ __forceinline__ void write_rows(uint8_t* cache, const void* keys, const void* values, const int* start,
                                           const int* position, const int* slot, const int* block_table, int64_t block_stride,
                                           int64_t layer_offset, int64_t key_stride, int64_t value_stride, int rows,
                                           int sequences, int max_blocks, int kv_heads, int head_dim, int is_float,
                                           float key_scale, float value_scale) {
    int width = kv_heads * head_dim;
    int parts = width / WIDTH;
    int64_t index = static_cast<int64_t>(blockIdx.x) * THREADS + threadIdx.x;
    grid_dependency_launch();
    grid_dependency_wait();
    if (index >= static_cast<int64_t>(rows) * 2 * parts) {
        return;
    }
    int row = static_cast<int>(index / (2 * parts));
    int part = static_cast<int>(index % (2 * parts));
    bool is_value = part >= parts;
    int column = (is_value ? part - parts : part) * WIDTH;

    int sequence = start == nullptr ? row : sequence_of_row(start, sequences, row);
    if (slot[sequence] < 0 || (start != nullptr && row >= start[sequences])) {
        return;
    }
    int token = position[sequence] + (start == nullptr ? 0 : row - start[sequence]);
    int block = block_table[static_cast<int64_t>(sequence) * max_blocks + token / BLOCK_TOKENS];
    int64_t cell = static_cast<int64_t>(column / head_dim + (is_value ? kv_heads : 0)) * BLOCK_TOKENS + token % BLOCK_TOKENS;
    uint8_t* target = cache + block * block_stride + layer_offset +
                      (cell * head_dim + column % head_dim) * static_cast<int64_t>(sizeof(Element));
    write_part<Element, WIDTH>(target, is_value ? values : keys, row * (is_value ? value_stride : key_stride) + column,
                               is_float != 0, is_value ? value_scale : key_scale);
}

#define KV_WRITE(name, Element, WIDTH)                                                                                   \
    extern "C" __global__ __launch_bounds__(THREADS) void name(                                                          \
        uint8_t* cache, const void* keys, const void* values, const int* start, const int* position, const int* slot,    \
        const int* block_table, int64_t block_stride, int64_t layer_offset, int64_t key_stride, int64_t value_stride,    \
        int rows, int sequences, int max_blocks, int kv_heads, int head_dim, int is_float, float key_scale,              \
        float value_scale) {                                                                                             \
        write_rows<Element, WIDTH>(cache, keys, values, start, position, slot, block_table, block_stride, layer_offset,  \
                                   key_stride, value_stride, rows, sequences, max_blocks, kv_heads, head_dim, is_float,  \
                                   key_scale, value_scale);                                                              \
    }                                                                                                                    \
    KERNEL(name)

KV_WRITE(kv_write_bf16, bf16, 8);
KV_WRITE(kv_write_e4m3, e4m3, 8);
KV_WRITE(kv_write_plain_bf16, bf16, 1);
KV_WRITE(kv_write_plain_e4m3, e4m3, 1);
