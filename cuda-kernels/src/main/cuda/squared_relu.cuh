// squared_relu.cuh: the activation of dense and expert layers.

#pragma once

#include "portable.cuh"

// max(0, x)^2, rounded by itself wherever it stands; NaN stays NaN.
__device__ __forceinline__ float squared_relu(float x) {
    float positive = x < 0.0f ? 0.0f : x;
    return __fmul_rn(positive, positive);
}
