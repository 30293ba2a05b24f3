// cublas_stand_in.cpp: the part of cuBLAS that Blas.java calls, on the emulator.
//
// Compiled twice: as libcublas.so.12 and as libcublas.so.13. As strict as the library where a mistake would be silent:
// a compute type that is a data type, transposes and leading dimensions that do not fit, a handle without workspace.

#include <stdint.h>
#include <string.h>

#define CUBLAS_CALL extern "C" __attribute__((visibility("default"))) int

extern "C" int cuLaunchHostFunc(void* stream, void (*function)(void*), void* data);

namespace {

constexpr int SUCCESS = 0;
constexpr int NOT_INITIALIZED = 1;
constexpr int INVALID_VALUE = 7;
constexpr int EXECUTION_FAILED = 13;
constexpr int INTERNAL_ERROR = 14;
constexpr int NOT_SUPPORTED = 15;

constexpr int TRANSPOSED_NOT = 0;
constexpr int TRANSPOSED = 1;
constexpr int TYPE_F32 = 0;
constexpr int TYPE_BF16 = 14;
constexpr int COMPUTE_F32 = 68;
constexpr uint64_t LIVE = 0x5457494e44455221u;

struct Handle {
    uint64_t state;
    void* stream;
    void* workspace;
    size_t workspace_bytes;
};

struct Product {
    int rows, columns, inner;  // column-major: c[rows, columns]
    float alpha, beta;
    const uint16_t* a;
    const uint16_t* b;
    void* c;
    int type;
    int leading_a, leading_b, leading_c;
};

float from_bf16(uint16_t bits) {
    uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    memcpy(&value, &wide, sizeof(value));
    return value;
}

uint16_t to_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void multiply(void* data) {
    const Product& p = *static_cast<const Product*>(data);
    for (int column = 0; column < p.columns; column++) {
        for (int row = 0; row < p.rows; row++) {
            double sum = 0;
            for (int i = 0; i < p.inner; i++) {
                sum += static_cast<double>(from_bf16(p.a[i + static_cast<size_t>(row) * p.leading_a])) *
                       from_bf16(p.b[i + static_cast<size_t>(column) * p.leading_b]);
            }
            size_t at = row + static_cast<size_t>(column) * p.leading_c;
            float value = p.alpha * static_cast<float>(sum);
            if (p.type == TYPE_F32) {
                float* c = static_cast<float*>(p.c);
                c[at] = p.beta == 0 ? value : value + p.beta * c[at];
            } else {
                uint16_t* c = static_cast<uint16_t*>(p.c);
                c[at] = to_bf16(p.beta == 0 ? value : value + p.beta * from_bf16(c[at]));
            }
        }
    }
}

bool live(const Handle* handle) { return handle != nullptr && handle->state == LIVE; }

}  // namespace

CUBLAS_CALL cublasCreate_v2(Handle** handle) {
    *handle = new Handle{LIVE, nullptr, nullptr, 0};
    return SUCCESS;
}

CUBLAS_CALL cublasDestroy_v2(Handle* handle) {
    if (!live(handle)) {
        return NOT_INITIALIZED;
    }
    handle->state = 0;  // kept: a second destruction is seen
    return SUCCESS;
}

CUBLAS_CALL cublasGetVersion_v2(Handle* handle, int* version) {
    *version = STAND_IN_VERSION;
    return live(handle) ? SUCCESS : NOT_INITIALIZED;
}

CUBLAS_CALL cublasSetStream_v2(Handle* handle, void* stream) {
    if (!live(handle)) {
        return NOT_INITIALIZED;
    }
    handle->stream = stream;
    handle->workspace = nullptr;  // as the library does: a new stream has the default workspace
    return SUCCESS;
}

CUBLAS_CALL cublasSetWorkspace_v2(Handle* handle, void* workspace, size_t bytes) {
    if (!live(handle)) {
        return NOT_INITIALIZED;
    }
    if (workspace == nullptr || reinterpret_cast<uintptr_t>(workspace) % 256 != 0) {
        return INVALID_VALUE;
    }
    handle->workspace = workspace;
    handle->workspace_bytes = bytes;
    return SUCCESS;
}

CUBLAS_CALL cublasGemmEx(Handle* handle, int transpose_a, int transpose_b, int rows, int columns, int inner,
                         const void* alpha, const void* a, int type_a, int leading_a, const void* b, int type_b,
                         int leading_b, const void* beta, void* c, int type_c, int leading_c, int compute_type, int) {
    if (!live(handle)) {
        return NOT_INITIALIZED;
    }
    if (transpose_a != TRANSPOSED || transpose_b != TRANSPOSED_NOT || type_a != TYPE_BF16 || type_b != TYPE_BF16 ||
        (type_c != TYPE_F32 && type_c != TYPE_BF16) || compute_type != COMPUTE_F32) {
        return NOT_SUPPORTED;
    }
    if (rows < 0 || columns < 0 || inner < 0 || leading_a < inner || leading_b < inner || leading_c < rows) {
        return INVALID_VALUE;
    }
    if (handle->workspace == nullptr) {
        return INTERNAL_ERROR;  // the library would allocate here, which no step and no capture may
    }
    // Lives on: a captured product runs as often as its graph.
    auto* product = new Product{rows, columns, inner, *static_cast<const float*>(alpha), *static_cast<const float*>(beta),
                                static_cast<const uint16_t*>(a), static_cast<const uint16_t*>(b), c, type_c,
                                leading_a, leading_b, leading_c};
    return cuLaunchHostFunc(handle->stream, multiply, product) == 0 ? SUCCESS : EXECUTION_FAILED;
}
