// paged_attention_decode.cu: attention of one query token per sequence over its paged keys and values.
//
//   score[t] = (query[s, h, :] . key[t, g, :]) * key_scale * score_scale      t = 0 .. position[s], g = h / (heads per KV head)
//   out[s, h, :] = sum over t of softmax(score)[t] * value[t, g, :] * value_scale
//
//   out          bf16 [sequences, query_heads * head_dim]; null: none                                    out
//   quantised    e4m3 of out / quantised_scale, same shape; null: none                                   out
//   partials     fp32 [slots, 16 * (head_dim + 2)]: weighted values, maxima, sums of a part of the context  scratch
//   counters     int32 [2 * slots]: arrivals; zero before the first launch, zero again after each        scratch
//   query        bf16 or fp32 [sequences, query_heads * head_dim], `query_stride` elements from row to row   in
//   cache        bf16 or e4m3, layout in paged_cache.cuh; the new token is already in it                 in
//   plan         from attention_plan_balanced or attention_plan_invariant                                in
//   position     int32 [sequences], position of the query token                                          in
//   block_table  int32 [sequences, max_blocks]                                                           in
//
// Rows of sequences in slot -1 have no cells in the plan: they are neither read nor written.
//
// One block of 4 warps is a worker and walks its cells of the plan. 16 query heads of one KV head are the 16 rows of
// m16n8k16; fewer are padded with zeros, more are several tiles of heads (units) that read the keys again, from L2. A
// warp owns 32 tokens of each KV block of 128: it copies its own keys and values through 3 stages of its own with
// cp.async, and keeps its own maximum, sum and weighted values, so the loop has no barrier of the block. At the end of
// a segment (cells of one sequence and unit in a row) the four warps are merged in order. Segments that are the whole
// context are written out; others leave a partial result, and the last block to arrive merges 8 of them, the last group to
// arrive the groups. The order of merging is the order of the context, whoever does it.
//
// What a result depends on: under the invariant plan on the sequence's own length and nothing else. Under the balanced
// plan the cuts move with the batch. Neither has the bits of the prompt kernel, which walks all tokens of a block in one
// online softmax where here each warp walks its quarter.
//
// Probabilities: with a bf16 cache as the sum of two bf16 (the product with the values is then exact to about 2^-17; it is
// free, since the kernel waits for memory), with an e4m3 cache in f16. Sums in fp32, exponentials base 2.
//
// Floor: 2 * head_dim * bytes per token and KV head; 512 B per token and layer of Nano in e4m3: 64 sequences of 1.5k:
// 50 MB, 17 us at 3.0 TB/s. Shared memory D 128: 108 KiB in e4m3 (2 blocks a multiprocessor), 204 KiB in bf16 (1), in
// flight two stages of 32 or 64 KiB a block, where latency times bandwidth asks for 23 KB a multiprocessor.
//
// ptxas, sm_90a: 166 registers (D 128), 160 (80), 128 (64), no spills.
//
// Needs sm_80 or later. Source: Dao et al. 2022 (arXiv:2205.14135), split over the context as in Flash-Decoding.

#include "attention_plan.cuh"

constexpr int WARPS = 4;
constexpr int THREADS = WARPS * WARP;
constexpr int STAGES = 3;
constexpr int SLICE = BLOCK_TOKENS / WARPS;  // tokens of a block that a warp owns
constexpr int HEAD_TILE = 16;

// Shared memory of a warp and stage: 32 rows of keys, then 32 of values. An odd number of 16-byte chunks from row to
// row spreads the eight rows of an ldmatrix over all banks.
template <int HEAD_DIM, typename Element>
struct DecodeStage {
    static constexpr int ROW_BYTES = HEAD_DIM * static_cast<int>(sizeof(Element));
    static constexpr int CHUNKS = ROW_BYTES / 16;
    static constexpr int PITCH = (CHUNKS | 1) * 16;
    static constexpr int BYTES = 2 * SLICE * PITCH;
    static_assert(HEAD_DIM % 16 == 0, "a row of e4m3 is whole 16-byte chunks");
    static_assert(WARPS * STAGES * BYTES >= WARPS * HEAD_TILE * (HEAD_DIM + 2) * 4, "the merge uses the stages' memory");
};

// KV blocks of one sequence and unit that one worker takes in a row, and where its partial result belongs.
struct Segment {
    int sequence;
    int unit;
    int first_block;
    int end_block;
    int part;   // of `parts`, in the order of the context
    int parts;
    int slot_zero;  // slots of partial results: slot_zero, then slot_base + part * slot_step
    int slot_base;
    int slot_step;

    __device__ __forceinline__ int slot(int index) const { return index == 0 ? slot_zero : slot_base + index * slot_step; }
};

// The segment that begins at `cell`, which lies in `sequence`, and in `next` the first cell behind it.
__device__ __forceinline__ Segment segment_at(const AttentionPlan& plan, int64_t cell, int64_t end, int sequence,
                                              int units, int worker, int blocks, int chunk_blocks, int most_chunks,
                                              int64_t* next) {
    int64_t before = static_cast<int64_t>(plan.before()[sequence]) * units;
    int each = plan.before()[sequence + 1] - plan.before()[sequence];
    int local = static_cast<int>(cell - before);
    Segment segment;
    segment.sequence = sequence;
    segment.unit = local / each;
    int index = local % each;
    int64_t unit_first = before + static_cast<int64_t>(segment.unit) * each;
    if (chunk_blocks == 0) {  // balanced: a cell is a block, and the cells up to the worker's or the unit's end are one segment
        int count = static_cast<int>(min(static_cast<int64_t>(each - index), end - cell));
        int64_t cells = static_cast<int64_t>(plan.cells()) * units;
        int first_worker = owner_of(unit_first, cells, plan.workers());
        segment.first_block = index;
        segment.end_block = index + count;
        segment.part = worker - first_worker;
        segment.parts = owner_of(unit_first + each - 1, cells, plan.workers()) - first_worker + 1;
        // A worker has at most two partial segments: the one it continues (slot 2w) and the one it begins (2w + 1).
        segment.slot_zero = 2 * first_worker + 1;
        segment.slot_base = 2 * first_worker;
        segment.slot_step = 2;
        *next = cell + count;
    } else {
        int size = chunk_size(blocks, chunk_blocks, most_chunks);
        segment.first_block = index * size;
        segment.end_block = min(blocks, segment.first_block + size);
        segment.part = index;
        segment.parts = each;
        segment.slot_zero = static_cast<int>(unit_first);
        segment.slot_base = static_cast<int>(unit_first);
        segment.slot_step = 1;
        *next = cell + 1;
    }
    return segment;
}

// The rows lane / 4 and lane / 4 + 8 of the query tile as operands, and the factor from products to base-2 scores.
template <int HEAD_DIM, typename Element>
__device__ __forceinline__ void load_queries(uint32_t (&operand)[HEAD_DIM / 16][4], float (&scale)[2], const QueryRows& query,
                                             int64_t row, int first_head, int heads, float score_scale) {
    int lane = threadIdx.x % WARP;
    constexpr bool WIDE = sizeof(Element) == 2;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int head = lane / 4 + 8 * half;
        float2 values[HEAD_DIM / 16][2];
        float largest = 0.0f;
#pragma unroll
        for (int step = 0; step < HEAD_DIM / 16; step++) {
#pragma unroll
            for (int part = 0; part < 2; part++) {
                // Which two of the step's 16 columns a lane holds is free as long as keys agree: see multiply_keys.
                int column = step * 16 + (WIDE ? 2 * (lane % 4) + 8 * part : 4 * (lane % 4) + 2 * part);
                float2 pair = make_float2(0.0f, 0.0f);
                if (head < heads) {
                    pair = query.pair(row, (first_head + head) * HEAD_DIM + column);
                }
                values[step][part] = pair;
                largest = fmaxf(largest, fmaxf(fabsf(pair.x), fabsf(pair.y)));
            }
        }
        scale[half] = score_scale;
        float up = 1.0f;
        if constexpr (!WIDE) {
            largest = fmaxf(largest, __shfl_xor_sync(ALL_LANES, largest, 1));
            largest = fmaxf(largest, __shfl_xor_sync(ALL_LANES, largest, 2));
            QueryScale power = QueryScale::of(largest);
            up = power.up;
            scale[half] = score_scale * power.back;
        }
#pragma unroll
        for (int step = 0; step < HEAD_DIM / 16; step++) {
            operand[step][half] = Arithmetic<Element>::pack(values[step][0].x * up, values[step][0].y * up);
            operand[step][half + 2] = Arithmetic<Element>::pack(values[step][1].x * up, values[step][1].y * up);
        }
    }
}

// This warp's 32 tokens of a KV block into a stage. Tokens from `length` on become zeros and are never read: what lies
// there may be NaN, and a probability of zero would not silence it.
template <int HEAD_DIM, typename Element>
__device__ __forceinline__ void copy_slice(uint8_t* stage, const uint8_t* keys, int64_t values_offset, int first_token,
                                           int length) {
    using Stage = DecodeStage<HEAD_DIM, Element>;
    int lane = threadIdx.x % WARP;
#pragma unroll
    for (int i = 0; i < Stage::CHUNKS; i++) {
        int chunk = lane + WARP * i;
        int token = chunk / Stage::CHUNKS;
        uint8_t* target = stage + token * Stage::PITCH + chunk % Stage::CHUNKS * 16;
        const uint8_t* source = keys + chunk * 16;
        bool valid = first_token + token < length;
        cp_async_16(target, source, valid);
        cp_async_16(target + SLICE * Stage::PITCH, source + values_offset, valid);
    }
}

__device__ __forceinline__ uint16_t bytes_0_and_2(uint32_t word) {
    return static_cast<uint16_t>((word & 0xffu) | ((word >> 8) & 0xff00u));
}

// scores[16 heads, 32 tokens] = queries keys^T, tile n being tokens 8n to 8n + 7.
template <int HEAD_DIM, typename Element>
__device__ __forceinline__ void multiply_keys(float (&scores)[4][4], const uint32_t (&queries)[HEAD_DIM / 16][4],
                                              const uint8_t* keys) {
    using Stage = DecodeStage<HEAD_DIM, Element>;
    int lane = threadIdx.x % WARP;
#pragma unroll
    for (int step = 0; step < HEAD_DIM / 16; step++) {
        if constexpr (sizeof(Element) == 2) {
#pragma unroll
            for (int pair = 0; pair < 2; pair++) {
                int token = pair * 16 + lane / 16 * 8 + lane % 8;
                uint32_t words[4];
                ldmatrix_x4(words, keys + token * Stage::PITCH + (2 * step + lane / 8 % 2) * 16);
                Arithmetic<Element>::multiply(scores[2 * pair], queries[step], {words[0], words[1]});
                Arithmetic<Element>::multiply(scores[2 * pair + 1], queries[step], {words[2], words[3]});
            }
        } else {
            // A word is the columns 4 (lane % 4) to 4 (lane % 4) + 3 of a token: two operands, columns permuted.
            uint32_t words[4];
            ldmatrix_x4(words, keys + lane * Stage::PITCH + step * 16);
#pragma unroll
            for (int tile = 0; tile < 4; tile++) {
                uint32_t low = e4m3x2_to_f16x2(static_cast<uint16_t>(words[tile]));
                uint32_t high = e4m3x2_to_f16x2(static_cast<uint16_t>(words[tile] >> 16));
                Arithmetic<Element>::multiply(scores[tile], queries[step], {low, high});
            }
        }
    }
}

// The column of weighted[tile][element], within the head.
template <typename Element>
__device__ __forceinline__ int weighted_column(int tile, int element) {
    int lane = threadIdx.x % WARP;
    if constexpr (sizeof(Element) == 2) {
        return tile * 8 + 2 * (lane % 4) + element % 2;
    } else {
        return tile / 2 * 16 + 4 * (lane % 4) + 2 * (element % 2) + tile % 2;
    }
}

// weighted[16 heads, head_dim] += probabilities values, over 32 tokens.
template <int HEAD_DIM, typename Element>
__device__ __forceinline__ void add_values(float (&weighted)[HEAD_DIM / 8][4], const float (&probabilities)[4][4],
                                           const uint8_t* values) {
    using Stage = DecodeStage<HEAD_DIM, Element>;
    using Numbers = Arithmetic<Element>;
    int lane = threadIdx.x % WARP;
    uint32_t high[2][4];
    uint32_t low[2][4];  // what `high` lost to rounding; bf16 only
#pragma unroll
    for (int step = 0; step < 2; step++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            float left = probabilities[2 * step + i / 2][i % 2 * 2];
            float right = probabilities[2 * step + i / 2][i % 2 * 2 + 1];
            high[step][i] = Numbers::pack(left, right);
            if constexpr (sizeof(Element) == 2) {
                float2 kept = Numbers::unpack(high[step][i]);
                low[step][i] = Numbers::pack(left - kept.x, right - kept.y);
            }
        }
    }
#pragma unroll
    for (int pair = 0; pair < HEAD_DIM / 16; pair++) {
        if constexpr (sizeof(Element) == 2) {
#pragma unroll
            for (int step = 0; step < 2; step++) {
                uint32_t words[4];
                ldmatrix_x4_trans(words, values + (step * 16 + lane % 16) * Stage::PITCH + (2 * pair + lane / 16) * 16);
                Numbers::multiply(weighted[2 * pair], high[step], {words[0], words[1]});
                Numbers::multiply(weighted[2 * pair + 1], high[step], {words[2], words[3]});
                Numbers::multiply(weighted[2 * pair], low[step], {words[0], words[1]});
                Numbers::multiply(weighted[2 * pair + 1], low[step], {words[2], words[3]});
            }
        } else {
            // A word is columns 2j and 2j + 1 (j = lane / 4) of two neighbouring tokens: the even columns of 16 are one
            // tile, the odd ones the other.
            uint32_t words[4];
            ldmatrix_x4_trans(words, values + lane * Stage::PITCH + pair * 16);
#pragma unroll
            for (int step = 0; step < 2; step++) {
                uint32_t first = words[2 * step];
                uint32_t second = words[2 * step + 1];
                uint32_t even[2] = {e4m3x2_to_f16x2(bytes_0_and_2(first)), e4m3x2_to_f16x2(bytes_0_and_2(second))};
                uint32_t odd[2] = {e4m3x2_to_f16x2(bytes_0_and_2(first >> 8)), e4m3x2_to_f16x2(bytes_0_and_2(second >> 8))};
                Numbers::multiply(weighted[2 * pair], high[step], even);
                Numbers::multiply(weighted[2 * pair + 1], high[step], odd);
            }
        }
    }
}

// A partial result in shared or global memory: [16, head_dim] weighted values, 16 maxima, 16 sums.
template <int HEAD_DIM>
struct Partial {
    static constexpr int FLOATS = HEAD_TILE * (HEAD_DIM + 2);
    static __device__ __forceinline__ float* maxima(float* data) { return data + HEAD_TILE * HEAD_DIM; }
    static __device__ __forceinline__ float* sums(float* data) { return data + HEAD_TILE * (HEAD_DIM + 1); }
};

// Four columns of one head, merged over several partial results.
struct Merged {
    float4 weighted;
    float maximum;
    float sum;
};

// `at(i)` is the i-th of `count` partial results. Weights are 2^(maximum - largest maximum); one that saw nothing has
// maximum minus infinity and weight zero.
template <int HEAD_DIM, typename At>
__device__ __forceinline__ Merged merge(int count, int head, int column, At at) {
    Merged merged{make_float4(0.0f, 0.0f, 0.0f, 0.0f), -INFINITY, 0.0f};
    for (int i = 0; i < count; i++) {
        merged.maximum = fmaxf(merged.maximum, Partial<HEAD_DIM>::maxima(at(i))[head]);
    }
    float shift = merged.maximum == -INFINITY ? 0.0f : merged.maximum;
    for (int i = 0; i < count; i++) {
        float* part = at(i);
        float weight = fast_exp2(Partial<HEAD_DIM>::maxima(part)[head] - shift);
        float4 weighted = *reinterpret_cast<const float4*>(part + head * HEAD_DIM + column);
        merged.sum = __fmaf_rn(Partial<HEAD_DIM>::sums(part)[head], weight, merged.sum);
        merged.weighted.x = __fmaf_rn(weighted.x, weight, merged.weighted.x);
        merged.weighted.y = __fmaf_rn(weighted.y, weight, merged.weighted.y);
        merged.weighted.z = __fmaf_rn(weighted.z, weight, merged.weighted.z);
        merged.weighted.w = __fmaf_rn(weighted.w, weight, merged.weighted.w);
    }
    return merged;
}

// Merges `count` partial results and hands each thread's columns to `take(head, column, merged)`. Every thread has read
// what it needs of its columns before `take` sees them, and nothing of a head's maxima and sums is written here.
template <int HEAD_DIM, typename At, typename Take>
__device__ __forceinline__ void merge_all(int count, At at, Take take) {
    for (int i = threadIdx.x * 4; i < HEAD_TILE * HEAD_DIM; i += THREADS * 4) {
        int head = i / HEAD_DIM;
        int column = i % HEAD_DIM;
        take(head, column, merge<HEAD_DIM>(count, head, column, at));
    }
}

struct DecodeArguments {
    AttentionOutput output;
    float* partials;
    int* counters;
    QueryRows query;
    PagedCache cache;
    const int* position;
    int slots;
    int query_heads;
    float score_scale;  // to base-2 scores, key_scale included
    float value_scale;
};

// Walks the blocks of a segment and leaves this warp's maximum, sum and weighted values in shared memory.
template <int HEAD_DIM, typename Element>
__device__ __forceinline__ void walk(const DecodeArguments& arguments, const Segment& segment, int kv_head, int first_head,
                                     int heads, uint8_t* shared) {
    using Stage = DecodeStage<HEAD_DIM, Element>;
    int lane = threadIdx.x % WARP;
    int warp = threadIdx.x / WARP;
    int length = arguments.position[segment.sequence] + 1;
    uint8_t* stages = shared + warp * STAGES * Stage::BYTES;
    const PagedCache& cache = arguments.cache;
    int64_t values_offset = cache.values_offset(Stage::ROW_BYTES);

    auto copy = [&](int block) {
        if (block < segment.end_block) {
            const uint8_t* keys = cache.keys(cache.block(segment.sequence, block), kv_head, Stage::ROW_BYTES) +
                                  warp * SLICE * Stage::ROW_BYTES;
            copy_slice<HEAD_DIM, Element>(stages + (block - segment.first_block) % STAGES * Stage::BYTES, keys,
                                          values_offset, block * BLOCK_TOKENS + warp * SLICE, length);
        }
        cp_async_commit();
    };
    for (int ahead = 0; ahead < STAGES - 1; ahead++) {
        copy(segment.first_block + ahead);
    }

    uint32_t queries[HEAD_DIM / 16][4];
    float scale[2];
    load_queries<HEAD_DIM, Element>(queries, scale, arguments.query, segment.sequence, first_head, heads,
                                    arguments.score_scale);
    float weighted[HEAD_DIM / 8][4] = {};
    float maximum[2] = {-INFINITY, -INFINITY};
    float sum[2] = {0.0f, 0.0f};

    for (int block = segment.first_block; block < segment.end_block; block++) {
        cp_async_wait<STAGES - 2>();
        // The slice is there for all lanes, and all have done with the stage that is filled next. (ldmatrix lets no lane run
        // ahead, so the emulator cannot miss this; it does not order memory, so the device may.)
        __syncwarp();
        copy(block + STAGES - 1);
        const uint8_t* stage = stages + (block - segment.first_block) % STAGES * Stage::BYTES;

        float scores[4][4] = {};
        multiply_keys<HEAD_DIM, Element>(scores, queries, stage);
        int first_token = block * BLOCK_TOKENS + warp * SLICE;
        if (first_token + SLICE > length) {
#pragma unroll
            for (int tile = 0; tile < 4; tile++) {
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    bool visible = first_token + tile * 8 + 2 * (lane % 4) + i % 2 < length;
                    scores[tile][i] = visible ? scores[tile][i] : -INFINITY;
                }
            }
        }
        float correction[2];
        take_scores(scores, scale, maximum, sum, correction);
#pragma unroll
        for (int tile = 0; tile < HEAD_DIM / 8; tile++) {
#pragma unroll
            for (int i = 0; i < 4; i++) {
                weighted[tile][i] *= correction[i / 2];
            }
        }
        add_values<HEAD_DIM, Element>(weighted, scores, stage + SLICE * Stage::PITCH);
    }

    // The stages' memory becomes the four partial results of the warps. No copy is under way: the last groups are empty.
    __syncthreads();
    float* partial = reinterpret_cast<float*>(shared) + warp * Partial<HEAD_DIM>::FLOATS;
#pragma unroll
    for (int half = 0; half < 2; half++) {
        int head = lane / 4 + 8 * half;
        float total = sum[half];
        total += __shfl_xor_sync(ALL_LANES, total, 1);
        total += __shfl_xor_sync(ALL_LANES, total, 2);
        if (lane % 4 == 0) {
            Partial<HEAD_DIM>::maxima(partial)[head] = maximum[half];
            Partial<HEAD_DIM>::sums(partial)[head] = total;
        }
#pragma unroll
        for (int tile = 0; tile < HEAD_DIM / 8; tile++) {
            partial[head * HEAD_DIM + weighted_column<Element>(tile, 0)] = weighted[tile][2 * half];
            partial[head * HEAD_DIM + weighted_column<Element>(tile, 1)] = weighted[tile][2 * half + 1];
        }
    }
    __syncthreads();
}

// Merges the warps and, where this was the last part of the context to arrive, the parts.
template <int HEAD_DIM>
__device__ __forceinline__ void finish(const DecodeArguments& arguments, const Segment& segment, int first_head, int heads,
                                       uint8_t* shared) {
    float* warps = reinterpret_cast<float*>(shared);
    auto of_warp = [&](int warp) { return warps + warp * Partial<HEAD_DIM>::FLOATS; };
    auto in_slot = [&](int part) {
        return arguments.partials + static_cast<int64_t>(segment.slot(part)) * Partial<HEAD_DIM>::FLOATS;
    };
    auto store = [&](int head, int column, const Merged& merged) {
        if (head < heads) {
            float share = arguments.value_scale / merged.sum;
            arguments.output.store_four(segment.sequence, (first_head + head) * HEAD_DIM + column,
                                        make_float4(merged.weighted.x * share, merged.weighted.y * share,
                                                    merged.weighted.z * share, merged.weighted.w * share));
        }
    };
    if (segment.parts == 1) {
        merge_all<HEAD_DIM>(WARPS, of_warp, store);
        return;
    }

    float* mine = in_slot(segment.part);
    merge_all<HEAD_DIM>(WARPS, of_warp, [&](int head, int column, const Merged& merged) {
        *reinterpret_cast<float4*>(mine + head * HEAD_DIM + column) = merged.weighted;
        if (column == 0) {
            Partial<HEAD_DIM>::maxima(mine)[head] = merged.maximum;
            Partial<HEAD_DIM>::sums(mine)[head] = merged.sum;
        }
    });
    int group = segment.part / MERGE_GROUP;
    int first = group * MERGE_GROUP;
    int members = min(MERGE_GROUP, segment.parts - first);
    if (!last_to_arrive(arguments.counters + segment.slot(first), members)) {
        return;
    }
    auto in_group = [&](int index) { return in_slot(first + index); };
    if (segment.parts <= MERGE_GROUP) {
        merge_all<HEAD_DIM>(members, in_group, store);
        return;
    }

    // The group's result replaces its first member. Each thread overwrites only weighted values that it alone has read;
    // maxima and sums, which all read, wait in shared memory (the warps' results are done with) for the barrier.
    float* result = in_slot(first);
    merge_all<HEAD_DIM>(members, in_group, [&](int head, int column, const Merged& merged) {
        *reinterpret_cast<float4*>(result + head * HEAD_DIM + column) = merged.weighted;
        if (column == 0) {
            Partial<HEAD_DIM>::maxima(warps)[head] = merged.maximum;
            Partial<HEAD_DIM>::sums(warps)[head] = merged.sum;
        }
    });
    __syncthreads();
    if (threadIdx.x < HEAD_TILE) {
        Partial<HEAD_DIM>::maxima(result)[threadIdx.x] = Partial<HEAD_DIM>::maxima(warps)[threadIdx.x];
        Partial<HEAD_DIM>::sums(result)[threadIdx.x] = Partial<HEAD_DIM>::sums(warps)[threadIdx.x];
    }
    int groups = ceil_div(segment.parts, MERGE_GROUP);
    if (last_to_arrive(arguments.counters + arguments.slots + segment.slot(0), groups)) {
        merge_all<HEAD_DIM>(groups, [&](int index) { return in_slot(index * MERGE_GROUP); }, store);
    }
}

template <int HEAD_DIM, typename Element>
__device__ __forceinline__ void decode(const DecodeArguments& arguments, const AttentionPlan& plan, int chunk_blocks,
                                       int most_chunks) {
    DYN_SMEM(uint8_t, shared);
    int worker = static_cast<int>(blockIdx.x);
    if (worker >= plan.workers()) {
        return;
    }
    int group = arguments.query_heads / arguments.cache.kv_heads;
    int head_tiles = ceil_div(group, HEAD_TILE);
    int units = head_tiles * arguments.cache.kv_heads;
    int64_t cells = static_cast<int64_t>(plan.cells()) * units;
    int64_t end = first_cell(cells, worker + 1, plan.workers());
    int sequence = plan.owner()[worker];
    for (int64_t cell = first_cell(cells, worker, plan.workers()); cell < end;) {
        while (cell >= static_cast<int64_t>(plan.before()[sequence + 1]) * units) {
            sequence++;
        }
        int blocks = arguments.position[sequence] / BLOCK_TOKENS + 1;
        Segment segment = segment_at(plan, cell, end, sequence, units, worker, blocks, chunk_blocks, most_chunks, &cell);
        int kv_head = segment.unit / head_tiles;
        int head_in_group = segment.unit % head_tiles * HEAD_TILE;
        int first_head = kv_head * group + head_in_group;
        int heads = min(HEAD_TILE, group - head_in_group);
        walk<HEAD_DIM, Element>(arguments, segment, kv_head, first_head, heads, shared);
        finish<HEAD_DIM>(arguments, segment, first_head, heads, shared);
        __syncthreads();  // the next segment's copies go where results were read
    }
}

#define PAGED_ATTENTION_DECODE(name, HEAD_DIM, Element)                                                                   \
    extern "C" __global__ __launch_bounds__(THREADS) void name(                                                           \
        bf16* out, e4m3* quantised, float* partials, int* counters, const void* query, const uint8_t* cache, int* plan,   \
        const int* position, const int* block_table, int64_t block_stride, int64_t layer_offset, int64_t query_stride,    \
        int sequences, int max_blocks, int slots, int query_heads, int kv_heads, int query_is_float, int chunk_blocks,    \
        int most_chunks, float score_scale, float key_scale, float value_scale, float quantised_scale) {                  \
        grid_dependency_launch();                                                                                         \
        grid_dependency_wait();                                                                                           \
        DecodeArguments arguments{                                                                                        \
            AttentionOutput{out, quantised, quantised_scale, static_cast<int64_t>(query_heads) * HEAD_DIM},               \
            partials, counters, QueryRows{query, query_stride, query_is_float != 0},                                      \
            PagedCache{cache, block_table, block_stride, layer_offset, max_blocks, kv_heads}, position, slots,            \
            query_heads, score_scale * key_scale * LOG2_E, value_scale};                                                  \
        decode<HEAD_DIM, Element>(arguments, AttentionPlan{plan, sequences}, chunk_blocks, most_chunks);                  \
    }                                                                                                                     \
    KERNEL(name)

PAGED_ATTENTION_DECODE(paged_attention_decode_64_bf16, 64, bf16);
PAGED_ATTENTION_DECODE(paged_attention_decode_80_bf16, 80, bf16);
PAGED_ATTENTION_DECODE(paged_attention_decode_128_bf16, 128, bf16);
PAGED_ATTENTION_DECODE(paged_attention_decode_64_e4m3, 64, e4m3);
PAGED_ATTENTION_DECODE(paged_attention_decode_80_e4m3, 80, e4m3);
PAGED_ATTENTION_DECODE(paged_attention_decode_128_e4m3, 128, e4m3);
