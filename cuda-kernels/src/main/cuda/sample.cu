// sample.cu: chooses a token from each row of logits, as the CPU's sampler does, to the same token and the same
// log-probabilities.
//
//   mask; allowed tokens, bans, bias, penalties; the largest, or: temperature, min_p, top_k, top_p, one draw
//
//   results    SampleResult [rows]               out; device memory, or pinned memory the device can reach
//   tokens     int32 [rows]                      out; the token, -1 where none was chosen
//   logits     fp32 [rows, stride]               in; changed on the way and restored
//   saved      fp32 [words of lists]             scratch
//   rows       SampleRow [rows]                  in
//   slots      int32 [rows]                      in; -1 = padded row: its code and token -1 are written, nothing else
//   lists      int32 []                          in; what the rows' ranges point into
//   vocab      stride is at least that; tokens in lists are below it
//   capacity   ranks that the list in shared memory holds, at least blockDim.x
//
// Grid: one block per row, of 32 to 512 threads, a power of two. Every warp takes chunks of 128 tokens.
// Shared memory, dynamic: see Workspace. Weights are whole numbers and ranks are all different, so the outcome depends
// neither on the order of anything nor on the number of threads, nor on the other rows.
//
// Passes over the row (4 bytes x vocab each): greedy 1; temperature and min_p 2, plus one chunk; top_k up to blockDim.x 2;
// top_p, greater top_k 3; both, the latter great, 5; a pass more when bias or penalties change values; log-probabilities
// 1 more, unless temperature is 1 and nothing changed the row; alternatives 1 more. Where more tokens than `capacity`
// stand in one bucket around a cut (near-equal logits), 2 more for every factor of 2048 to narrow it by.
//
// What bounds a pass: the floor of 131,072 tokens is 0.17 us of an H100's memory, but one block pulls them through one
// multiprocessor: 64 bytes a clock from L2, 5 us. A pass that weighs all tokens has 27 double operations for each, 64 a
// clock: 31 us. There is one in temperature without top_k, one in top_p, and one in log-probabilities, where they differ.
//
// Needs nvcc's default arithmetic: division to the last bit, subnormals kept.
//
// Source: the order of operations is that of vLLM's v1/sample/sampler.py; see engine.Sampler.

#include "sample_numbers.cuh"

constexpr int CHUNK = 4 * WARP;
constexpr int LARGEST_BLOCK = 512;
constexpr int MAX_ALTERNATIVES = 20;
constexpr float BAN = -100.0f;

enum SampleCode : int32_t { CHOSEN = 0, NOTHING_ALLOWED = 1, NOT_FINITE = 2, NO_WEIGHT = 3, PADDED = 4 };

// What a row asks for; `SampleRows.java` writes it. A range is (first word in `lists`, entries).
struct SampleRow {
    double scale;                // 1 / temperature; unused when greedy
    double top_p;                // 1 = off
    double frequency_penalty;
    double presence_penalty;
    unsigned long long seed;
    unsigned long long least;    // min_p in units: ceil(min_p x 2^40); 0 = off
    const uint32_t* mask;        // bit i % 32 of word i / 32: token i may come; null = all may
    float repetition_penalty;    // 1 = off
    int32_t top_k;               // 0 = off
    int32_t choice;
    int32_t position;            // of the token to choose
    int32_t greedy;              // 1 = the largest logit
    int32_t alternatives;        // most likely tokens to report, up to MAX_ALTERNATIVES; -1 = no log-probabilities
    int32_t target;              // -1 = choose; otherwise this token is taken, whatever the rest says
    int32_t bias_from, bias_count;        // (token, fp32 bias): distinct tokens
    int32_t penalty_from, penalty_count;  // (token, times generated): distinct tokens
    int32_t banned_from, banned_count;    // token
    int32_t allowed_from, allowed_count;  // token; when there is any, nothing else may come
};
static_assert(sizeof(SampleRow) == 120, "SampleRows.java has the same layout");

// What came of a row; `SampleResults.java` reads it.
struct SampleResult {
    int32_t code;
    int32_t token;
    float logit;           // the token's, as the model computed it
    float largest;         // logit of the row
    Units total;           // of the row's weights at temperature 1; only with log-probabilities
    int32_t alternatives;  // how many follow; -1 = no log-probabilities
    int32_t reserved;
    int32_t top_tokens[MAX_ALTERNATIVES];
    float top_logits[MAX_ALTERNATIVES];
};
static_assert(sizeof(SampleResult) == 192, "SampleResults.java has the same layout");

// ---- a block and its shared memory ----------------------------------------------------------------------------------

struct Scalars {
    Units warps[2][LARGEST_BLOCK / WARP];  // see block_scan
    Units above;
    Units point;
    Rank low;
    Rank high;
    int bucket;
    int listed;
    int place;
    int chunk;
    int token;
};

struct Workspace {
    Units* chunk_units;  // [chunks]: weight of those tokens of a chunk that may be drawn
    Rank* list;          // [capacity]
    uint32_t* low;       // [BUCKETS]: tokens, or lower half of their weight
    uint32_t* high;      // [BUCKETS]: upper half
    uint32_t* bits;      // [4 x chunks]: tokens that may come
    Scalars* scalars;
    int capacity;
    int chunks;
    int turn = 0;

    // The same arithmetic is in Sample.java.
    __device__ Workspace(unsigned char* memory, Scalars* scalars, int vocab, int capacity)
        : scalars(scalars), capacity(capacity), chunks(ceil_div(vocab, CHUNK)) {
        list = reinterpret_cast<Rank*>(memory);
        chunk_units = reinterpret_cast<Units*>(list + capacity);
        low = reinterpret_cast<uint32_t*>(chunk_units + chunks);
        high = low + BUCKETS;
        bits = high + BUCKETS;
    }
};

__device__ __forceinline__ int threads() { return static_cast<int>(blockDim.x); }
__device__ __forceinline__ int thread() { return static_cast<int>(threadIdx.x); }

template <typename Whole>
__device__ __forceinline__ Whole warp_total(Whole value) {
#pragma unroll
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
        value += __shfl_xor_sync(ALL_LANES, value, offset);
    }
    return value;
}

// Sum of the lanes up to and with this one.
__device__ __forceinline__ Units warp_prefix(Units value) {
    int lane = thread() % WARP;
#pragma unroll
    for (int offset = 1; offset < WARP; offset *= 2) {
        Units below = __shfl_up_sync(ALL_LANES, value, offset);
        value += lane >= offset ? below : 0;
    }
    return value;
}

// Sum of the threads before this one, and of all. Two scratch rows take turns: a thread that writes one again has met
// all others at a barrier after they read it.
__device__ __forceinline__ Units block_prefix(Workspace& shared, Units value, Units& total) {
    Units* warps = shared.scalars->warps[shared.turn ^= 1];
    Units inclusive = warp_prefix(value);
    if (thread() % WARP == WARP - 1) {
        warps[thread() / WARP] = inclusive;
    }
    __syncthreads();
    Units before = inclusive - value;
    total = 0;
    for (int warp = 0; warp < threads() / WARP; warp++) {
        before += warp < thread() / WARP ? warps[warp] : 0;
        total += warps[warp];
    }
    return before;
}

__device__ __forceinline__ Rank block_largest(Workspace& shared, Rank value) {
    Rank* warps = shared.scalars->warps[shared.turn ^= 1];
#pragma unroll
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
        Rank other = __shfl_xor_sync(ALL_LANES, value, offset);
        value = value > other ? value : other;
    }
    if (thread() % WARP == 0) {
        warps[thread() / WARP] = value;
    }
    __syncthreads();
    for (int warp = 0; warp < threads() / WARP; warp++) {
        value = value > warps[warp] ? value : warps[warp];
    }
    return value;
}

// Sorts the first `count` ranks of the list, the greatest first. Bitonic; ends with a barrier, needs one before.
__device__ void sort_list(Workspace& shared, int count) {
    int size = 1;
    while (size < count) {
        size *= 2;
    }
    for (int i = count + thread(); i < size; i += threads()) {
        shared.list[i] = NO_RANK;
    }
    for (int run = 2; run <= size; run *= 2) {
        for (int step = run / 2; step > 0; step /= 2) {
            __syncthreads();
            for (int i = thread(); i < size / 2; i += threads()) {
                int left = 2 * i - (i & (step - 1));
                Rank first = shared.list[left];
                Rank second = shared.list[left + step];
                if ((left & run) == 0 ? first < second : first > second) {
                    shared.list[left] = second;
                    shared.list[left + step] = first;
                }
            }
        }
    }
    __syncthreads();
}

// ---- passes over the row --------------------------------------------------------------------------------------------

// A row of logits and which of its tokens may come.
struct Row {
    float* logits;
    const uint32_t* bits;  // null = all
    int vocab;

    __device__ __forceinline__ bool allows(int token) const {
        return bits == nullptr || (bits[token / 32] >> (token % 32) & 1u) != 0;
    }
};

// This lane's four tokens of a chunk, as far as the vocabulary goes.
__device__ __forceinline__ float4 load_tokens(const Row& row, int token) {
    if (token + 4 <= row.vocab && reinterpret_cast<uintptr_t>(row.logits) % sizeof(float4) == 0) {
        return *reinterpret_cast<const float4*>(row.logits + token);
    }
    float4 values = {0.0f, 0.0f, 0.0f, 0.0f};
    values.x = token < row.vocab ? row.logits[token] : 0.0f;
    values.y = token + 1 < row.vocab ? row.logits[token + 1] : 0.0f;
    values.z = token + 2 < row.vocab ? row.logits[token + 2] : 0.0f;
    values.w = token + 3 < row.vocab ? row.logits[token + 3] : 0.0f;
    return values;
}

// Calls `visit(token, logit)` for every token of the row and, behind those of a chunk, `end(chunk)` with all lanes
// together. Four loads of 16 bytes are under way at a time; the loop stays a loop, since the weights are long code.
template <typename Visit, typename End>
__device__ __forceinline__ void for_each_token(const Row& row, int chunks, Visit visit, End end) {
    constexpr int AHEAD = 4;
    const int warps = threads() / WARP;
    const int own = 4 * (thread() % WARP);
    const int first = thread() / WARP;
    float4 ahead[AHEAD];
#pragma unroll
    for (int i = 0; i < AHEAD; i++) {
        ahead[i] = load_tokens(row, (first + i * warps) * CHUNK + own);
    }
#pragma unroll 1
    for (int chunk = first; chunk < chunks; chunk += warps) {
        const float values[4] = {ahead[0].x, ahead[0].y, ahead[0].z, ahead[0].w};
#pragma unroll
        for (int i = 1; i < AHEAD; i++) {
            ahead[i - 1] = ahead[i];
        }
        ahead[AHEAD - 1] = load_tokens(row, (chunk + AHEAD * warps) * CHUNK + own);
        const int token = chunk * CHUNK + own;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (token + j < row.vocab) {
                visit(token + j, values[j]);
            }
        }
        end(chunk);
    }
}

struct NoEnd {
    __device__ __forceinline__ void operator()(int) const {}
};

// The best of all tokens and of those that may come: of this thread's and of the block's. LARGEST_RANK as the best of
// all says that a logit is not finite.
struct Best {
    Rank own_all = NO_RANK;
    Rank own_allowed = NO_RANK;
    Rank all;
    Rank allowed;
};

__device__ Best find_best(Workspace& shared, const Row& row) {
    Best best;
    for_each_token(row, shared.chunks, [&](int token, float logit) {
        Rank rank = rank_of(logit, token);
        Rank checked = is_finite(logit) ? rank : LARGEST_RANK;
        best.own_all = best.own_all > checked ? best.own_all : checked;
        if (row.allows(token)) {
            best.own_allowed = best.own_allowed > rank ? best.own_allowed : rank;
        }
    }, NoEnd());
    best.all = block_largest(shared, best.own_all);
    // A change may have pushed a logit beyond the floats.
    best.allowed = row.bits == nullptr && best.all != LARGEST_RANK ? best.all : block_largest(shared, best.own_allowed);
    return best;
}

// Ranks from `low` to `high`; `above` counts or weighs, by criterion, what ranks higher.
struct Range {
    Rank low;
    Rank high;
    Units above;
};

// When a sum of counts or of weights from the best token downwards is enough.
struct Criterion {
    bool by_weight;
    Units count;
    double weight;

    __device__ __forceinline__ bool reached(Units sum) const {
        return by_weight ? sum > 0 && static_cast<double>(sum) >= weight : sum >= count;
    }
};

// Lists the range's ranks as far as the list has room, and weighs by chunk what ranks higher.
//
// Returns how many there are.
__device__ int collect(Workspace& shared, const Row& row, const Weigher& weigher, const Range& range) {
    if (thread() == 0) {
        shared.scalars->listed = 0;
    }
    __syncthreads();
    Units units = 0;
    for_each_token(row, shared.chunks, [&](int token, float logit) {
        Rank rank = rank_of(logit, token);
        if (rank < range.low || !row.allows(token)) {
            return;
        }
        if (rank > range.high) {
            units += weigher.units(logit);
            return;
        }
        int place = atomicAdd(&shared.scalars->listed, 1);
        if (place < shared.capacity) {
            shared.list[place] = rank;
        }
    }, [&](int chunk) {
        units = warp_total(units);
        if (thread() % WARP == 0) {
            shared.chunk_units[chunk] = units;
        }
        units = 0;
    });
    __syncthreads();
    return shared.scalars->listed;
}

// ---- buckets --------------------------------------------------------------------------------------------------------

__device__ __forceinline__ void clear_buckets(Workspace& shared) {
    for (int i = thread(); i < BUCKETS; i += threads()) {
        shared.low[i] = 0;
        shared.high[i] = 0;
    }
    if (thread() == 0) {
        shared.scalars->bucket = -1;
    }
    __syncthreads();
}

// Adds to a bucket's 64 bits with 32-bit atomics, which are quick in shared memory: each overflow of the lower half is
// seen by exactly one thread.
__device__ __forceinline__ void add_to_bucket(Workspace& shared, int bucket, Units units) {
    uint32_t low = static_cast<uint32_t>(units);
    uint32_t before = atomicAdd(&shared.low[bucket], low);
    uint32_t high = static_cast<uint32_t>(units >> 32) + (before + low < before ? 1u : 0u);
    if (high != 0) {
        atomicAdd(&shared.high[bucket], high);
    }
}

__device__ __forceinline__ Units bucket_units(const Workspace& shared, int bucket) {
    return static_cast<Units>(shared.high[bucket]) << 32 | shared.low[bucket];
}

__device__ __forceinline__ Units own_buckets(const Workspace& shared) {
    int own = BUCKETS / threads();
    Units units = 0;
    for (int i = thread() * own; i < (thread() + 1) * own; i++) {
        units += bucket_units(shared, i);
    }
    return units;
}

// The bucket with which the criterion is reached, -1 when it never is, into `bucket`; the sum before it into `above`.
__device__ void find_bucket(Workspace& shared, const Criterion& criterion, Units before, Units units) {
    if (!criterion.reached(before) && criterion.reached(before + units)) {
        int bucket = thread() * (BUCKETS / threads());
        while (!criterion.reached(before + bucket_units(shared, bucket))) {
            before += bucket_units(shared, bucket++);
        }
        shared.scalars->bucket = bucket;
        shared.scalars->above = before;
    }
    __syncthreads();
}

// The range of the first bucket, by logit, that reaches the criterion. Of a share, `weight` becomes what it is of all
// tokens from rank `floor` on.
//
// Returns false when the criterion is not reached before the tokens that weigh nothing.
__device__ bool first_range(Workspace& shared, const Row& row, const Weigher& weigher, Rank floor, Criterion& criterion,
                            Units& undropped, Range& range) {
    clear_buckets(shared);
    for_each_token(row, shared.chunks, [&](int token, float logit) {
        if (!row.allows(token)) {
            return;
        }
        double exponent = weigher.exponent(logit);
        int bucket = Weigher::bucket(exponent);
        if (bucket == BUCKETS - 1) {
            return;
        }
        if (!criterion.by_weight) {
            atomicAdd(&shared.low[bucket], 1u);
            return;
        }
        Units units = Weigher::undropped(exponent);
        undropped += units;
        units = weigher.drop(units);
        if (units > 0 && rank_of(logit, token) >= floor) {
            add_to_bucket(shared, bucket, units);
        }
    }, NoEnd());
    __syncthreads();
    Units total;
    Units units = own_buckets(shared);
    Units before = block_prefix(shared, units, total);
    criterion.weight *= static_cast<double>(total);
    find_bucket(shared, criterion, before, units);
    int bucket = shared.scalars->bucket;
    if (bucket < 0) {
        return false;
    }
    if (thread() == 0) {
        shared.scalars->low = static_cast<Rank>(weigher.lowest_key(bucket)) << 32;
    }
    if (thread() == threads() - 1) {
        shared.scalars->high = bucket == 0 ? LARGEST_RANK : (static_cast<Rank>(weigher.lowest_key(bucket - 1)) << 32) - 1;
    }
    __syncthreads();
    range = {shared.scalars->low > floor ? shared.scalars->low : floor, shared.scalars->high, shared.scalars->above};
    return true;
}

// A range of up to 1/2048 of the width that reaches the criterion, as the given one does.
//
// best   the row's greatest rank
__device__ Range narrower(Workspace& shared, const Row& row, const Weigher& weigher, Rank best, const Criterion& criterion,
                          const Range& range) {
    Rank high = range.high < best ? range.high : best;
    int shift = 0;
    while ((high - range.low) >> shift >= BUCKETS) {
        shift++;
    }
    clear_buckets(shared);
    for_each_token(row, shared.chunks, [&](int token, float logit) {
        Rank rank = rank_of(logit, token);
        if (rank < range.low || rank > high || !row.allows(token)) {
            return;
        }
        int bucket = static_cast<int>((high - rank) >> shift);
        if (criterion.by_weight) {
            add_to_bucket(shared, bucket, weigher.units(logit));
        } else {
            atomicAdd(&shared.low[bucket], 1u);
        }
    }, NoEnd());
    __syncthreads();
    Units total;
    Units units = own_buckets(shared);
    Units before = range.above + block_prefix(shared, units, total);
    find_bucket(shared, criterion, before, units);
    Rank top = high - (static_cast<Rank>(shared.scalars->bucket) << shift);
    Rank width = static_cast<Rank>(1) << shift;
    return {top - range.low < width ? range.low : top - width + 1, top, shared.scalars->above};
}

// Narrows a range that reaches the criterion until the list holds its ranks, and lists them, sorted.
//
// Returns how many there are.
__device__ int list_range(Workspace& shared, const Row& row, const Weigher& weigher, Rank best, const Criterion& criterion,
                          Range& range) {
    int listed = collect(shared, row, weigher, range);
    while (listed > shared.capacity) {
        range = narrower(shared, row, weigher, best, criterion, range);
        listed = collect(shared, row, weigher, range);
    }
    sort_list(shared, listed);
    return listed;
}

// The `count`-th of the best ranks of each thread, for a count up to the threads: at least so many tokens do not rank
// lower, and not many more where the good ones are spread over the row.
__device__ Rank rank_to_list_from(Workspace& shared, Rank own, int count) {
    shared.list[thread()] = own;
    sort_list(shared, threads());
    return shared.list[count - 1];
}

// ---- the draw -------------------------------------------------------------------------------------------------------

__device__ __forceinline__ Units listed_units(const Workspace& shared, const Weigher& weigher, int from, int to) {
    Units units = 0;
    for (int i = from; i < to; i++) {
        units += weigher.units(logit_of(shared.list[i]));
    }
    return units;
}

// How many of the first `count` ranks of the sorted list it takes for a weight, with what is above the list; or for a
// share of them, when `share` is not 1.
__device__ int places_for_weight(Workspace& shared, const Weigher& weigher, int count, Units above, Criterion criterion,
                                 bool of_these) {
    int own = ceil_div(count, threads());
    int first = thread() * own;
    int end = first + own < count ? first + own : count;
    Units units = listed_units(shared, weigher, first, end);
    if (thread() == 0) {
        shared.scalars->place = count;
    }
    Units total;
    Units before = above + block_prefix(shared, units, total);
    if (of_these) {
        criterion.weight *= static_cast<double>(total);
    }
    if (!criterion.reached(before) && criterion.reached(before + units)) {
        int place = first;
        while (!criterion.reached(before + weigher.units(logit_of(shared.list[place])))) {
            before += weigher.units(logit_of(shared.list[place++]));
        }
        shared.scalars->place = place + 1;
    }
    __syncthreads();
    return shared.scalars->place;
}

// Weighs every token that may come, by chunk. Returns the thread's share of the weight before min_p.
__device__ Units weigh_all(Workspace& shared, const Row& row, const Weigher& weigher) {
    Units all = 0;
    Units units = 0;
    for_each_token(row, shared.chunks, [&](int token, float logit) {
        if (row.allows(token)) {
            Units undropped = Weigher::undropped(weigher.exponent(logit));
            all += undropped;
            units += weigher.drop(undropped);
        }
    }, [&](int chunk) {
        units = warp_total(units);
        if (thread() % WARP == 0) {
            shared.chunk_units[chunk] = units;
        }
        units = 0;
    });
    __syncthreads();
    return all;
}

// Cuts the row by top_k, then by top_p, and weighs by chunk what is left.
//
// own         the thread's greatest rank, best the block's
// undropped   receives the thread's share of the row's weight before min_p, where that was looked at; `weighed` says so
// Returns the lowest rank that is left.
__device__ Rank cut(Workspace& shared, const Row& row, const Weigher& weigher, const SampleRow& wanted, Rank own, Rank best,
                    Units& undropped, bool& weighed) {
    Rank floor = NO_RANK;
    Range range = {NO_RANK, LARGEST_RANK, 0};
    int kept = 0;
    bool is_listed = false;
    if (wanted.top_k > 0 && wanted.top_k < row.vocab) {
        Criterion criterion = {false, static_cast<Units>(wanted.top_k), 0.0};
        if (wanted.top_k <= threads()) {
            range.low = rank_to_list_from(shared, own, wanted.top_k);
            is_listed = true;
        } else {
            is_listed = first_range(shared, row, weigher, NO_RANK, criterion, undropped, range);
        }
        if (is_listed) {
            int listed = list_range(shared, row, weigher, best, criterion, range);
            int places = wanted.top_k - static_cast<int>(range.above);
            kept = listed < places ? listed : places;
            floor = shared.list[kept - 1];
        }
    }
    if (wanted.top_p < 1) {
        Criterion criterion = {true, 0, wanted.top_p};
        if (is_listed && range.above == 0) {
            kept = places_for_weight(shared, weigher, kept, 0, criterion, true);
            floor = shared.list[kept - 1];
        } else {
            weighed = true;
            is_listed = first_range(shared, row, weigher, floor, criterion, undropped, range);
            if (is_listed) {
                int listed = list_range(shared, row, weigher, best, criterion, range);
                kept = places_for_weight(shared, weigher, listed, range.above, criterion, false);
                floor = shared.list[kept - 1];
            }
        }
    }
    if (!is_listed) {
        weighed = true;
        undropped = weigh_all(shared, row, weigher);
        return NO_RANK;
    }
    for (int i = thread(); i < kept; i += threads()) {
        Units units = weigher.units(logit_of(shared.list[i]));
        if (units > 0) {
            atomicAdd(&shared.chunk_units[token_of(shared.list[i]) / CHUNK], units);
        }
    }
    __syncthreads();
    return floor;
}

// The token in whose interval the random number's point lies, where what is left stands one after the other by id.
//
// Returns -1 when nothing weighs anything.
__device__ int draw(Workspace& shared, const Row& row, const Weigher& weigher, Rank floor, unsigned long long random) {
    int own = ceil_div(shared.chunks, threads());
    int first = thread() * own;
    int end = first + own < shared.chunks ? first + own : shared.chunks;
    Units units = 0;
    for (int chunk = first; chunk < end; chunk++) {
        units += shared.chunk_units[chunk];
    }
    Units total;
    Units before = block_prefix(shared, units, total);
    if (total == 0) {
        return -1;
    }
    Units point = __umul64hi(random, total);
    if (before <= point && point < before + units) {
        int chunk = first;
        while (point >= before + shared.chunk_units[chunk]) {
            before += shared.chunk_units[chunk++];
        }
        shared.scalars->chunk = chunk;
        shared.scalars->point = point - before;
    }
    __syncthreads();
    if (thread() < WARP) {
        int token = shared.scalars->chunk * CHUNK + 4 * thread();
        Units of_token[4] = {0, 0, 0, 0};
        Units sum = 0;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (token + j < row.vocab && row.allows(token + j)) {
                float logit = row.logits[token + j];
                of_token[j] = rank_of(logit, token + j) >= floor ? weigher.units(logit) : 0;
                sum += of_token[j];
            }
        }
        Units at = warp_prefix(sum) - sum;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (at <= shared.scalars->point && shared.scalars->point < at + of_token[j]) {
                shared.scalars->token = token + j;
            }
            at += of_token[j];
        }
    }
    __syncthreads();
    return shared.scalars->token;
}

// ---- what a request changes about its logits ------------------------------------------------------------------------

// The bitmap of the tokens that may come: mask and allowed tokens; with `bans`, without what bans and biases take out.
__device__ void fill_bits(Workspace& shared, const SampleRow& wanted, const int32_t* lists, int vocab, bool bans) {
    for (int word = thread(); word < shared.chunks * (CHUNK / 32); word += threads()) {
        bool open = wanted.allowed_count == 0 && word < ceil_div(vocab, 32);
        shared.bits[word] = !open ? 0u : wanted.mask == nullptr ? ~0u : wanted.mask[word];
    }
    __syncthreads();
    for (int i = thread(); i < wanted.allowed_count; i += threads()) {
        int token = lists[wanted.allowed_from + i];
        uint32_t bit = 1u << token % 32;
        atomicOr(&shared.bits[token / 32], wanted.mask == nullptr ? bit : wanted.mask[token / 32] & bit);
    }
    if (bans) {
        if (wanted.allowed_count > 0) {
            __syncthreads();
        }
        for (int i = thread(); i < wanted.banned_count; i += threads()) {
            int token = lists[wanted.banned_from + i];
            atomicAnd(&shared.bits[token / 32], ~(1u << token % 32));
        }
        for (int i = thread(); i < wanted.bias_count; i += threads()) {
            int token = lists[wanted.bias_from + 2 * i];
            if (__uint_as_float(static_cast<uint32_t>(lists[wanted.bias_from + 2 * i + 1])) <= BAN) {
                atomicAnd(&shared.bits[token / 32], ~(1u << token % 32));
            }
        }
    }
    __syncthreads();
}

__device__ void add_biases(const Row& row, const SampleRow& wanted, const int32_t* lists, float* saved) {
    for (int i = thread(); i < wanted.bias_count; i += threads()) {
        int entry = wanted.bias_from + 2 * i;
        int token = lists[entry];
        saved[entry] = row.logits[token];
        row.logits[token] = __fadd_rn(saved[entry], __uint_as_float(static_cast<uint32_t>(lists[entry + 1])));
    }
}

// Repetition, then frequency and presence.
__device__ float penalised(float logit, const SampleRow& wanted, int generated) {
    float result = logit > 0 ? logit / wanted.repetition_penalty : __fmul_rn(logit, wanted.repetition_penalty);
    if (generated > 0) {
        double amount = __dadd_rn(__dmul_rn(generated, wanted.frequency_penalty), wanted.presence_penalty);
        result = __fadd_rn(result, -static_cast<float>(amount));
    }
    return result;
}

// Begins with a barrier, which parts it from the biases.
__device__ void add_penalties(const Row& row, const SampleRow& wanted, const int32_t* lists, float* saved) {
    __syncthreads();
    for (int i = thread(); i < wanted.penalty_count; i += threads()) {
        int entry = wanted.penalty_from + 2 * i;
        int token = lists[entry];
        saved[entry] = row.logits[token];
        row.logits[token] = penalised(saved[entry], wanted, lists[entry + 1]);
    }
    __syncthreads();
}

// Takes penalties back, then biases where they were added: the row is as the model left it.
__device__ void restore(const Row& row, const SampleRow& wanted, const int32_t* lists, const float* saved, bool biases) {
    for (int i = thread(); i < wanted.penalty_count; i += threads()) {
        int entry = wanted.penalty_from + 2 * i;
        row.logits[lists[entry]] = saved[entry];
    }
    __syncthreads();
    for (int i = thread(); biases && i < wanted.bias_count; i += threads()) {
        int entry = wanted.bias_from + 2 * i;
        row.logits[lists[entry]] = saved[entry];
    }
    __syncthreads();
}

// ---- the kernels ----------------------------------------------------------------------------------------------------

// What a row came to, in every thread of its block.
struct Outcome {
    int code;
    int token;
    bool has_total;  // whether `undropped`, summed up over the block, is the weight of the row as the model computed it
    Units undropped;
};

__device__ Outcome choose(Workspace& shared, Row row, const SampleRow& wanted, const int32_t* lists, float* saved,
                          Best best) {
    const bool changes = wanted.bias_count > 0 || wanted.penalty_count > 0;
    bool biases = true;
    if (changes) {
        add_biases(row, wanted, lists, saved);
        add_penalties(row, wanted, lists, saved);
        best = find_best(shared, row);
    }
    // The form of an answer wins over bias, bad words and minimum length.
    if (!is_possible(best.allowed) && wanted.mask != nullptr) {
        restore(row, wanted, lists, saved, biases);
        biases = false;
        fill_bits(shared, wanted, lists, row.vocab, false);
        add_penalties(row, wanted, lists, saved);
        best = find_best(shared, row);
    }
    Outcome outcome = {CHOSEN, token_of(best.allowed), false, 0};
    if (!is_possible(best.allowed)) {
        outcome = {NOTHING_ALLOWED, -1, false, 0};
    } else if (wanted.greedy == 0) {
        Weigher weigher = {row.logits[outcome.token], wanted.scale, wanted.least};
        bool weighed = false;
        Rank floor = cut(shared, row, weigher, wanted, best.own_allowed, best.allowed, outcome.undropped, weighed);
        unsigned long long random = random_bits(wanted.seed, wanted.choice, wanted.position);
        outcome.token = draw(shared, row, weigher, floor, random);
        outcome.code = outcome.token < 0 ? NO_WEIGHT : CHOSEN;
        outcome.has_total = weighed && wanted.scale == 1.0 && row.bits == nullptr && !changes;
    }
    if (changes) {
        restore(row, wanted, lists, saved, biases);
    }
    return outcome;
}

// Log-probabilities are the model's own: before temperature, penalties and masks. The host takes the logarithm.
__device__ void report(Workspace& shared, SampleResult* result, const Row& row, const SampleRow& wanted, const Outcome& outcome,
                       const Best& best) {
    int alternatives = wanted.alternatives < row.vocab ? wanted.alternatives : row.vocab;
    float largest = row.logits[token_of(best.all)];
    Weigher weigher = {largest, 1.0, 0};
    Units units = outcome.undropped;
    if (!outcome.has_total) {
        units = weigh_all(shared, row, weigher);
    }
    Units total;
    block_prefix(shared, units, total);
    if (alternatives > 0) {
        Criterion criterion = {false, static_cast<Units>(alternatives), 0.0};
        Range range = {rank_to_list_from(shared, best.own_all, alternatives), LARGEST_RANK, 0};
        list_range(shared, row, weigher, best.all, criterion, range);
        if (range.above > 0) {
            // The last of them are found: now all.
            range = {shared.list[alternatives - 1 - static_cast<int>(range.above)], LARGEST_RANK, 0};
            list_range(shared, row, weigher, best.all, criterion, range);
        }
    }
    for (int i = thread(); i < alternatives; i += threads()) {
        int token = token_of(shared.list[i]);
        result->top_tokens[i] = token;
        result->top_logits[i] = row.logits[token];
    }
    if (thread() == 0) {
        result->logit = row.logits[outcome.token];
        result->largest = largest;
        result->total = total;
    }
}

extern "C" __global__ __launch_bounds__(LARGEST_BLOCK)
void sample(SampleResult* results, int32_t* tokens, float* logits, float* saved, const SampleRow* rows, const int32_t* slots,
            const int32_t* lists, int vocab, int64_t stride, int capacity) {
    DYN_SMEM(unsigned char, memory);
    __shared__ Scalars scalars;
    grid_dependency_wait();
    grid_dependency_launch();
    const int index = static_cast<int>(blockIdx.x);
    SampleResult* result = results + index;
    if (slots[index] < 0) {
        if (thread() == 0) {
            result->code = PADDED;
            tokens[index] = -1;
        }
        return;
    }
    const SampleRow& wanted = rows[index];
    Workspace shared(memory, &scalars, vocab, capacity);
    Row row = {logits + index * stride, nullptr, vocab};
    const bool chooses = wanted.target < 0;
    if (chooses && (wanted.mask != nullptr || wanted.allowed_count > 0 || wanted.banned_count > 0 || wanted.bias_count > 0)) {
        fill_bits(shared, wanted, lists, vocab, true);
        row.bits = shared.bits;
    }
    Best best = find_best(shared, row);
    Outcome outcome = {CHOSEN, wanted.target, false, 0};
    if (best.all == LARGEST_RANK) {
        outcome = {NOT_FINITE, -1, false, 0};
    } else if (chooses) {
        outcome = choose(shared, row, wanted, lists, saved, best);
    }
    const bool reports = outcome.code == CHOSEN && wanted.alternatives >= 0;
    if (reports) {
        report(shared, result, Row{row.logits, nullptr, vocab}, wanted, outcome, best);
    }
    if (thread() == 0) {
        result->code = outcome.code;
        result->token = outcome.token;
        result->alternatives = !reports ? -1 : wanted.alternatives < vocab ? wanted.alternatives : vocab;
        tokens[index] = outcome.token;
    }
}
KERNEL(sample);

// Hands the tokens of a step to the next one, before the host has seen them.
//
//   input_ids  int32 [rows]   in place: the token to run; stays as the host wrote it where `source` is -1
//   slots      int32 [rows]   in place: becomes -1 where the source row has no token, so that the row is a padded one
//   tokens     int32 []       in: `tokens` of `sample`
//   source     int32 [rows]   in: the row of the step before that this row goes on with; -1 = none
extern "C" __global__ __launch_bounds__(256)
void next_step(int32_t* input_ids, int32_t* slots, const int32_t* tokens, const int32_t* source, int rows) {
    grid_dependency_wait();
    grid_dependency_launch();
    int index = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (index >= rows || source[index] < 0 || slots[index] < 0) {
        return;
    }
    int token = tokens[source[index]];
    input_ids[index] = token < 0 ? 0 : token;
    if (token < 0) {
        slots[index] = -1;
    }
}
KERNEL(next_step);
