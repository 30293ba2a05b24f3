// compare_formats.cpp: our number formats against NVIDIA's cuda_bf16.h, cuda_fp16.h and cuda_fp8.h, on the host.
//
//   compare_formats     ends with 0 and "N conversions are equal", or with 1 and the first difference

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "our_formats.h"

namespace {

long compared = 0;

uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

void require_equal(const char* what, uint32_t input, uint32_t ours, uint32_t theirs) {
    compared++;
    if (ours != theirs) {
        printf("%s of 0x%08x: ours 0x%x, NVIDIA's 0x%x\n", what, input, ours, theirs);
        exit(1);
    }
}

// Which NaN it is, is not a promise of either side.
void require_same_float(const char* what, uint32_t input, float ours, float theirs) {
    if (isnan(ours) && isnan(theirs)) {
        compared++;
    } else {
        require_equal(what, input, bits_of(ours), bits_of(theirs));
    }
}

void encode(uint32_t bits) {
    float x = float_of(bits);
    __nv_bfloat16_raw bf16 = __float2bfloat16_rn(x);
    __half_raw f16 = __float2half_rn(x);
    __nv_fp8_storage_t e4m3 = __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3);
    if (isnan(x)) {
        require_equal("bf16 NaN", bits, isnan(our_float_of_bf16(our_bf16(x))), 1);
        require_equal("f16 NaN", bits, isnan(our_float_of_f16(our_f16(x))), 1);
        require_equal("e4m3 NaN", bits, our_e4m3(x) & 0x7fu, e4m3 & 0x7fu);
        return;
    }
    require_equal("bf16", bits, our_bf16(x), bf16.x);
    require_equal("f16", bits, our_f16(x), f16.x);
    require_equal("e4m3", bits, our_e4m3(x), e4m3);
}

}  // namespace

int main() {
    for (uint32_t code = 0; code < 65536; code++) {
        __nv_bfloat16_raw bf16;
        bf16.x = static_cast<uint16_t>(code);
        require_same_float("float of bf16", code, our_float_of_bf16(bf16.x), __bfloat162float(bf16));
        __half_raw f16;
        f16.x = static_cast<uint16_t>(code);
        require_same_float("float of f16", code, our_float_of_f16(f16.x), __half2float(f16));
    }
    for (uint32_t code = 0; code < 256; code++) {
        __half_raw wide = __nv_cvt_fp8_to_halfraw(static_cast<__nv_fp8_storage_t>(code), __NV_E4M3);
        require_same_float("float of e4m3", code, our_float_of_e4m3(static_cast<uint8_t>(code)), __half2float(wide));
    }
    // Every upper half of a float with the lower halves at which rounding changes, and a walk through the rest.
    for (uint32_t upper = 0; upper < 65536; upper++) {
        for (uint32_t lower : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
            encode(upper << 16 | lower);
        }
    }
    uint32_t walk = 12345;
    for (int i = 0; i < 1000000; i++) {
        walk = walk * 1664525u + 1013904223u;
        encode(walk);
    }
    printf("%ld conversions are equal\n", compared);
    return 0;
}
