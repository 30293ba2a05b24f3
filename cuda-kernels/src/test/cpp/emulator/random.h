// random.h: small seeded generator (splitmix64; Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators").

#pragma once

#include <stdint.h>

namespace emulator {

class Random {
public:
    explicit Random(uint64_t seed = 0) : state_(seed) {}

    uint64_t next() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
    }

    // Uniform in [0, bound), bound > 0 and below 2^32.
    uint32_t below(uint32_t bound) { return static_cast<uint32_t>((next() >> 32) * bound >> 32); }

    bool coin() { return (next() & 1u) != 0; }

private:
    uint64_t state_;
};

}  // namespace emulator
