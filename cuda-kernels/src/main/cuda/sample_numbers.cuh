// sample_numbers.cuh: the numbers that sampling is made of, bit for bit those of the CPU's sampler (module engine:
// LogitRow, Weights, Candidates, CounterRandom). Doubles are added and multiplied one by one: a fused multiply-add would
// round otherwise than Java does.

#pragma once

#include "common.cuh"

// Units of 2^-40 of the heaviest token. Sums of whole numbers do not depend on their order.
using Units = unsigned long long;

// Orders tokens by logit, of equals the lower id first; greater is better. Logit's order key above, ~token below.
using Rank = unsigned long long;

constexpr Rank NO_RANK = 0;
constexpr Rank LARGEST_RANK = ~0ull;  // of no finite logit

constexpr uint32_t SIGN = 0x80000000u;
constexpr uint32_t LARGEST_FLOAT_BITS = 0x7f7fffffu;

constexpr int BUCKETS = 2048;

__device__ __forceinline__ bool is_finite(float value) { return (__float_as_uint(value) & ~SIGN) <= LARGEST_FLOAT_BITS; }

// An unsigned integer that orders as the float does. Adding 0 makes -0 equal to 0.
__device__ __forceinline__ uint32_t order_key(float value) {
    uint32_t bits = __float_as_uint(__fadd_rn(value, 0.0f));
    return (bits & SIGN) != 0 ? ~bits : bits | SIGN;
}

__device__ __forceinline__ float value_of_key(uint32_t key) { return __uint_as_float((key & SIGN) != 0 ? key & ~SIGN : ~key); }

__device__ __forceinline__ Rank rank_of(float logit, int token) {
    return static_cast<Rank>(order_key(logit)) << 32 | ~static_cast<uint32_t>(token);
}

__device__ __forceinline__ int token_of(Rank rank) { return static_cast<int>(~static_cast<uint32_t>(rank)); }

// -0 comes back as 0, which weighs the same.
__device__ __forceinline__ float logit_of(Rank rank) { return value_of_key(static_cast<uint32_t>(rank >> 32)); }

// Whether it is the rank of a token that may come: neither of none nor of minus infinity.
__device__ __forceinline__ bool is_possible(Rank rank) { return rank >> 32 > ~0xff800000u; }

// What a row's tokens weigh: exp((logit - max) x scale) in whole units, and nothing when that is below `least`.
struct Weigher {
    static constexpr double HEAVIEST = 1099511627776.0;  // 2^40
    // exp(-28) is 0.76 units: what lies below weighs nothing. (The CPU takes the trouble down to -87.)
    static constexpr double LEAST_EXPONENT = -28.0;
    // Whatever is not below -28 comes before the last bucket.
    static constexpr double BUCKETS_PER_EXPONENT = -(BUCKETS - 1) / 28.5;

    double max;
    double scale;
    Units least;

    __device__ __forceinline__ double exponent(float logit) const { return __dmul_rn(__dadd_rn(logit, -max), scale); }

    // exp(x) = exp(x / 512)^512, Taylor polynomial of degree 7. NaN weighs nothing, as Java casts it.
    __device__ __forceinline__ static Units undropped(double exponent) {
        if (!(exponent >= LEAST_EXPONENT)) {
            return 0;
        }
        double r = __dmul_rn(exponent, 1.0 / 512);
        double y = 1.0 / 5040;
        y = __dadd_rn(__dmul_rn(y, r), 1.0 / 720);
        y = __dadd_rn(__dmul_rn(y, r), 1.0 / 120);
        y = __dadd_rn(__dmul_rn(y, r), 1.0 / 24);
        y = __dadd_rn(__dmul_rn(y, r), 1.0 / 6);
        y = __dadd_rn(__dmul_rn(y, r), 0.5);
        y = __dadd_rn(__dmul_rn(y, r), 1.0);
        y = __dadd_rn(__dmul_rn(y, r), 1.0);
#pragma unroll
        for (int squaring = 0; squaring < 9; squaring++) {
            y = __dmul_rn(y, y);
        }
        return static_cast<Units>(__dmul_rn(y, HEAVIEST));
    }

    __device__ __forceinline__ Units drop(Units units) const { return units < least ? 0 : units; }

    __device__ __forceinline__ Units units(float logit) const { return drop(undropped(exponent(logit))); }

    // Buckets of equal width, the best first. In the last one nothing weighs anything.
    __device__ __forceinline__ static int bucket(double exponent) {
        return exponent >= LEAST_EXPONENT ? static_cast<int>(__dmul_rn(exponent, BUCKETS_PER_EXPONENT)) : BUCKETS - 1;
    }

    // The lowest order key in a bucket or in one before it. Every step of the way from key to bucket keeps the order.
    __device__ __forceinline__ uint32_t lowest_key(int last_bucket) const {
        uint32_t low = ~(SIGN | LARGEST_FLOAT_BITS);
        uint32_t high = order_key(static_cast<float>(max));
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (bucket(exponent(value_of_key(middle))) <= last_bucket) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        return low;
    }
};

// Philox4x32 with 10 rounds; key = seed, counter = (position, choice, 0, 0); the first two words of what comes out.
// Source: Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", §3.3 and table 2.
__device__ __forceinline__ unsigned long long random_bits(unsigned long long seed, int choice, int position) {
    uint32_t key0 = static_cast<uint32_t>(seed);
    uint32_t key1 = static_cast<uint32_t>(seed >> 32);
    uint32_t counter[4] = {static_cast<uint32_t>(position), static_cast<uint32_t>(choice), 0, 0};
#pragma unroll
    for (int round = 0; round < 10; round++) {
        uint32_t high0 = __umulhi(0xD2511F53u, counter[0]);
        uint32_t low0 = 0xD2511F53u * counter[0];
        uint32_t high1 = __umulhi(0xCD9E8D57u, counter[2]);
        uint32_t low1 = 0xCD9E8D57u * counter[2];
        counter[0] = high1 ^ counter[1] ^ key0;
        counter[1] = low1;
        counter[2] = high0 ^ counter[3] ^ key1;
        counter[3] = low0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return static_cast<unsigned long long>(counter[1]) << 32 | counter[0];
}
