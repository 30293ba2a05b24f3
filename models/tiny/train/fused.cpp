// The parts of training that are no matrix products, fused for a CPU: what stands between the two projections of
// a Mamba-2 layer, and the RMS norm. They compute what model.py says in plain PyTorch; tests/test_fused.py compares
// values and gradients. Built on first use by fused.py. All matrices are row-major; rows are tokens.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

constexpr int P = 64;       // head dimension
constexpr int N = 64;       // state dimension
constexpr int TAPS = 4;     // of the convolution
constexpr int CHUNK = 64;   // tokens between two saved states

using bf16 = uint16_t;

inline float widen(bf16 x) {
    uint32_t bits = uint32_t(x) << 16;
    float y;
    std::memcpy(&y, &bits, 4);
    return y;
}

inline bf16 narrow(float x) {   // to nearest, ties to even; training stops on NaN before it gets here
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return bf16((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

using lanes = float __attribute__((vector_size(64), aligned(4), may_alias));   // wherever floats stand
constexpr int LANES = 16, VECTORS = N / LANES;

inline float total(lanes x) {
    using half = float __attribute__((vector_size(32)));
    using quarter = float __attribute__((vector_size(16)));
    half h = __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7)
           + __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15);
    quarter q = __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
    return (q[0] + q[2]) + (q[1] + q[3]);
}

// One row of the state, or a token's key or query, in registers.
struct Row {
    lanes v[VECTORS];

    static Row load(const float* from) {
        Row row;
        for (int i = 0; i < VECTORS; i++) row.v[i] = reinterpret_cast<const lanes*>(from)[i];
        return row;
    }

    void store(float* to) const {
        for (int i = 0; i < VECTORS; i++) reinterpret_cast<lanes*>(to)[i] = v[i];
    }

    float dot(const Row& other) const {
        lanes product = v[0] * other.v[0];
        for (int i = 1; i < VECTORS; i++) product += v[i] * other.v[i];
        return total(product);
    }

    // this = scale · this + factor · other
    void blend(float scale, float factor, const Row& other) {
        for (int i = 0; i < VECTORS; i++) v[i] = scale * v[i] + factor * other.v[i];
    }

    void add(float factor, const Row& other) {
        for (int i = 0; i < VECTORS; i++) v[i] += factor * other.v[i];
    }
};

inline float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

}  // namespace

extern "C" {

// What one Mamba layer needs to know. Lengths are multiples of CHUNK.
struct Mamba {
    int64_t batch, length, heads, groups;
    const bf16* projected;      // [batch·length, 2·inner + 2·groups·N + heads]: gate | x B C | time step
    const float* conv_weight;   // [channels, TAPS]
    const float* conv_bias;     // [channels]
    const float* dt_bias;       // [heads]
    const float* rate;          // [heads], -exp(A_log)
    const float* skip;          // [heads], D
    const float* norm_weight;   // [inner]
    float epsilon;
    float* scanned;             // [batch·length, inner]: y before gate and norm
    float* states;              // [batch, length / CHUNK, heads, P, N]: the state before each chunk
};

struct MambaGradients {
    const bf16* out;            // [batch·length, inner], given
    bf16* projected;            // the others are written
    float* conv_weight;
    float* conv_bias;
    float* dt_bias;
    float* rate;
    float* skip;
    float* norm_weight;
};

}  // extern "C"

namespace {

struct Shape {
    int64_t inner, channels, width;
    explicit Shape(const Mamba& m)
        : inner(m.heads * P), channels(inner + 2 * m.groups * N), width(inner + channels + m.heads) {}
};

// SiLU of the convolution [batch·length, channels] and the time steps [batch·length, heads].
void activate(const Mamba& m, const Shape& s, float* active, float* steps) {
    // the weight is read tap by tap: turn it once
    std::vector<float> turned(TAPS * s.channels);
    for (int64_t c = 0; c < s.channels; c++)
        for (int tap = 0; tap < TAPS; tap++) turned[tap * s.channels + c] = m.conv_weight[c * TAPS + tap];
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < m.batch * m.length; row++) {
        int64_t t = row % m.length;
        float* a = active + row * s.channels;
        std::copy(m.conv_bias, m.conv_bias + s.channels, a);
        for (int tap = std::max<int64_t>(0, TAPS - 1 - t); tap < TAPS; tap++) {
            const bf16* from = m.projected + (row - (TAPS - 1) + tap) * s.width + s.inner;
            const float* w = turned.data() + tap * s.channels;
            for (int64_t c = 0; c < s.channels; c++) a[c] += w[c] * widen(from[c]);
        }
        for (int64_t c = 0; c < s.channels; c++) a[c] *= sigmoid(a[c]);
        const bf16* raw = m.projected + row * s.width + s.inner + s.channels;
        for (int64_t h = 0; h < m.heads; h++) {
            float v = widen(raw[h]) + m.dt_bias[h];
            steps[row * m.heads + h] = v > 20 ? v : std::log1p(std::exp(v));
        }
    }
}

}  // namespace

extern "C" {

void mamba_forward(const Mamba* layer, bf16* out) {
    const Mamba& m = *layer;
    const Shape s(m);
    const int64_t rows = m.batch * m.length, chunks = m.length / CHUNK;
    std::vector<float> active(rows * s.channels), steps(rows * m.heads);
    activate(m, s, active.data(), steps.data());

#pragma omp parallel for collapse(2) schedule(dynamic)
    for (int64_t b = 0; b < m.batch; b++)
        for (int64_t h = 0; h < m.heads; h++) {
            const int64_t g = h / (m.heads / m.groups);
            alignas(64) float state[P * N] = {};
            for (int64_t t = 0; t < m.length; t++) {
                if (t % CHUNK == 0)
                    std::copy(state, state + P * N, m.states + ((b * chunks + t / CHUNK) * m.heads + h) * P * N);
                const float* a = active.data() + (b * m.length + t) * s.channels;
                const float *x = a + h * P, *key = a + s.inner + g * N, *query = key + m.groups * N;
                float step = steps[(b * m.length + t) * m.heads + h];
                float decay = std::exp(step * m.rate[h]);
                float* y = m.scanned + (b * m.length + t) * s.inner + h * P;
                const Row k = Row::load(key), q = Row::load(query);
                for (int p = 0; p < P; p++) {
                    Row r = Row::load(state + p * N);
                    r.blend(decay, step * x[p], k);
                    r.store(state + p * N);
                    y[p] = r.dot(q) + m.skip[h] * x[p];
                }
            }
        }

    const int64_t group = s.inner / m.groups;
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const bf16* gate = m.projected + row * s.width;
        const float* y = m.scanned + row * s.inner;
        for (int64_t begin = 0; begin < s.inner; begin += group) {
            float v[4096], sum = 0;
            for (int64_t i = 0; i < group; i++) {
                float z = widen(gate[begin + i]);
                v[i] = y[begin + i] * z * sigmoid(z);
                sum += v[i] * v[i];
            }
            float scale = 1 / std::sqrt(sum / group + m.epsilon);
            for (int64_t i = 0; i < group; i++)
                out[row * s.inner + begin + i] = narrow(v[i] * scale * m.norm_weight[begin + i]);
        }
    }
}

void mamba_backward(const Mamba* layer, const MambaGradients* gradients) {
    const Mamba& m = *layer;
    const MambaGradients& d = *gradients;
    const Shape s(m);
    const int64_t rows = m.batch * m.length, chunks = m.length / CHUNK, shared = m.heads / m.groups;
    std::vector<float> active(rows * s.channels), steps(rows * m.heads);
    std::vector<float> d_scanned(rows * s.inner), d_active(rows * s.channels), d_steps(rows * m.heads);
    activate(m, s, active.data(), steps.data());
    std::fill(d.norm_weight, d.norm_weight + s.inner, 0.0f);
    std::fill(d.rate, d.rate + m.heads, 0.0f);
    std::fill(d.skip, d.skip + m.heads, 0.0f);
    std::fill(d.dt_bias, d.dt_bias + m.heads, 0.0f);
    std::fill(d.conv_weight, d.conv_weight + s.channels * TAPS, 0.0f);
    std::fill(d.conv_bias, d.conv_bias + s.channels, 0.0f);

    // norm and gate
    const int64_t group = s.inner / m.groups;
#pragma omp parallel
    {
        std::vector<float> d_weight(s.inner);
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; row++) {
            const bf16* gate = m.projected + row * s.width;
            const float* y = m.scanned + row * s.inner;
            const bf16* d_out = d.out + row * s.inner;
            for (int64_t begin = 0; begin < s.inner; begin += group) {
                float v[4096], dn[4096], sum = 0, dot = 0;
                for (int64_t i = 0; i < group; i++) {
                    float z = widen(gate[begin + i]);
                    v[i] = y[begin + i] * z * sigmoid(z);
                    sum += v[i] * v[i];
                }
                float scale = 1 / std::sqrt(sum / group + m.epsilon);
                for (int64_t i = 0; i < group; i++) {
                    float g = widen(d_out[begin + i]);
                    d_weight[begin + i] += g * v[i] * scale;
                    dn[i] = g * m.norm_weight[begin + i];
                    dot += dn[i] * v[i];
                }
                float back = dot * scale * scale * scale / group;
                for (int64_t i = 0; i < group; i++) {
                    float z = widen(gate[begin + i]), sg = sigmoid(z);
                    float dv = dn[i] * scale - v[i] * back;
                    d_scanned[row * s.inner + begin + i] = dv * z * sg;
                    d.projected[row * s.width + begin + i] = narrow(dv * y[begin + i] * sg * (1 + z * (1 - sg)));
                }
            }
        }
#pragma omp critical
        for (int64_t i = 0; i < s.inner; i++) d.norm_weight[i] += d_weight[i];
    }

    // the scan, chunk by chunk from the end, with the chunk's states computed again
#pragma omp parallel
    {
        std::vector<float> history((CHUNK + 1) * P * N);
        std::vector<float> d_rate(m.heads), d_skip(m.heads);
#pragma omp for collapse(2) schedule(dynamic)
        for (int64_t b = 0; b < m.batch; b++)
            for (int64_t g = 0; g < m.groups; g++) {
                for (int64_t t = 0; t < m.length; t++) {
                    float* da = d_active.data() + (b * m.length + t) * s.channels + s.inner + g * N;
                    std::fill(da, da + N, 0.0f);
                    std::fill(da + m.groups * N, da + m.groups * N + N, 0.0f);
                }
                for (int64_t h = g * shared; h < (g + 1) * shared; h++) {
                    alignas(64) float d_state[P * N] = {};
                    for (int64_t chunk = chunks - 1; chunk >= 0; chunk--) {
                        const float* first = m.states + ((b * chunks + chunk) * m.heads + h) * P * N;
                        std::copy(first, first + P * N, history.data());
                        for (int i = 0; i < CHUNK; i++) {
                            int64_t row = b * m.length + chunk * CHUNK + i;
                            const float* a = active.data() + row * s.channels;
                            float step = steps[row * m.heads + h], decay = std::exp(step * m.rate[h]);
                            const float *x = a + h * P, *key = a + s.inner + g * N;
                            const float* before = history.data() + i * P * N;
                            float* after = history.data() + (i + 1) * P * N;
                            const Row k = Row::load(key);
                            for (int p = 0; p < P; p++) {
                                Row r = Row::load(before + p * N);
                                r.blend(decay, step * x[p], k);
                                r.store(after + p * N);
                            }
                        }
                        for (int i = CHUNK - 1; i >= 0; i--) {
                            int64_t row = b * m.length + chunk * CHUNK + i;
                            const float* a = active.data() + row * s.channels;
                            float step = steps[row * m.heads + h], decay = std::exp(step * m.rate[h]);
                            const float *x = a + h * P, *key = a + s.inner + g * N, *query = key + m.groups * N;
                            const float* after = history.data() + (i + 1) * P * N;
                            const float* dy = d_scanned.data() + row * s.inner + h * P;
                            float* dx = d_active.data() + row * s.channels + h * P;
                            float* d_key = d_active.data() + row * s.channels + s.inner + g * N;
                            float* d_query = d_key + m.groups * N;
                            const Row k = Row::load(key), q = Row::load(query);
                            Row dk = Row::load(d_key), dq = Row::load(d_query);
                            // d_fade = decay · Σ d(S)·S_before = Σ d(S)·(S_after - step·x ⊗ B): no need of S_before
                            float d_fade = 0, d_step = 0, d_sk = 0;
                            lanes faded = {};
                            for (int p = 0; p < P; p++) {
                                Row ds = Row::load(d_state + p * N);
                                const Row r = Row::load(after + p * N);
                                ds.add(dy[p], q);
                                dq.add(dy[p], r);
                                dk.add(step * x[p], ds);
                                float sum = ds.dot(k);
                                for (int v = 0; v < VECTORS; v++) faded += ds.v[v] * r.v[v];
                                d_fade -= step * x[p] * sum;
                                d_step += sum * x[p];
                                dx[p] = sum * step + dy[p] * m.skip[h];
                                d_sk += dy[p] * x[p];
                                for (int v = 0; v < VECTORS; v++) ds.v[v] *= decay;
                                ds.store(d_state + p * N);
                            }
                            d_fade += total(faded);
                            dk.store(d_key);
                            dq.store(d_query);
                            d_rate[h] += d_fade * step;
                            d_skip[h] += d_sk;
                            d_steps[row * m.heads + h] = d_step + d_fade * m.rate[h];
                        }
                    }
                }
            }
#pragma omp critical
        for (int64_t h = 0; h < m.heads; h++) {
            d.rate[h] += d_rate[h];
            d.skip[h] += d_skip[h];
        }
    }

    // SiLU, convolution, softplus
    std::vector<float> turned(TAPS * s.channels);
    for (int64_t c = 0; c < s.channels; c++)
        for (int tap = 0; tap < TAPS; tap++) turned[tap * s.channels + c] = m.conv_weight[c * TAPS + tap];
#pragma omp parallel
    {
        std::vector<float> before(s.channels), d_weight(TAPS * s.channels), d_bias(s.channels), d_dt(m.heads);
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; row++) {
            int64_t t = row % m.length;
            std::copy(m.conv_bias, m.conv_bias + s.channels, before.data());
            int first = std::max<int64_t>(0, TAPS - 1 - t);
            for (int tap = first; tap < TAPS; tap++) {
                const bf16* from = m.projected + (row - (TAPS - 1) + tap) * s.width + s.inner;
                const float* w = turned.data() + tap * s.channels;
                for (int64_t c = 0; c < s.channels; c++) before[c] += w[c] * widen(from[c]);
            }
            float* da = d_active.data() + row * s.channels;
            for (int64_t c = 0; c < s.channels; c++) {
                float sg = sigmoid(before[c]);
                da[c] *= sg * (1 + before[c] * (1 - sg));
                d_bias[c] += da[c];
            }
            for (int tap = first; tap < TAPS; tap++) {
                const bf16* from = m.projected + (row - (TAPS - 1) + tap) * s.width + s.inner;
                float* w = d_weight.data() + tap * s.channels;
                for (int64_t c = 0; c < s.channels; c++) w[c] += da[c] * widen(from[c]);
            }
            const bf16* raw = m.projected + row * s.width + s.inner + s.channels;
            for (int64_t h = 0; h < m.heads; h++) {
                float dv = d_steps[row * m.heads + h] * sigmoid(widen(raw[h]) + m.dt_bias[h]);
                d.projected[row * s.width + s.inner + s.channels + h] = narrow(dv);
                d_dt[h] += dv;
            }
        }
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; row++) {
            int64_t ahead = m.length - 1 - row % m.length;
            float* sum = before.data();
            std::fill(before.begin(), before.end(), 0.0f);
            for (int later = 0; later <= std::min<int64_t>(TAPS - 1, ahead); later++) {
                const float* w = turned.data() + (TAPS - 1 - later) * s.channels;
                const float* da = d_active.data() + (row + later) * s.channels;
                for (int64_t c = 0; c < s.channels; c++) sum[c] += w[c] * da[c];
            }
            bf16* dp = d.projected + row * s.width + s.inner;
            for (int64_t c = 0; c < s.channels; c++) dp[c] = narrow(sum[c]);
        }
#pragma omp critical
        {
            for (int64_t c = 0; c < s.channels; c++) {
                d.conv_bias[c] += d_bias[c];
                for (int tap = 0; tap < TAPS; tap++)
                    d.conv_weight[c * TAPS + tap] += d_weight[tap * s.channels + c];
            }
            for (int64_t h = 0; h < m.heads; h++) d.dt_bias[h] += d_dt[h];
        }
    }
}

// y = x · rsqrt(mean x² + epsilon) · w over rows of `width`; x, y float32.
void norm_forward(int64_t rows, int64_t width, const float* x, const float* weight, float epsilon, float* y) {
#pragma omp parallel for schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        const float* a = x + row * width;
        float sum = 0;
        for (int64_t i = 0; i < width; i++) sum += a[i] * a[i];
        float scale = 1 / std::sqrt(sum / width + epsilon);
        for (int64_t i = 0; i < width; i++) y[row * width + i] = a[i] * scale * weight[i];
    }
}

void norm_backward(int64_t rows, int64_t width, const float* x, const float* weight, float epsilon, const float* dy,
                   float* dx, float* d_weight) {
    std::fill(d_weight, d_weight + width, 0.0f);
#pragma omp parallel
    {
        std::vector<float> dw(width);
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; row++) {
            const float *a = x + row * width, *g = dy + row * width;
            float sum = 0, dot = 0;
            for (int64_t i = 0; i < width; i++) {
                sum += a[i] * a[i];
                dot += a[i] * g[i] * weight[i];
            }
            float scale = 1 / std::sqrt(sum / width + epsilon);
            float back = dot * scale * scale * scale / width;
            for (int64_t i = 0; i < width; i++) {
                dx[row * width + i] = g[i] * weight[i] * scale - a[i] * back;
                dw[i] += g[i] * a[i] * scale;
            }
        }
#pragma omp critical
        for (int64_t i = 0; i < width; i++) d_weight[i] += dw[i];
    }
}

}  // extern "C"
